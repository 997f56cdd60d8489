// SlowClose: a file system with one file, `held`, whose close does not end until the test says
// so. A task that exits with it open stays on its way out: it has left its group, cannot be
// waited for yet, and still holds what it held (spec 10.10).
//
//   SlowClose slow(work() + "/slow");        // mounted there
//   ... a child opens slow.file() and exits ...
//   slow.AwaitClosers(1);                    // it hangs in its exit now
//   slow.LetGo();                            // and ends
#ifndef CORRAL_TESTS_SUPPORT_SLOW_CLOSE_H_
#define CORRAL_TESTS_SUPPORT_SLOW_CLOSE_H_

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct fuse_req;
struct fuse_session;

namespace corral {

class SlowClose {
 public:
  explicit SlowClose(const std::string& directory);  // made here
  ~SlowClose();                                      // lets go, unmounts
  SlowClose(const SlowClose&) = delete;
  SlowClose& operator=(const SlowClose&) = delete;

  std::string file() const { return directory_ + "/held"; }
  bool AwaitClosers(std::size_t count);  // up to 10 s
  void LetGo();                          // these, not later ones

 private:
  static void Flush(fuse_req* request);

  const std::string directory_;
  fuse_session* session_ = nullptr;
  std::thread server_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<fuse_req*> closers_;  // guarded by mu_
  friend struct SlowCloseOperations;
};

}  // namespace corral

#endif  // CORRAL_TESTS_SUPPORT_SLOW_CLOSE_H_
