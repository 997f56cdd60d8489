// Clang's thread-safety annotations; nothing with other compilers. The `clang-tsa` preset
// makes a wrong lock a build error.
#ifndef CORRAL_BASE_THREAD_ANNOTATIONS_H_
#define CORRAL_BASE_THREAD_ANNOTATIONS_H_

#if defined(__clang__)
#define CORRAL_TSA(x) __attribute__((x))
#else
#define CORRAL_TSA(x)
#endif

#define CAPABILITY(x) CORRAL_TSA(capability(x))
#define SCOPED_CAPABILITY CORRAL_TSA(scoped_lockable)
#define GUARDED_BY(x) CORRAL_TSA(guarded_by(x))
#define REQUIRES(...) CORRAL_TSA(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) CORRAL_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) CORRAL_TSA(release_capability(__VA_ARGS__))
#define EXCLUDES(...) CORRAL_TSA(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS CORRAL_TSA(no_thread_safety_analysis)

#endif  // CORRAL_BASE_THREAD_ANNOTATIONS_H_
