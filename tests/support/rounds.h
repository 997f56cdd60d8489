// How long a test goes on, as who runs it wants: scripts/nightly longer (CORRAL_RACE_SCALE),
// scripts/test-on-kernel shorter (CORRAL_ROUNDS), where each step takes a hundred times as long.
#ifndef CORRAL_TESTS_SUPPORT_ROUNDS_H_
#define CORRAL_TESTS_SUPPORT_ROUNDS_H_

#include <algorithm>
#include <cstdlib>

namespace corral {

// CORRAL_RACE_SCALE; 1 where that is not set.
inline int Scale() {
  const char* scale = std::getenv("CORRAL_RACE_SCALE");
  return scale ? std::max(1, std::atoi(scale)) : 1;
}

// `wanted` times Scale(), at most CORRAL_ROUNDS where that is set.
inline int Rounds(int wanted) {
  const char* most = std::getenv("CORRAL_ROUNDS");
  const int rounds = wanted * Scale();
  return most ? std::min(rounds, std::atoi(most)) : rounds;
}

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_ROUNDS_H_
