// corral-random: random steps on a real instance and on the model of the specification, compared
// after each. A difference is shrunk to a short script, which is printed, with the seed.
//
//   corral-random --steps 20000 --seed 1 --seeds 5
//   corral-random --dialect v11 --seed 7
//   corral-random --script FILE          replays; - for standard input
//   corral-random --verbs                what a script may say
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "random/generator.h"
#include "random/lockstep.h"
#include "random/verbs.h"

namespace corral::random {
namespace {

using Clock = std::chrono::steady_clock;

struct Plan {
  std::uint64_t seed = 1;
  int seeds = 1;
  int steps = 20000;
  int episode = 1000;  // steps on one machine, from its start
  bool print = false;
  int shrinks = 400;  // replays at most
  std::vector<std::string> dialects{"v6", "v11", "corral", "linux"};
};

int Report(const Script& script, const Difference& difference, const Plan& plan) {
  fmt::print("DIFFERENCE after step {}: {}\n", difference.step, difference.what);
  fmt::print("replay: corral-random --seed {} --steps {} --dialect {}; shortening it\n", plan.seed,
             script.size(), fmt::join(plan.dialects, " "));
  std::cout.flush();
  const bool at_end = difference.step == script.size();
  const Script little = Shrink(script, Mistake::kNone, plan.shrinks, at_end);
  const auto last = Replay(little, Mistake::kNone);
  fmt::print("---- script\n{}---- {}\n", Format(little), last ? last->what : "not seen again");
  return 1;
}

// On a new machine, so that what fails is no longer than this.
int RunEpisode(const Plan& plan, int steps, int* done) {
  auto machine = std::make_unique<Machine>();
  Lockstep lockstep(*machine);
  Generator generator(plan.seed, plan.dialects);
  Script script;
  std::optional<Difference> difference;
  while (static_cast<int>(script.size()) < steps && !difference) {
    script.push_back(generator.Next(lockstep.model()));
    if (plan.print) fmt::print("{}\n", Format(script.back()));
    if (const auto what = lockstep.Do(script.back())) difference = {script.size() - 1, *what};
  }
  *done += static_cast<int>(script.size());
  if (!difference) {
    if (const auto what = lockstep.Finish()) difference = {script.size(), *what};
  }
  machine.reset();  // one at a time
  return difference ? Report(script, *difference, plan) : 0;
}

// The episodes of a seed have seeds of their own: what is printed is replayed alone.
int RunSeed(Plan plan) {
  constexpr std::uint64_t kNextEpisode = 1'000'003;
  const std::uint64_t seed = plan.seed;
  const auto begin = Clock::now();
  int done = 0;
  for (; done < plan.steps; plan.seed += kNextEpisode) {
    const int steps = std::min(plan.episode, plan.steps - done);
    if (const int failed = RunEpisode(plan, steps, &done)) return failed;
  }
  const std::chrono::duration<double> seconds = Clock::now() - begin;
  fmt::print("FIGURES seed {}: {} steps, none differs; {:.0f} a second\n", seed, done,
             done / seconds.count());
  return 0;
}

int ReplayFile(const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream file(path);
    if (!file) {
      fmt::print(stderr, "cannot read {}\n", path);
      return 2;
    }
    text << file.rdbuf();
  }
  const Script script = ParseScript(text.str());
  const auto difference = Replay(script, Mistake::kNone);
  if (!difference) {
    fmt::print("{} steps, none differs\n", script.size());
    return 0;
  }
  const bool at_end = difference->step == script.size();
  fmt::print("after {}: {}\n", at_end ? "the end" : Format(script[difference->step]),
             difference->what);
  return 1;
}

int Main(int argc, char** argv) {
  Plan plan;
  std::string script;
  bool verbs = false;
  CLI::App app{"Random steps on a corral instance and on the model of the specification"};
  app.add_option("--seed", plan.seed, "The first seed");
  app.add_option("--seeds", plan.seeds, "How many, one after the other");
  app.add_option("--steps", plan.steps, "Steps with each seed");
  app.add_option("--episode", plan.episode, "So many of them on one machine, from its start");
  app.add_flag("--print", plan.print, "Print the steps");
  app.add_option("--shrinks", plan.shrinks, "Replays at most to shorten a script");
  app.add_option("--dialect", plan.dialects, "v6, v11, corral, linux; all unless given");
  app.add_option("--script", script, "Replay this file");
  app.add_flag("--verbs", verbs, "Print what a script may say");
  CLI11_PARSE(app, argc, argv);
  if (verbs) {
    for (const Verb& verb : kVerbs) fmt::print("{}\n", verb.usage);
    return 0;
  }
  if (::geteuid() != 0) {
    fmt::print(stderr, "corral-random: needs root\n");
    return 2;
  }
  if (!script.empty()) return ReplayFile(script);
  for (int i = 0; i < plan.seeds; ++i, ++plan.seed) {
    if (const int failed = RunSeed(plan)) return failed;
    std::cout.flush();
  }
  return 0;
}

}  // namespace
}  // namespace corral::random

int main(int argc, char** argv) { return corral::random::Main(argc, argv); }
