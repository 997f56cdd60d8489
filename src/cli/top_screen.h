// TopScreen: a terminal that is drawn again and again, with plain ANSI sequences. On anything
// else the frames come one after the other.
//
// As long as it lives, keys come one by one and are not shown, and the screen is another one;
// then all is as it was. SIGINT, SIGTERM and SIGHUP end Pause(). One at a time, one thread.
#ifndef CORRAL_CLI_TOP_SCREEN_H_
#define CORRAL_CLI_TOP_SCREEN_H_

#include <termios.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace corral::cli {

class TopScreen {
 public:
  explicit TopScreen(bool draws);  // false: never a terminal
  ~TopScreen();
  TopScreen(const TopScreen&) = delete;
  TopScreen& operator=(const TopScreen&) = delete;

  // As much of it as fits.
  void Show(const std::vector<std::string>& lines);
  // False: the user wants to leave.
  bool Pause(std::chrono::milliseconds time);

 private:
  const bool draws_;
  std::optional<termios> before_;
};

}  // namespace corral::cli

#endif  // CORRAL_CLI_TOP_SCREEN_H_
