// A subject: one of the two things that a scenario is played on. The kernel's own cgroup v1,
// as a private named hierarchy; or corral, in the dialect that takes it for its model.
//
// Used by one thread. A subject mounts and says where; all else is files, the same for both.
#ifndef CORRAL_TESTS_DIFFERENTIAL_SUBJECT_H_
#define CORRAL_TESTS_DIFFERENTIAL_SUBJECT_H_

#include <sys/types.h>

#include <memory>
#include <string>

namespace corral::differential {

class Subject {
 public:
  virtual ~Subject() = default;

  // Errno, 0 for success. `options`: spec 3.2.
  virtual int Mount(const std::string& options, const std::string& dir) = 0;
  virtual int Remount(const std::string& options, const std::string& dir) = 0;

  // The hierarchy's options that a user is shown for the mount on `dir` (spec 3.12).
  virtual std::string ShownOptions(const std::string& dir) const = 0;

  // The file that tells where a thread is (spec 12.2); `process` may be "self".
  virtual std::string PlaceFile(const std::string& process, pid_t thread = 0) const = 0;
};

// Null where the kernel has no cgroup v1, or does not let us mount it; `why` says so.
std::unique_ptr<Subject> KernelSubject(std::string& why);

// The instance is the one of $CORRAL_INSTANCE; its daemon starts with the first mount.
std::unique_ptr<Subject> CorralSubject(const std::string& dialect);

}  // namespace corral::differential

#endif  // CORRAL_TESTS_DIFFERENTIAL_SUBJECT_H_
