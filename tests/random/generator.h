// Generator: the next step, at random, of those that make sense now: mostly right ones, some
// wrong ones, and a bounded number of groups and tasks. The same seed gives the same steps as
// long as the model answers the same.
#ifndef CORRAL_TESTS_RANDOM_GENERATOR_H_
#define CORRAL_TESTS_RANDOM_GENERATOR_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "random/model.h"
#include "random/step.h"

namespace corral::random {

class Generator {
 public:
  // `dialects`: those that mounts ask for.
  Generator(std::uint64_t seed, std::vector<std::string> dialects);
  Step Next(const Model& model);

 private:
  using Maker = Step (Generator::*)(const Model&);
  struct Choice {
    int weight;
    Maker make;
  };
  static const std::vector<Choice> kChoices;

  Step Birth(const Model&);
  Step End(const Model&);
  Step Reap(const Model&);
  Step SetUid(const Model&);
  Step Move(const Model&);
  Step MoveSelf(const Model&);
  Step WriteFlag(const Model&);
  Step WriteOther(const Model&);
  Step WriteQuota(const std::string& mount, const std::string& path);
  Step Mkdir(const Model&);
  Step Rmdir(const Model&);
  Step Rename(const Model&);
  Step Odd(const Model&);
  Step Chmod(const Model&);
  Step Chown(const Model&);
  Step Read(const Model&);
  Step Held(const Model&);
  Step Mount(const Model&);
  Step Umount(const Model&);
  Step Remount(const Model&);

  int Below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  bool OneIn(int n) { return Below(n) == 0; }
  template <typename List>
  auto Pick(const List& list) {
    return *std::next(std::begin(list), Below(static_cast<int>(std::size(list))));
  }
  std::string Task(const Model& model);
  std::string ThreadOf(const Model& model);
  std::string MountPoint(const Model& model);
  std::string Group(const Model& model, const std::string& mount);  // perhaps the top
  std::string ChildOf(const std::string& path, const std::string& name);
  std::string Name();
  std::string File(const Model& model, const std::string& mount, const std::string& path);
  std::string Spelling(const std::string& number);
  std::string FlagText();
  std::string Options();
  unsigned Uid();

  std::mt19937_64 random_;
  const std::vector<std::string> dialects_;
  int next_task_ = 1;
};

}  // namespace corral::random

#endif  // CORRAL_TESTS_RANDOM_GENERATOR_H_
