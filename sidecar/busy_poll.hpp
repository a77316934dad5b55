#pragma once
// A loop that has nothing to do looks for work for a while before its thread sleeps, where that pays
// (docs/decisions/0020): waking a thread of a virtual machine takes several times as long as a call between two nodes.
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace boost::asio {
class io_context;
}

namespace orrery::sidecar {

/// What came of looking for work.
struct look_result {
  bool found = false;
  bool crowded = false;  ///< others had the processor for longer than the look was to take: it is not there for looking
};

/// Whether to look: while nine of ten looks find something, as they do in traffic that goes back and forth. What comes
/// now and then is waited for asleep, and so is what comes too late as often as in time; one wait in 64 tries again,
/// and fewer and fewer where the processor is wanted.
class busy_poll {
 public:
  static constexpr duration length_max = std::chrono::milliseconds{1};
  /// About what a waking takes, so that a look in vain costs no more than one that succeeds saves.
  static constexpr duration usual_length = std::chrono::microseconds{50};

  /// Of 0: never.
  explicit busy_poll(duration length) : length_(length) {}

  /// For how long, this time.
  [[nodiscard]] duration next() {
    if (credit_ > 0) return length_;
    passed_ = (passed_ + 1) % one_in_;
    return passed_ == 0 ? length_ : duration{0};
  }
  /// What came of the last `next` that was not 0.
  void ended(look_result how) {
    if (how.crowded) {
      credit_ = 0;
      one_in_ = std::min(8 * one_in_, one_in_max);
    } else if (how.found) {
      credit_ = std::min(credit_ + 1, credit_max);
      one_in_ = std::max(one_in_ / 2, one_in_least);
    } else {
      credit_ -= std::min(credit_, cost);
    }
  }

  static constexpr unsigned cost = 9;  ///< of a look in vain
  static constexpr unsigned credit_max = 4 * cost;
  static constexpr unsigned one_in_least = 64;
  static constexpr unsigned one_in_max = 32'768;

 private:
  duration length_;
  unsigned credit_ = 0;
  unsigned passed_ = one_in_least - 1;  ///< the first wait is tried
  unsigned one_in_ = one_in_least;
};

/// `auto`, which is none, `off`, or a length up to length_max.
[[nodiscard]] result<std::optional<duration>> parse_busy_poll(const std::string& text);
/// usual_length; 0 where a loop that looks could take what others of this process need: it has one processor, or a
/// quota of less than two.
[[nodiscard]] duration busy_poll_length(unsigned processors, std::optional<double> quota);
/// Of this process.
[[nodiscard]] duration busy_poll_length();

/// Runs what is ready until there was something, or for so long.
[[nodiscard]] look_result look(boost::asio::io_context& io, duration length);
/// Runs it until it is stopped.
void run(boost::asio::io_context& io, busy_poll looks,
         const std::function<look_result(boost::asio::io_context&, duration)>& how = look);

}  // namespace orrery::sidecar
