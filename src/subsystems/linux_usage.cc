// What the processes of this machine use.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <string>
#include <system_error>

#include "base/read_file.h"
#include "subsystems/real_tasks.h"

namespace corral {
namespace {

class LinuxUsage final : public UsageHost {
 public:
  Result<Usage> UsageOf(Tgid process) const override {
    std::istringstream statm(ReadFileOrNothing(fmt::format("/proc/{}/statm", process.value)));
    Usage usage;
    std::uint64_t size = 0;
    if (!(statm >> size >> usage.pages)) return Fail(ESRCH, "process {} has ended", process.value);
    usage.files = CountFiles(fmt::format("/proc/{}/fd", process.value));
    return usage;
  }

 private:
  // The directory's size is their number since Linux 6.2; 0 before.
  static std::uint64_t CountFiles(const std::string& directory) {
    struct stat stat = {};
    if (::stat(directory.c_str(), &stat) == 0 && stat.st_size > 0) {
      return static_cast<std::uint64_t>(stat.st_size);
    }
    std::error_code ended;
    const auto files = std::filesystem::directory_iterator(directory, ended);
    std::uint64_t count = 0;
    for (auto file = begin(files); file != end(files); file.increment(ended)) ++count;
    return count;
  }
};

}  // namespace

std::shared_ptr<UsageHost> LinuxUsageHost() { return std::make_shared<LinuxUsage>(); }

}  // namespace corral
