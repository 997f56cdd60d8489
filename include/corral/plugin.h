// A subsystem as a shared object that corrald loads: corrald --plugin FILE, corral start --plugin.
//
//   #include <corral/plugin.h>
//   class Tags final : public corral::Subsystem { ... };
//   CORRAL_PLUGIN([] { return std::make_shared<Tags>(); })
//
// Once, in one file of the object. It is built on its own, with the installed headers and the
// compiler that corral was built with (the C++ interface is between them); examples/subsystem is
// such a project. In CMake: add_library(tags MODULE tags.cc) and corral::subsystem to link with.
//
// The daemon calls the function once, before it serves anybody, and uses what it returns until it
// ends; the object is never unloaded. It runs as root, with all the daemon can do. A file that is
// missing, is no plug-in, is of another version of the interface, or whose function throws,
// returns nothing or a name that is taken, and the daemon does not start: it says which and why.
#ifndef CORRAL_PLUGIN_H_
#define CORRAL_PLUGIN_H_

#include <corral/subsystem.h>

#include <cstdint>
#include <memory>

namespace corral {

// Grows with every change of subsystem.h, or of a header it includes, that a compiled plug-in
// would notice.
inline constexpr std::uint32_t kPluginInterface = 3;

// What the object exports, as `corral_plugin`. The first two members never change.
struct Plugin {
  static constexpr char kMagic[8] = {'c', 'o', 'r', 'r', 'a', 'l', 'p', 'i'};

  char magic[8];
  std::uint32_t interface;
  std::shared_ptr<Subsystem> (*make)();
};

}  // namespace corral

#define CORRAL_PLUGIN(...) CORRAL_PLUGIN_OF_INTERFACE(::corral::kPluginInterface, __VA_ARGS__)

// For tests of the check: a plug-in that says it was built for another interface.
#define CORRAL_PLUGIN_OF_INTERFACE(number, ...)                                           \
  extern "C" __attribute__((visibility("default"))) const ::corral::Plugin corral_plugin; \
  extern "C" const ::corral::Plugin corral_plugin = {                                     \
      {'c', 'o', 'r', 'r', 'a', 'l', 'p', 'i'},                                           \
      (number),                                                                           \
      []() -> std::shared_ptr<::corral::Subsystem> { return (__VA_ARGS__)(); }};

#endif  // CORRAL_PLUGIN_H_
