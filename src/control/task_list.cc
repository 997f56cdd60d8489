#include "control/task_list.h"

#include <fmt/format.h>

#include <iterator>

#include "base/errors.h"

namespace corral {
namespace {

constexpr auto kOld = std::chrono::seconds(1);

}  // namespace

std::string Lines(const TaskNumbers& numbers) {
  fmt::memory_buffer text;
  for (const std::uint32_t number : numbers) {
    fmt::format_to(std::back_inserter(text), "{}\n", number);
  }
  return fmt::to_string(text);
}

Result<std::shared_ptr<const TaskNumbers>> SharedLists::Get(const ControlContext& context,
                                                            const ControlFile& row, Tid reader,
                                                            bool fresh) {
  MutexLock lock(lists_mu_);
  const auto now = Clock::now();
  const std::pair key{context.cgroup, &row};
  const auto view = context.machine.PidViewOf(reader);
  const bool shared = view == nullptr;
  const auto known = lists_.find(key);
  if (shared && !fresh && known != lists_.end() && now - known->second.made < kOld) {
    return known->second.numbers;
  }
  auto made = TRY(row.list(context, view.get()));
  auto numbers = std::make_shared<const TaskNumbers>(std::move(made));
  if (shared) lists_[key] = {numbers, now};
  return numbers;
}

void SharedLists::Forget(CgroupId cgroup) {
  MutexLock lock(lists_mu_);
  const auto first = lists_.lower_bound({cgroup, nullptr});
  auto last = first;
  while (last != lists_.end() && last->first.first == cgroup) ++last;
  lists_.erase(first, last);
}

}  // namespace corral
