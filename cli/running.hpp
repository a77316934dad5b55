#pragma once
// cli: running a user's command to its end.
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace orrery::cli {

/// What this program was started with, which is what a command that it runs gets: nothing of what was opened or set
/// since. To be made before anything else is.
class surroundings {
 public:
  surroundings();

  /// For the command; takes the place of what it had.
  void set(const std::string& name, const std::string& value);
  [[nodiscard]] const std::vector<std::string>& environment() const { return environment_; }  ///< "NAME=value"
  /// Lets no program that is started from now on inherit a file that was opened since.
  void keep_the_rest() const;

 private:
  std::vector<std::string> environment_;
  std::set<int> descriptors_;
};

inline constexpr int status_not_runnable = 126;
inline constexpr int status_not_found = 127;

/// Runs a command, found on the PATH, to its end, and passes signals on that ask for one (SIGINT, SIGTERM, SIGHUP,
/// SIGQUIT) or that it may know (SIGUSR1, SIGUSR2), but for those of the terminal, which it has from there. Is its exit
/// status as a shell has it: 128 + N for signal N. Where it cannot be run, 126 or 127, which is said on stderr.
/// `started` is called once it runs: what that opens is not the command's. One at a time; leaves the signals as they
/// were. REQUIRES: `words` is not empty.
[[nodiscard]] int run_to_its_end(const std::vector<std::string>& words, const surroundings& given,
                                 const std::function<void()>& started);

}  // namespace orrery::cli
