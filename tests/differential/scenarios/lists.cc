// Reading a list while its members change: in pieces, from several descriptors, after a while
// (spec 7.3).
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

// Six tasks with tids of one length, ascending: a line of each is as long as the other's.
class Members {
 public:
  explicit Members(Stage& stage) : stage_(stage) {
    stage.Mount();
    stage.Mkdir("a");
    for (int i = 0; i < 6; ++i) tasks_.push_back(stage.puppets().Start());
    while (Text(Smallest()).size() != Text(Largest()).size()) Replace();
    std::ranges::sort(tasks_);
    for (int i = 0; i < 6; ++i) stage.Named(tasks_[i], fmt::format("p{}", i));
    for (int i = 0; i < 5; ++i) Join(i);
  }
  void Join(int i) { Write(stage_.At("a/tasks"), Text(tasks_[i])); }
  void Leave(int i) { Write(stage_.At("tasks"), Text(tasks_[i])); }
  std::size_t line() const { return Text(tasks_[0]).size() + 1; }
  Fd Open() const { return Fd(::open(stage_.At("a/tasks").c_str(), O_RDONLY | O_CLOEXEC)); }
  std::string Fresh() const { return stage_.Names(Read(stage_.At("a/tasks"))); }
  std::string Next(const Fd& fd, std::size_t most = 4096) const {
    return stage_.Names(ReadFd(fd.get(), most));
  }
  std::string At(const Fd& fd, off_t offset) const {
    return stage_.Names(PreadFd(fd.get(), offset));
  }
  std::string Rewound(const Fd& fd) const {
    const std::string sought = Outcome(::lseek(fd.get(), 0, SEEK_SET));
    return sought == "ok" ? Next(fd) : sought;
  }

 private:
  Tid Smallest() const { return *std::ranges::min_element(tasks_); }
  Tid Largest() const { return *std::ranges::max_element(tasks_); }
  void Replace() {
    const Tid small = Smallest();
    std::erase(tasks_, small);
    tasks_.push_back(stage_.puppets().Start());
  }

  Stage& stage_;
  std::vector<Tid> tasks_;
};

// Longer than the kernel keeps a list that nobody reads.
void WaitLonger() { std::this_thread::sleep_for(std::chrono::milliseconds(1300)); }

}  // namespace

void ReadingInPieces(Stage& stage) {
  Members members(stage);
  {
    const Fd fd = members.Open();
    stage.Note("the first line", members.Next(fd, members.line()));
    members.Leave(2);
    members.Join(5);
    stage.Note("the rest, when one has left and one has joined", members.Next(fd));
    stage.Note("at the end", members.Next(fd));
    stage.Note("again from the start", members.Rewound(fd));
    stage.Note("a fresh one", members.Fresh());
    stage.Note("again from the start then", members.Rewound(fd));
  }
  {
    const Fd fd = members.Open();
    members.Leave(0);
    stage.Note("opened, changed, read", members.Next(fd));
    members.Join(0);
    members.Leave(5);
    stage.Note("pread at 0 after another change", members.At(fd, 0));
    stage.Note("pread at the second line", members.At(fd, static_cast<off_t>(members.line())));
    stage.Note("pread behind the end", members.At(fd, 4000));
  }
  {
    const Fd fd = members.Open();
    std::string all, byte;
    while (!(byte = ReadFd(fd.get(), 1)).empty()) all += byte;
    stage.Note("a byte at a time", stage.Names(all));
    const std::string whole = PreadFd(fd.get(), 0);
    stage.Note("pread in the middle of a line",
               PreadFd(fd.get(), 3) == whole.substr(3) ? "the rest" : "something else");
    stage.Note("seek to the end", Outcome(::lseek(fd.get(), 0, SEEK_END)));
    stage.Note("seek to the second line",
               Outcome(::lseek(fd.get(), static_cast<off_t>(members.line()), SEEK_SET)) ==
                       std::to_string(members.line())
                   ? members.Next(fd)
                   : "no");
  }
  {
    const Fd fd(::open(stage.At("a/tasks").c_str(), O_RDWR | O_CLOEXEC));
    const std::string self_move = "0x0";  // a position that is less than a line
    stage.Child([&] { return Outcome(::write(fd.get(), self_move.data(), self_move.size())); });
    stage.Note("read after a write by the same descriptor",
               ReadFd(fd.get()) == Read(stage.At("a/tasks")).substr(3)
                   ? "from where the write ended"
                   : "otherwise");
  }
}

void SharedLists(Stage& stage) {
  Members members(stage);
  const Fd first = members.Open();
  stage.Note("the first reads a line", members.Next(first, members.line()));
  members.Join(5);
  const Fd second = members.Open();
  stage.Note("the second reads all", members.Next(second));
  stage.Note("the first reads on", members.Next(first));
  members.Leave(5);
  stage.Note("the first from the start", members.Rewound(first));
  stage.Note("the second by pread", members.At(second, 0));
  stage.Note("a fresh one", members.Fresh());
  stage.Note("the first then", members.Rewound(first));
  stage.Note("the second then", members.At(second, 0));
  members.Leave(4);
  WaitLonger();
  stage.Note("the first after a while", members.Rewound(first));
  members.Leave(3);
  stage.Note("processes have a list of their own", stage.Names(Read(stage.At("a/cgroup.procs"))));
  stage.Note("it is current", members.Fresh());
}

}  // namespace corral::differential
