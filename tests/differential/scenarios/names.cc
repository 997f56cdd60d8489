// Names of cgroups: lengths and bytes, as directories, in proc and for the agent (spec 5.1, 12.2).
#include <fmt/format.h>
#include <sys/stat.h>

#include "differential/scenarios.h"

namespace corral::differential {

void Names(Stage& stage) {
  stage.Mount("none,name=$N,release_agent=$A");
  for (const std::string& name :
       {std::string("sp ace"), std::string("tab\tx"), std::string("back\\slash"),
        std::string("\xff\xfe"), std::string("quote\"'"), std::string("-dash"), std::string("a:b"),
        std::string("\x01\x7f\x1b"), std::string("a,b=c"), std::string("\xc3\xa4"),
        std::string(" "), std::string("*?[$"), std::string("..."), std::string("\r")}) {
    const std::string step = "'" + name + "', ";
    const std::string made = Outcome(::mkdir(stage.At(name).c_str(), 0755));
    stage.Note(step + "mkdir", made);
    if (made != "ok") continue;
    Write(stage.At(name + "/notify_on_release"), "1");
    const Tid task = stage.Start("task");
    Write(stage.At(name + "/tasks"), Text(task));
    stage.Note(step + "place", stage.Place(task));
    stage.End(task);
    stage.Note(step + "the agent's", stage.agent().Paths(1));
    ::rmdir(stage.At(name).c_str());
  }
  stage.Mkdir("a");
  for (const std::string& name :
       {std::string("new\nline"), std::string("\n"), std::string("end\n")}) {
    stage.Note("mkdir '" + name + "'", Outcome(::mkdir(stage.At(name).c_str(), 0755)));
    stage.Note("rename to '" + name + "'",
               Outcome(::rename(stage.At("a").c_str(), stage.At(name).c_str())));
    stage.Note("lookup of '" + name + "'", Outcome(::access(stage.At(name).c_str(), F_OK)));
    stage.Note("rmdir of '" + name + "'", Outcome(::rmdir(stage.At(name).c_str())));
  }
  for (const std::size_t length :
       {1u, 200u, 254u, 255u, 256u, 257u, 300u, 1000u, 1023u, 1024u, 1025u, 2000u, 4000u}) {
    const std::string name(length, 'n'), other(length, 'o');
    std::string seen = "mkdir " + Outcome(::mkdir(stage.At(name).c_str(), 0755));
    seen += ", lookup " + Outcome(::access(stage.At(name + "/tasks").c_str(), F_OK));
    seen += ", rename " + Outcome(::rename(stage.At("a").c_str(), stage.At(other).c_str()));
    ::rename(stage.At(other).c_str(), stage.At("a").c_str());
    seen += ", rmdir " + Outcome(::rmdir(stage.At(name).c_str()));
    seen += ", lookup of nothing " + Outcome(::access(stage.At(other).c_str(), F_OK));
    stage.Note(fmt::format("{} bytes", length), seen);
  }
}

}  // namespace corral::differential
