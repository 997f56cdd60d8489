// The whole of a small file, as most of /proc and /sys are.
//
//   const std::string status = TRY(ReadFile("/proc/self/status"));
//   const std::string stat = TRY(ReadFile("stat", task.get()));  // in an open directory
#ifndef CORRAL_BASE_READ_FILE_H_
#define CORRAL_BASE_READ_FILE_H_

#include <corral/result.h>
#include <fcntl.h>

#include <string>

namespace corral {

// Else the errno of open(2) or of the first read(2). What fails after some of it was read, a task
// that ends meanwhile say, ends the text there.
Result<std::string> ReadFile(const std::string& path, int directory = AT_FDCWD);

// The same; empty where it cannot be read.
std::string ReadFileOrNothing(const std::string& path);

}  // namespace corral

#endif  // CORRAL_BASE_READ_FILE_H_
