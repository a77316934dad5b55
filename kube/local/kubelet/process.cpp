#include "kube/local/kubelet/process.hpp"

#include "kube/local/json.hpp"
#include "kube/local/kubelet/guardian.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace orrery::local {
namespace {

bool is_program(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const auto& each : texts)
    out.push_back(const_cast<char*>(each.c_str()));
  out.push_back(nullptr);
  return out;
}

/// In the child: only calls that are safe after fork in a program with threads.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment, const char* directory,
                         int output, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD})
    ::signal(number, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  ::close_range(3, ~0U, 0);
  if (::chdir(directory) == 0) ::execve(program, arguments, environment);
  static constexpr char text[] = "cannot start the program\n";
  (void)!::write(2, text, sizeof text - 1);
  ::_exit(errno == ENOENT ? 127 : 126);
}

}  // namespace

std::string find_program(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return is_program(name) ? name : "";
  for (const auto& folder : split(path, ':')) {
    auto candidate = folder + "/" + name;
    if (is_program(candidate)) return candidate;
  }
  return "";
}

result<process> process::start(const process_spec& spec) {
  std::string path = "/usr/local/bin:/usr/bin:/bin";
  for (const auto& each : spec.environment) {
    if (each.starts_with("PATH=")) path = each.substr(5);
  }
  const auto program = spec.arguments.empty() ? "" : find_program(spec.arguments.front(), path);
  if (program.empty()) {
    return fail(errc::not_found, "exec: \"" + (spec.arguments.empty() ? "" : spec.arguments.front()) +
                                     "\": executable file not found in $PATH of this machine");
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return fail(errc::io, std::string("pipe: ") + std::strerror(errno));
  ::fcntl(ends[1], F_SETFL, 0);  // the child's end blocks, as a terminal would
  const auto arguments = pointers(spec.arguments);
  const auto environment = pointers(spec.environment);
  const auto parent = ::getpid();
  const auto child = ::fork();
  if (child == 0)
    become(program.c_str(), arguments.data(), environment.data(), spec.directory.c_str(), ends[1], parent);
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return fail(errc::io, std::string("fork: ") + std::strerror(errno));
  }
  ::setpgid(child, child);  // also here: whoever comes first
  guard_group(child);
  process out;
  out.pid_ = child;
  // glibc 2.36 declares pidfd_open() without C linkage.
  out.pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  out.output_ = ends[0];
  if (out.pidfd_ >= 0) ::fcntl(out.pidfd_, F_SETFD, FD_CLOEXEC);
  return out;
}

process::process(process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      output_(std::exchange(other.output_, -1)) {}

process& process::operator=(process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(output_, other.output_);
  return *this;
}

process::~process() {
  if (pid_ > 0) {
    kill_group();
    ::waitpid(pid_, nullptr, 0);
    forget_group(pid_);
  }
  if (pidfd_ >= 0) ::close(pidfd_);
  close_output();
}

std::optional<process_exit> process::reap() {
  if (pid_ <= 0) return std::nullopt;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
    return std::nullopt;
  kill_group();  // while the leader is a zombie its group's number cannot be another's
  int status = 0;
  ::waitpid(pid_, &status, 0);
  forget_group(pid_);
  pid_ = -1;
  if (WIFSIGNALED(status)) return process_exit{.code = 128 + WTERMSIG(status), .signal = WTERMSIG(status)};
  return process_exit{.code = WEXITSTATUS(status), .signal = 0};
}

void process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

void process::kill_group() const {
  if (pid_ > 0) ::kill(-pid_, SIGKILL);
}

void process::close_output() {
  if (output_ >= 0) ::close(output_);
  output_ = -1;
}

}  // namespace orrery::local
