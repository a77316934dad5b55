#include "cli/running.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace orrery::cli {

namespace {

constexpr int signal_statuses = 128;
constexpr std::array passed_signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

std::atomic<pid_t> command_runs{0};
std::atomic<int> came_too_early{0};

void pass_on(int signal, siginfo_t* from, void* /*context*/) {
  if (from->si_code == SI_KERNEL) return;  // of the terminal, which tells the command too
  const int before = errno;
  if (const auto command = command_runs.load(); command != 0) {
    ::kill(command, signal);
  } else {
    came_too_early = signal;
  }
  errno = before;
}

/// Signals go to the command as long as this lives. Those that are ignored still are, as after nohup.
class passing_signals {
 public:
  passing_signals() {
    struct sigaction wanted {};
    wanted.sa_sigaction = pass_on;
    wanted.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&wanted.sa_mask);
    for (std::size_t i = 0; i < passed_signals.size(); ++i) {
      ::sigaction(passed_signals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler != SIG_IGN) ::sigaction(passed_signals[i], &wanted, nullptr);
    }
  }
  ~passing_signals() {
    for (std::size_t i = 0; i < passed_signals.size(); ++i)
      ::sigaction(passed_signals[i], &before_[i], nullptr);
    command_runs = 0;
    came_too_early = 0;
  }
  passing_signals(const passing_signals&) = delete;
  passing_signals& operator=(const passing_signals&) = delete;

 private:
  std::array<struct sigaction, passed_signals.size()> before_{};
};

std::set<int> open_descriptors() {
  std::set<int> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (folder == nullptr) return found;
  while (const auto* each = ::readdir(folder.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    const std::string_view name = each->d_name;
    int number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    if (number >= 0 && number != ::dirfd(folder.get())) found.insert(number);
  }
  return found;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const auto& text : texts)
    all.push_back(const_cast<char*>(text.c_str()));  // NOLINT: posix_spawn does not change them
  all.push_back(nullptr);
  return all;
}

/// 0, or why not.
int start(pid_t& command, const std::vector<std::string>& words, const surroundings& given) {
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t as_by_default;
  sigemptyset(&as_by_default);
  sigaddset(&as_by_default, SIGPIPE);  // this program ignores it
  ::posix_spawnattr_setsigdefault(&attributes, &as_by_default);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int failed = ::posix_spawnp(&command, words.front().c_str(), nullptr, &attributes, pointers(words).data(),
                                    pointers(given.environment()).data());
  ::posix_spawnattr_destroy(&attributes);
  return failed;
}

}  // namespace

surroundings::surroundings() : descriptors_(open_descriptors()) {
  for (char** at = environ; *at != nullptr; ++at)
    environment_.emplace_back(*at);
}

void surroundings::set(const std::string& name, const std::string& value) {
  std::erase_if(environment_, [&](const std::string& entry) { return entry.starts_with(name + "="); });
  environment_.push_back(name + "=" + value);
}

void surroundings::keep_the_rest() const {
  for (const int each : open_descriptors()) {
    if (!descriptors_.contains(each)) ::fcntl(each, F_SETFD, FD_CLOEXEC);
  }
}

int run_to_its_end(const std::vector<std::string>& words, const surroundings& given,
                   const std::function<void()>& started) {
  const passing_signals for_the_command;
  given.keep_the_rest();
  pid_t command = 0;
  if (const int failed = start(command, words, given); failed != 0) {
    const bool missing = failed == ENOENT || failed == ENOTDIR;
    std::fprintf(stderr, "orrery: %s: cannot run %s: %s\n", missing ? "not_found" : "io", words.front().c_str(),
                 std::strerror(failed));  // NOLINT(concurrency-mt-unsafe)
    return missing ? status_not_found : status_not_runnable;
  }
  command_runs = command;
  if (const int early = came_too_early.exchange(0); early != 0) ::kill(command, early);
  started();
  siginfo_t how{};
  while (::waitid(P_PID, static_cast<id_t>(command), &how, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  command_runs = 0;  // before its number may be another's
  int status = 0;
  while (::waitpid(command, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? signal_statuses + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace orrery::cli
