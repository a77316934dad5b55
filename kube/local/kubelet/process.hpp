#pragma once
#include "mesh/base/result.hpp"

#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace orrery::local {

/// How a process ended, as container statuses have it: 128 + signal for a signal.
struct process_exit {
  int code = 0;
  int signal = 0;
};

struct process_spec {
  std::vector<std::string> arguments;    ///< the program first; found through PATH of `environment` if it has no slash
  std::vector<std::string> environment;  ///< "NAME=value"
  std::string directory;
};

/// A child in a process group of its own, with one pipe for its output. It dies with the thread that started it, and
/// its group with this program. Not thread-safe, but for terminate().
class process {
 public:
  /// `not_found` or `io` when the program cannot be started.
  [[nodiscard]] static result<process> start(const process_spec& spec);

  process(process&& other) noexcept;
  process& operator=(process&& other) noexcept;
  ~process();  ///< kills the group

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int exit_descriptor() const { return pidfd_; }     ///< readable when the process has ended
  [[nodiscard]] int output_descriptor() const { return output_; }  ///< non-blocking; -1 after its end

  /// The end of the process, once; afterwards whatever is left of its group is killed.
  [[nodiscard]] std::optional<process_exit> reap();
  void signal(int number) const;  ///< to the process alone
  void kill_group() const;
  void close_output();

 private:
  process() = default;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int output_ = -1;
};

/// The path of a program, searched in a PATH like "/usr/bin:/bin"; empty when there is none.
[[nodiscard]] std::string find_program(const std::string& name, const std::string& path);

}  // namespace orrery::local
