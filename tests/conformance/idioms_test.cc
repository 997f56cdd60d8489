// What scripts in the field do with groups, each as it is done.
#include <unistd.h>

#include <cstdlib>

#include "conformance/conformance.h"

namespace corral {
namespace {

class Idioms : public Conformance {
 protected:
  // Puts it on $PYTHON; that of the machine, not what a version manager has in front of it.
  static bool HasPython() {
    const bool usual = ::access("/usr/bin/python3", X_OK) == 0;
    ::setenv("PYTHON", usual ? "/usr/bin/python3" : "python3", 1);
    return usual || Sh("$PYTHON -c pass").status == 0;
  }
};
CORRAL_IN_EVERY_DIALECT(Idioms);

TEST_P(Idioms, AnAgentThatDoesNothingButRmdir) {
  Spec("10.2 10.4 5.3");
  SetAgent(WriteAgent("rmdir \"" + mnt() + "$1\""));
  ASSERT_EQ(Sh("mkdir -p $MNT/jobs/one\n"
               "echo 1 > $MNT/jobs/one/notify_on_release\n"
               "sh -c 'echo $$ > $MNT/jobs/one/tasks; sleep 0.01'")
                .status,
            0);
  EXPECT_TRUE(Eventually([&] { return ::access((mnt() + "/jobs/one").c_str(), F_OK) != 0; }));
  EXPECT_EQ(Sh("ls -d $MNT/jobs").status, 0) << "its flag was clear";
}

// Each level is removed when the one below it is.
TEST_P(Idioms, TheAgentThatRemovesAWholeBranch) {
  Spec("10.2 5.2");
  SetAgent(WriteAgent("rmdir \"" + mnt() + "$1\""));
  ASSERT_EQ(Sh("mkdir $MNT/a; echo 1 > $MNT/a/notify_on_release; mkdir -p $MNT/a/b/c/d\n"
               "sh -c 'echo 0 > $MNT/a/b/c/d/tasks'")
                .status,
            0);
  EXPECT_TRUE(Eventually([&] { return ::access((mnt() + "/a").c_str(), F_OK) != 0; }));
}

TEST_P(Idioms, EchoOfTheShellAndEchoTheProgram) {
  Spec("6.2 6.3");
  EXPECT_EQ(Sh("mkdir $MNT/g; sleep 60 & p=$!\n"
               "echo $p > $MNT/g/tasks && cat $MNT/g/tasks | grep -cx $p\n"
               "/bin/echo $p > $MNT/tasks && grep -cx $p $MNT/g/tasks\n"
               "/bin/echo $p >> $MNT/g/tasks && grep -cx $p $MNT/g/tasks\n"
               "kill $p; /bin/echo 99999999 > $MNT/g/tasks; echo $?")
                .out,
            "1\n0\n1\n/bin/echo: write error: No such process\n1\n");
}

TEST_P(Idioms, AShellPutsItselfInAndAllItStartsFollows) {
  Spec("6.2 11.1");
  EXPECT_EQ(Sh("mkdir $MNT/g; echo $$ > $MNT/g/tasks\n"
               "sleep 60 & sleep 60 & (sleep 60 & : > $WORK/started; wait) &\n"
               "until [ -e $WORK/started ]; do sleep 0.01; done\n"
               "n=$(cat $MNT/g/tasks | wc -l); [ $n -ge 5 ] && echo all\n"
               "kill $(grep -vx $$ $MNT/g/tasks) 2>/dev/null; wait")
                .out,
            "all\n");
}

TEST_P(Idioms, MkdirDashP) {
  Spec("5.1");
  EXPECT_EQ(Sh("mkdir -p $MNT/a/b/c && mkdir -p $MNT/a/b/c && ls -d $MNT/a/b/c/tasks").out,
            mnt() + "/a/b/c/tasks\n");
}

TEST_P(Idioms, XargsMovesOneTaskAfterTheOther) {
  Spec("6.1");
  EXPECT_EQ(Sh("mkdir $MNT/from $MNT/to\n"
               "for i in 1 2 3 4 5; do sleep 60 & echo $! > $MNT/from/tasks; done\n"
               "xargs -n1 sh -c 'echo $0 > $MNT/to/tasks' < $MNT/from/tasks\n"
               "cat $MNT/from/tasks | wc -l; cat $MNT/to/tasks | wc -l\n"
               "xargs kill < $MNT/to/tasks; wait; rmdir $MNT/from $MNT/to; echo $?")
                .out,
            "0\n5\n0\n");
}

TEST_P(Idioms, MvRenamesAGroup) {
  Spec("5.5");
  EXPECT_EQ(Sh("mkdir $MNT/old; sleep 60 & echo $! > $MNT/old/tasks\n"
               "mv $MNT/old $MNT/new && grep -cx $! $MNT/new/tasks; ls -d $MNT/old 2>/dev/null\n"
               "kill $!; wait; rmdir $MNT/new; echo $?")
                .out,
            "1\n0\n");
}

TEST_P(Idioms, FindWalksTheTree) {
  Spec("4.3");
  EXPECT_EQ(Sh("mkdir -p $MNT/a/b $MNT/c; cd $MNT; find . -type d | sort | tr '\\n' ' '\n"
               "find . -name tasks | wc -l; find . -depth -mindepth 1 -type d -exec rmdir {} +; ls "
               "-d */ 2>/dev/null")
                .out,
            ". ./a ./a/b ./c 4\n");
}

TEST_P(Idioms, WcCountsTasks) {
  Spec("7.1");
  EXPECT_EQ(
      Sh("mkdir $MNT/g; for i in 1 2 3; do sleep 60 & echo $! > $MNT/g/tasks; done\n"
         "cat $MNT/g/tasks | wc -l; wc -l < $MNT/g/tasks; wc -l $MNT/g/tasks | cut -d' ' -f1\n"
         "kill $(cat $MNT/g/tasks); wait; cat $MNT/g/tasks | wc -l")
          .out,
      "3\n3\n3\n0\n");
}

TEST_P(Idioms, CpCopiesAControlFile) {
  Spec("4.5");
  EXPECT_EQ(Sh("mkdir $MNT/g; echo 1 > $MNT/g/notify_on_release\n"
               "cp $MNT/g/notify_on_release $WORK/flag; cat $WORK/flag\n"
               "mkdir $MNT/h; cp $MNT/g/notify_on_release $MNT/h/notify_on_release\n"
               "cat $MNT/h/notify_on_release; cp $MNT/tasks $WORK/tasks; grep -cx 1 $WORK/tasks\n"
               "tail -c1 $WORK/tasks | od -An -c | tr -d ' '")
                .out,
            "1\n1\n1\n\\n\n");
}

TEST_P(Idioms, CpDashRCopiesATreeOut) {
  Spec("4.5");
  EXPECT_EQ(Sh("mkdir -p $MNT/a/b; echo 1 > $MNT/a/b/notify_on_release\n"
               "cp -r $MNT/a $WORK/copy\n"
               "cat $WORK/copy/b/notify_on_release; wc -c < $WORK/copy/b/tasks")
                .out,
            "1\n0\n");
}

TEST_P(Idioms, PythonsCopytreeCopiesATreeOut) {
  Spec("4.5");
  if (!HasPython()) GTEST_SKIP() << "no python3";
  EXPECT_EQ(Sh("mkdir -p $MNT/a/b; echo 1 > $MNT/a/b/notify_on_release; $PYTHON - <<'E'\n"
               "import os, shutil\n"
               "shutil.copytree(os.environ['MNT'] + '/a', os.environ['WORK'] + '/copy')\n"
               "E\n"
               "cat $WORK/copy/b/notify_on_release; wc -c < $WORK/copy/b/tasks")
                .out,
            "1\n0\n");
}

// It unlinks files first, which control files refuse: groups go with rmdir alone.
TEST_P(Idioms, PythonsRmtreeFailsAtTheFilesAndOsWalkRemovesTheTree) {
  Spec("5.3");
  if (!HasPython()) GTEST_SKIP() << "no python3";
  EXPECT_EQ(Sh("mkdir -p $MNT/a/b/c; $PYTHON - <<'E'\n"
               "import os, shutil\n"
               "top = os.environ['MNT'] + '/a'\n"
               "try:\n"
               "    shutil.rmtree(top)\n"
               "except PermissionError as e:\n"
               "    print(e.strerror)\n"
               "for path, _, _ in os.walk(top, topdown=False):\n"
               "    os.rmdir(path)\n"
               "print(os.path.exists(top))\n"
               "E")
                .out,
            "Operation not permitted\nFalse\n");
}

TEST_P(Idioms, PythonReadsAndWritesTasks) {
  Spec("6.1 7.1");
  if (!HasPython()) GTEST_SKIP() << "no python3";
  EXPECT_EQ(Sh("mkdir $MNT/g; $PYTHON - <<'E'\n"
               "import os\n"
               "tasks = os.environ['MNT'] + '/g/tasks'\n"
               "with open(tasks, 'w') as f:\n"
               "    f.write(str(os.getpid()))\n"
               "print([int(t) for t in open(tasks)] == [os.getpid()])\n"
               "E")
                .out,
            "True\n");
}

}  // namespace
}  // namespace corral
