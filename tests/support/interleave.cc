#include "support/interleave.h"

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace corral {
namespace {
thread_local AtSteps* t_script = nullptr;
}  // namespace

AtSteps::AtSteps(std::map<int, std::function<void()>> script) : script_(std::move(script)) {
  t_script = this;
}

AtSteps::~AtSteps() { t_script = nullptr; }

void Interleave() {
  if (AtSteps* script = t_script) {
    if (script->running_) return;
    const auto at = script->script_.find(++script->stops_);
    if (at == script->script_.end()) return;
    script->running_ = true;
    at->second();
    script->running_ = false;
    return;
  }
  static std::atomic<std::uint64_t> seeds = 88172645463325252ull;
  thread_local std::uint64_t state = seeds.fetch_add(0x9E3779B97F4A7C15ull);
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  if (state % 32 == 0) {
    ::sched_yield();
  } else if (state % 32 < 8) {
    for (std::uint64_t i = state % 512; i > 0; --i) __asm__ volatile("" ::: "memory");
  }
}

}  // namespace corral
