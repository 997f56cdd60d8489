#include "cli/top_screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "base/text.h"
#include "cli/output.h"

namespace corral::cli {
namespace {

volatile std::sig_atomic_t g_leave = 0;

constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l";  // the other screen, no cursor
constexpr char kLeave[] = "\x1b[?25h\x1b[?1049l";
constexpr char kHome[] = "\x1b[H";
constexpr char kClearLine[] = "\x1b[K";
constexpr char kClearBelow[] = "\x1b[J";

// The first `columns` characters.
std::string Cut(const std::string& line, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < line.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(line[at]) & 0xC0) != 0x80;
    if (begins && seen++ == columns) break;
  }
  return line.substr(0, at);
}

}  // namespace

TopScreen::TopScreen(bool draws) : draws_(draws && ::isatty(STDOUT_FILENO) == 1) {
  struct sigaction leave = {};
  leave.sa_handler = [](int) { g_leave = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &leave, nullptr);
  if (!draws_) return;
  termios now;
  if (::tcgetattr(STDIN_FILENO, &now) == 0) {
    before_ = now;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &now);
  }
  std::fputs(kEnter, stdout);
}

TopScreen::~TopScreen() {
  if (draws_) {
    std::fputs(kLeave, stdout);
    std::fflush(stdout);
  }
  if (before_) ::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

void TopScreen::Show(const std::vector<std::string>& lines) {
  if (!draws_) {
    for (const std::string& line : lines) Print(line);
    std::fflush(stdout);
    return;
  }
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) {
    size.ws_row = 24;
    size.ws_col = 80;
  }
  std::string frame = kHome;
  for (std::size_t row = 0; row < lines.size() && row < size.ws_row; ++row) {
    if (row != 0) frame += "\r\n";
    frame += Cut(Harmless(lines[row]), size.ws_col) + kClearLine;
  }
  frame += kClearBelow;
  std::fputs(frame.c_str(), stdout);
  std::fflush(stdout);
}

bool TopScreen::Pause(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (g_leave != 0 || std::ferror(stdout)) return false;
    if (left.count() <= 0) return true;
    // Keys are ours only where we set the terminal up.
    pollfd keys = {.fd = before_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    if (::poll(&keys, 1, static_cast<int>(left.count())) <= 0) continue;
    char key = 'q';  // the end of the terminal
    if (::read(STDIN_FILENO, &key, 1) < 0 && errno == EINTR) continue;
    if (key == 'q' || key == 'Q') return false;
  }
}

}  // namespace corral::cli
