#include "daemon/plugin.h"

#include <corral/plugin.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/own_path.h"
#include "core/subsystem_table.h"

namespace corral {

Result<std::shared_ptr<Subsystem>> LoadPlugin(const std::string& file) {
  // All symbols now: what is missing is found here, not while somebody moves a task.
  void* const object = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) return Fail(ENOENT, "cannot load plug-in {}: {}", file, ::dlerror());
  const auto* const plugin = static_cast<const Plugin*>(::dlsym(object, "corral_plugin"));
  if (plugin == nullptr || std::memcmp(plugin->magic, Plugin::kMagic, sizeof plugin->magic) != 0) {
    return Fail(EINVAL, "{} is no plug-in of corral: it has no CORRAL_PLUGIN()", file);
  }
  if (plugin->interface != kPluginInterface) {
    return Fail(EINVAL,
                "plug-in {} is built for version {} of the interface, this corrald has version {}; "
                "build it again with the headers of this corral",
                file, plugin->interface, kPluginInterface);
  }
  auto made = CallForeign([&] { return fmt::format("plug-in {}", file); },
                          [&]() -> Result<std::shared_ptr<Subsystem>> { return plugin->make(); });
  if (made && !*made) return Fail(EIO, "plug-in {} made no subsystem", file);
  return made;
}

std::string RememberedPluginsFile(const std::string& runtime_dir) { return runtime_dir + "/plugins"; }

// Each ends with a NUL, which is in no file's name. What is listed runs as root: nobody else may have
// written it.
Result<std::vector<std::string>> RememberedPlugins(const std::string& runtime_dir) {
  const std::string path = RememberedPluginsFile(runtime_dir);
  std::vector<std::string> files;
  if (auto ours = OpenOwnFile(path, O_RDONLY, 0600); !ours) {
    if (ours.error().code == ENOENT) return files;
    return Fail(ours.error());
  }
  std::ifstream in(path);
  for (std::string file; std::getline(in, file, '\0');) files.push_back(file);
  return files;
}

// By another name first: a crash leaves the old list or the new one.
Result<void> RememberPlugins(const std::string& runtime_dir,
                             const std::vector<std::string>& files) {
  const std::string path = RememberedPluginsFile(runtime_dir);
  std::string text;
  for (const std::string& file : files) text += file + '\0';
  ::unlink((path + ".new").c_str());
  if (auto ours = OpenOwnFile(path + ".new", O_WRONLY | O_CREAT | O_EXCL, 0600); !ours) {
    return Fail(ours.error());
  }
  std::ofstream(path + ".new") << text << std::flush;
  std::error_code error;
  if (std::filesystem::file_size(path + ".new", error) != text.size() && !error) {
    return Fail(EIO, "cannot write {}", path);
  }
  if (!error) std::filesystem::rename(path + ".new", path, error);
  if (error) return Fail(error.value(), "cannot write {}: {}", path, error.message());
  return {};
}

}  // namespace corral
