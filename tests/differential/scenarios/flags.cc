// Flags that children inherit (spec 5.2).
#include <sys/stat.h>

#include "differential/scenarios.h"

namespace corral::differential {

void InheritedFlags(Stage& stage) {
  stage.Mount();
  for (const char* flag : {"notify_on_release", "cgroup.clone_children"}) {
    const std::string name = flag, step = name + ", ";
    stage.Note(step + "of the top", Read(stage.At(name)));
    stage.Mkdir("before");
    stage.Note(step + "set", Write(stage.At(name), "1"));
    stage.Mkdir("after");
    stage.Mkdir("after/below");
    stage.Note(step + "of a child made before", Read(stage.At("before/" + name)));
    stage.Note(step + "of a child made after", Read(stage.At("after/" + name)));
    stage.Note(step + "of its child", Read(stage.At("after/below/" + name)));
    Write(stage.At("after/" + name), "0");
    stage.Mkdir("after/later");
    stage.Note(step + "of a child of one that was cleared", Read(stage.At("after/later/" + name)));
    stage.Note(step + "of its elder sibling", Read(stage.At("after/below/" + name)));
    Write(stage.At(name), "0");
    stage.Note(step + "when the top was cleared", Read(stage.At("after/below/" + name)));
    for (const char* path : {"before", "after/below", "after/later", "after"})
      ::rmdir(stage.At(path).c_str());
  }
  stage.Note("a mount with clone_children",
             ErrnoName(stage.Mount("none,name=$Nc,clone_children", "second")));
  stage.Note("its top", Read(stage.Work("second/cgroup.clone_children")));
  ::mkdir(stage.Work("second/a").c_str(), 0755);
  stage.Note("its child", Read(stage.Work("second/a/cgroup.clone_children")));
  stage.Note("shown", stage.ShownOptions("second"));
  Write(stage.Work("second/cgroup.clone_children"), "0");
  stage.Note("shown when cleared", stage.ShownOptions("second"));
}

}  // namespace corral::differential
