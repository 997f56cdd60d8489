#include "subsystems/beancounter/beancounter.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/errors.h"
#include "base/log.h"
#include "base/number.h"

namespace corral {
namespace {

constexpr std::string_view kUnlimited = "max";

// Cuts the first word off.
std::string_view TakeWord(std::string_view* line) {
  *line = Trim(*line);
  const std::size_t end = std::min(line->find_first_of(" \t"), line->size());
  const std::string_view word = line->substr(0, end);
  line->remove_prefix(end);
  return word;
}

Result<std::uint64_t> ParseAmount(std::string_view word) {
  if (word == kUnlimited) return std::numeric_limits<std::uint64_t>::max();
  std::uint64_t amount = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), amount);
  if (error == std::errc::result_out_of_range) return Fail(ERANGE, "'{}' is beyond 64 bits", word);
  if (error != std::errc() || end != word.data() + word.size()) {
    return Fail(EINVAL, "'{}' is neither a number nor '{}'", word, kUnlimited);
  }
  return amount;
}

std::string Show(std::uint64_t amount) {
  return amount == std::numeric_limits<std::uint64_t>::max() ? std::string(kUnlimited)
                                                             : std::to_string(amount);
}

}  // namespace

Beancounter::Beancounter(std::shared_ptr<UsageHost> host, std::chrono::milliseconds every)
    : host_(std::move(host)), every_(every) {}

Result<void> Beancounter::Start(Groups& groups) {
  groups_ = &groups;
  ticker_.Start([this] { return SampleAll(); });
  return {};
}

Result<std::unique_ptr<Css>> Beancounter::Create(const NewCss& of) {
  auto css = std::make_unique<BeanCss>();
  if (!of.parent) return css;
  MutexLock lock(mu_);
  all_.insert(css.get());
  if (all_.size() == 1) ticker_.Kick();  // there is something to sample from now on
  return css;
}

void Beancounter::Destroy(Css& css) {
  MutexLock lock(mu_);
  all_.erase(static_cast<BeanCss*>(&css));
}

// ---- sampling

Beancounter::Sample Beancounter::Take(BeanCss& css, bool cpu_time, Looked* looked) {
  Sample sample = {0, 0, 0, std::nullopt};
  for (const Tgid process : groups_->SubtreeProcesses(css)) {
    ++*sample[kProcesses];
    auto known = looked->find(process);
    if (known == looked->end()) {
      const auto usage = host_->UsageOf(process);
      if (!usage) continue;
      known = looked->emplace(process, *usage).first;
    }
    *sample[kPages] += known->second.pages;
    *sample[kFiles] += known->second.files;
  }
  if (!cpu_time) return sample;
  constexpr std::uint64_t kPerMillisecond = 1'000'000;
  const auto time = groups_->CpuTimeOf(css, /*subtree=*/true);
  if (time) sample[kCpuTime] = time->total / kPerMillisecond;
  return sample;
}

// `counts`: those over the limit are counted. Not at a read, which takes as many samples as it
// likes.
void Beancounter::Book(BeanCss& css, const Sample& sample, bool counts) {
  std::vector<std::string> news;
  {
    MutexLock lock(mu_);
    for (std::size_t i = 0; i < kResources; ++i) {
      if (!sample[i]) continue;
      Bean& bean = css.beans[i];
      const std::uint64_t held = *sample[i];
      bean.maxheld = std::max(bean.maxheld, held);
      if (counts && held > bean.limit) ++bean.failcnt;
      if (held > bean.barrier && !bean.over_barrier) {
        news.push_back(fmt::format("{} {} is over the barrier {}", kNames[i], held, bean.barrier));
      }
      bean.over_barrier = held > bean.barrier;
    }
  }
  for (const std::string& line : news) {
    log::Info("beancounter: {}: {}", groups_->PathOf(css), line);
  }
}

// Every cgroup, and each process once. What takes long is done more seldom: at most a twentieth of
// the time goes into it. CPU time costs a walk over the machine for each, so it is asked for only
// where somebody waits for it.
std::optional<std::chrono::milliseconds> Beancounter::SampleAll() {
  constexpr int kShare = 20;
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::pair<std::shared_ptr<Css>, bool>> due;
  {
    const auto hold = groups_->HoldTree();
    MutexLock lock(mu_);
    for (BeanCss* css : all_) {
      const Bean& cpu = css->beans[kCpuTime];
      due.emplace_back(css->shared_from_this(), cpu.limit != kNoLimit || cpu.barrier != kNoLimit);
    }
  }
  if (due.empty()) return std::nullopt;
  Looked looked;
  for (const auto& [css, cpu_time] : due) {
    MutexLock sampling(sampling_mu_);
    auto& bean_css = static_cast<BeanCss&>(*css);
    Book(bean_css, Take(bean_css, cpu_time, &looked), /*counts=*/true);
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  return std::max(every_, kShare * took);
}

// ---- the file

std::vector<SubsystemFile> Beancounter::Files() {
  return {{.name = "usage",
           .where = SubsystemFile::Where::kNotTop,
           .read = [this](FileUse& use) -> Result<std::string> {
             return Table(static_cast<BeanCss&>(*use.css));
           },
           .write =
               [this](FileUse& use, std::string_view text) {
                 return Write(static_cast<BeanCss&>(*use.css), text);
               }}};
}

std::string Beancounter::Table(BeanCss& css) {
  Looked looked;
  Sample sample;
  {
    MutexLock sampling(sampling_mu_);
    sample = Take(css, /*cpu_time=*/true, &looked);
    Book(css, sample, /*counts=*/false);
  }
  constexpr auto kRow = "{:<10} {:>12} {:>12} {:>20} {:>20} {:>10} {}\n";
  std::string table =
      fmt::format(kRow, "resource", "held", "maxheld", "barrier", "limit", "failcnt", "how");
  MutexLock lock(mu_);
  for (std::size_t i = 0; i < kResources; ++i) {
    const Bean& bean = css.beans[i];
    const std::string_view how = i == kProcesses ? "counted"
                                 : i == kCpuTime ? "metered"
                                                 : "sampled";
    table += fmt::format(kRow, kNames[i], sample[i] ? std::to_string(*sample[i]) : "-",
                         sample[i] ? std::to_string(bean.maxheld) : "-", Show(bean.barrier),
                         Show(bean.limit), bean.failcnt, how);
  }
  return table;
}

Result<std::vector<Beancounter::Setting>> Beancounter::Parse(std::string_view text) {
  std::vector<Setting> settings;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (Trim(line).empty()) continue;
    const std::string_view name = TakeWord(&line);
    const auto at = std::ranges::find(kNames, name);
    if (at == kNames.end()) return Fail(EINVAL, "no resource '{}'", name);
    const std::uint64_t barrier = TRY(ParseAmount(TakeWord(&line)));
    const std::uint64_t limit = TRY(ParseAmount(TakeWord(&line)));
    if (!Trim(line).empty()) return Fail(EINVAL, "{}: more than a barrier and a limit", name);
    if (barrier > limit) return Fail(EINVAL, "{}: the barrier is beyond the limit", name);
    settings.push_back({static_cast<Resource>(at - kNames.begin()), barrier, limit});
  }
  if (settings.empty()) return Fail(EINVAL, "no line of resource, barrier, limit");
  return settings;
}

Result<void> Beancounter::Write(BeanCss& css, std::string_view text) {
  const auto settings = TRY(Parse(UpToNul(text)));
  MutexLock lock(mu_);
  for (const Setting& setting : settings) {
    Bean& bean = css.beans[setting.resource];
    bean.barrier = setting.barrier;
    bean.limit = setting.limit;
    bean.over_barrier = false;
  }
  return {};
}

std::shared_ptr<Subsystem> MakeBeancounter() {
  return std::make_shared<Beancounter>(LinuxUsageHost());
}

}  // namespace corral
