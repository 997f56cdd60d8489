#include "trackers/tables.h"

#include <chrono>
#include <thread>
#include <unordered_map>

namespace corral {
namespace {

struct Suspect {
  std::uint64_t counter = 0;
  std::uint32_t words = 0;
  std::chrono::steady_clock::time_point since;
};

}  // namespace

std::vector<std::string> AuditCounts(const Tables& t, int patience_ms) {
  using Clock = std::chrono::steady_clock;
  const auto patience = std::chrono::milliseconds(patience_ms);
  std::unordered_map<std::uint32_t, Suspect> suspects;
  std::vector<std::string> differences;
  std::vector<std::uint64_t> before(t.set_capacity);
  std::vector<std::uint32_t> words(t.set_capacity);

  for (const auto give_up = Clock::now() + 20 * patience; Clock::now() < give_up;) {
    for (std::uint32_t set = CORRAL_SET_FIRST; set < t.set_capacity; ++set) {
      before[set] = Load(t.sets[set].counter);
      words[set] = 0;
    }
    for (const auto& [tid, word] : LiveWords(t)) {
      if (corral_word_set(word) < t.set_capacity) ++words[corral_word_set(word)];
    }
    const auto now = Clock::now();
    std::unordered_map<std::uint32_t, Suspect> still;
    for (std::uint32_t set = CORRAL_SET_FIRST; set < t.set_capacity; ++set) {
      const std::uint64_t counter = before[set];
      if (static_cast<std::uint32_t>(counter) == words[set]) continue;
      Suspect suspect{counter, words[set], now};
      const auto known = suspects.find(set);
      if (known != suspects.end() && known->second.counter == counter &&
          known->second.words == words[set] && Load(t.sets[set].counter) == counter) {
        suspect.since = known->second.since;
        if (now - suspect.since >= patience) {
          differences.push_back(fmt::format("css_set {}: count is {}, but {} live tasks hold it",
                                            set, static_cast<std::uint32_t>(counter), words[set]));
          continue;  // told; no need to look again
        }
      }
      still.emplace(set, suspect);
    }
    suspects = std::move(still);
    if (suspects.empty() || !differences.empty()) break;
    std::this_thread::sleep_for(patience / 10);
  }
  return differences;
}

}  // namespace corral
