// A private corral instance for one test: its own daemon, socket and mount points, and all of
// it gone at the end, also when the test fails.
//
//   class Attach : public InstanceTest {};
//   TEST_F(Attach, MovesAProcess) {
//     Mount("none,name=x");                          // at mnt()
//     EXPECT_EQ(Sh("mkdir $MNT/a && echo $$ > $MNT/a/tasks && grep -x $$ $MNT/a/tasks").status, 0);
//   }
#ifndef CORRAL_TESTS_SYSTEM_INSTANCE_H_
#define CORRAL_TESTS_SYSTEM_INSTANCE_H_

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <string>

namespace corral {

struct Outcome {
  int status = 0;   // exit status; 128 + N for signal N
  std::string out;  // standard output and error
};

class InstanceTest : public ::testing::Test {
 protected:
  void SetUp() override;  // skips, with the reason, where the machine lacks something
  void TearDown() override;

  // For a program whose tests share an instance: the one that SetUp of an earlier test made is
  // used again, and Finish ends it.
  void Reuse(const std::string& work) { work_ = work; }
  static void Finish(const std::string& work);

  // Mounts at mnt() (or work()/NAME) with `corral mount`; fails the test on an error.
  void Mount(const std::string& options, const std::string& name = "mnt");

  // What a crash is: SIGKILL, and waits for its end. The next command starts another daemon.
  static void KillDaemon(int signal = SIGKILL);
  // The mount of a daemon that died is taken away and made anew.
  void MountAgain(const std::string& options, const std::string& name = "mnt");

  // Runs a command with sh: $MNT is mnt(), $WORK is work(), corral's binaries are on PATH.
  static Outcome Sh(const std::string& command);

  // An executable release agent that runs `body` ($1 is the path); its path.
  std::string WriteAgent(const std::string& body) const;

  std::string work() const { return work_; }
  std::string mnt() const { return work_ + "/mnt"; }
  static std::string Read(const std::string& path);
  // errno of one write(2), 0 for success.
  static int Write(const std::string& path, const std::string& bytes);

  // Waits up to 60 s.
  static bool Eventually(const std::function<bool()>& condition);

  // I1 and I2 against the machine's task list: no difference.
  void ExpectCleanAudit() const;

 private:
  std::string work_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SYSTEM_INSTANCE_H_
