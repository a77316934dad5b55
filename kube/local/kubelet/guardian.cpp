#include "kube/local/kubelet/guardian.hpp"

#include <array>
#include <cstddef>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orrery::local {
namespace {

constexpr std::size_t groups_max = 4096;

/// Positive: guard this group; negative: forget it.
using message = int;

/// In the child of a program with threads: only calls that are safe after fork.
[[noreturn]] void watch_over(int pipe_end) {
  static std::array<pid_t, groups_max> groups{};
  message next = 0;
  for (;;) {
    const auto size = ::read(pipe_end, &next, sizeof next);
    if (size < 0) continue;  // interrupted
    if (size == 0) break;
    const auto wanted = next > 0 ? 0 : -next;
    for (auto& slot : groups) {
      if (slot != wanted) continue;
      slot = next > 0 ? next : 0;
      break;
    }
  }
  for (const auto group : groups) {
    if (group > 1) ::kill(-group, SIGKILL);
  }
  ::_exit(0);
}

class guardian {
 public:
  guardian() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    const auto child = ::fork();
    if (child == 0) {
      if (::fork() != 0) ::_exit(0);  // the grandchild is not ours to wait for
      ::setsid();
      ::dup2(ends[0], 3);
      ::close_range(4, ~0U, 0);
      ::close(0);
      ::close(1);
      ::close(2);
      watch_over(3);
    }
    ::close(ends[0]);
    pipe_ = ends[1];
    if (child > 0) ::waitpid(child, nullptr, 0);
  }
  void tell(message text) const {
    if (pipe_ >= 0) (void)!::write(pipe_, &text, sizeof text);  // atomic: shorter than PIPE_BUF
  }

 private:
  int pipe_ = -1;
};

guardian& the_guardian() {
  static guardian one;
  return one;
}

}  // namespace

void guard_group(pid_t group) { the_guardian().tell(group); }
void forget_group(pid_t group) { the_guardian().tell(-group); }

}  // namespace orrery::local
