// CORRAL_CHECK: our own mistakes end here, with file, line and the condition.
#ifndef CORRAL_BASE_CHECK_H_
#define CORRAL_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define CORRAL_CHECK(condition)                                                                  \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      std::fprintf(stderr, "corral: %s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                              \
    }                                                                                            \
  } while (0)

#endif  // CORRAL_BASE_CHECK_H_
