#include "cli/keyboard.hpp"

#include "cli/interrupt.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace orrery::cli {

struct keyboard::saved {
  termios before{};
};

keyboard::keyboard() {
  termios now{};
  if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &now) != 0) return;
  saved_ = std::make_unique<saved>(saved{now});
  now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  now.c_cc[VMIN] = 0;
  now.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

keyboard::~keyboard() {
  if (saved_) tcsetattr(STDIN_FILENO, TCSANOW, &saved_->before);
}

std::optional<char> keyboard::wait(std::chrono::milliseconds time) const {
  if (!saved_) {
    pause_for(time);
    return std::nullopt;
  }
  pollfd watched{STDIN_FILENO, POLLIN, 0};
  if (::poll(&watched, 1, static_cast<int>(time.count())) <= 0) return std::nullopt;
  char key = 0;
  return ::read(STDIN_FILENO, &key, 1) == 1 ? std::optional{key} : std::nullopt;
}

std::optional<std::size_t> terminal_rows() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {};
  return size.ws_row;
}

}  // namespace orrery::cli
