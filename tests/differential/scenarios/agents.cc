// The release agent: how it is started, what it is told, and how it is set (spec 10.4
// to 10.6, 8.4).
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

void Empty(Stage& stage, const std::string& path) {
  const Tid task = stage.Start("task");
  Write(stage.At(path + "/tasks"), Text(task));
  stage.End(task);
}

std::string AgentRead(Stage& stage) {
  const std::string agent = Read(stage.At("release_agent"));
  return agent.size() < 40 ? agent
                           : fmt::format("{}... ({} bytes)", agent.substr(0, 10), agent.size());
}

}  // namespace

void HowTheAgentRuns(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=$A");
  stage.Mkdir("a");
  Write(stage.At("a/notify_on_release"), "1");
  ::umask(0);
  const Tid task = stage.Start("task", User(1000));
  ::umask(022);
  Write(stage.At("a/tasks"), Text(task));
  stage.End(task);
  const auto calls = stage.agent().Calls(1);
  stage.Note("calls", std::to_string(calls.size()));
  if (calls.empty()) return;
  for (const auto& [what, seen] : calls.front()) stage.Note(what, seen);
}

void AgentsThatDoNotRun(Stage& stage) {
  stage.Mount("none,name=$N");
  stage.Mkdir("a");
  Write(stage.At("a/notify_on_release"), "1");
  Empty(stage, "a");
  stage.Note("no agent", stage.agent().Paths(0));
  Write(stage.At("release_agent"), stage.agent().path());
  stage.Note("set afterwards", stage.agent().Paths(0));
  Empty(stage, "a");
  stage.Note("emptied again", stage.agent().Paths(1));
  for (const auto& [name, agent] : std::initializer_list<std::pair<const char*, std::string>>{
           {"a missing one", "/nonexistent/agent"},
           {"one with an argument", stage.agent().path() + " argument"},
           {"a directory", "/etc"},
           {"one that is not executable", "/etc/passwd"}}) {
    stage.Note(std::string(name) + ", set",
               Write(stage.At("release_agent"), agent).find('E') == std::string::npos ? "taken"
                                                                                      : "refused");
    Empty(stage, "a");
    stage.Note(name, stage.agent().Paths(0));
  }
  stage.Note("cleared", Write(stage.At("release_agent"), "\n") + " " + AgentRead(stage));
  Empty(stage, "a");
  stage.Note("when cleared", stage.agent().Paths(0));
  Write(stage.At("release_agent"), "\t" + stage.agent().path() + "\n");
  Empty(stage, "a");
  stage.Note("with white space around it", stage.agent().Paths(1));
}

void WritingTheAgent(Stage& stage) {
  stage.Mount("none,name=$N");
  const std::string file = stage.At("release_agent");
  stage.Note("at first", Read(file));
  for (const std::string& text :
       {std::string("/x"),     std::string("/x\n"),        std::string("/x\n\n"),
        std::string(" /x "),   std::string("\t/x\r\n"),    std::string("\v\f/x\v\f"),
        std::string("/x y"),   std::string("/x\0y", 4),    std::string("/x \0y", 5),
        std::string("\0", 1),  std::string("\0/x", 3),     std::string(""),
        std::string("\n"),     std::string(" "),           std::string(" \n\t"),
        std::string("x"),      std::string("../x"),        std::string("/x\ny"),
        std::string("\n/x"),   std::string("/\xff\xfe"),   std::string("/x\xa0"),
        std::string("\xa0/x"), std::string("/x,y=z\\040#")}) {
    Write(file, "/before");
    stage.Note("'" + text + "'", Write(file, text) + " " + AgentRead(stage));
  }
  for (const std::size_t size : {100u, 4093u, 4094u, 4095u, 4096u, 4097u, 5000u, 70000u}) {
    const std::string path = "/" + std::string(size - 1, 'r');
    const std::initializer_list<std::pair<const char*, std::string>> forms = {
        {"a path", path}, {"and a newline", path + "\n"}, {"and two blanks", " " + path + " "}};
    for (const auto& [name, text] : forms) {
      Write(file, "/before");
      stage.Note(fmt::format("{} bytes, {}", size, name),
                 Write(file, text) + " " + AgentRead(stage));
    }
  }
  Write(file, "/a b,c\\d#e\tf");
  stage.Note("shown", stage.ShownOptions());
  Write(file, "\n");
  stage.Note("shown when cleared", stage.ShownOptions());
  stage.Mkdir("a");
  stage.Note("below the top", Opened(::open(stage.At("a/release_agent").c_str(), O_RDONLY)));
}

void WhoSetsTheAgent(Stage& stage) {
  stage.Mount("none,name=$N");
  const std::string file = stage.At("release_agent");
  const auto agent = [&] { return " " + Read(file); };
  stage.Note("a user", stage.As(User(1000), [&] { return Write(file, "/x"); }) + agent());
  ::chmod(file.c_str(), 0666);
  stage.Note("a user who may write",
             stage.As(User(1000), [&] { return Write(file, "/x"); }) + agent());
  stage.Note("a user, nothing", stage.As(User(1000), [&] { return Write(file, "\n"); }) + agent());
  stage.Note("a user, too much",
             stage.As(User(1000), [&] { return Write(file, std::string(5000, 'x')); }));
  ::chown(file.c_str(), 1000, 1000);
  stage.Note("a user who owns it",
             stage.As(User(1000), [&] { return Write(file, "/x"); }) + agent());
  stage.Note("root opens, a user writes", stage.Child([&] {
    const Fd fd(::open(file.c_str(), O_WRONLY));
    ::setresuid(1000, 1000, 1000);
    return Outcome(::write(fd.get(), "/opened", 7));
  }) + agent());
  stage.Note("root opens as a user, root writes", stage.Child([&] {
    ::setresuid(0, 1000, 0);
    const Fd fd(::open(file.c_str(), O_WRONLY));
    ::setresuid(0, 0, 0);
    return Outcome(::write(fd.get(), "/written", 8));
  }) + agent());
}

}  // namespace corral::differential
