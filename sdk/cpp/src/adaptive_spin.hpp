#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

namespace orrery::app {

/// How long to look for an answer again and again before sleeping for it. Waking a thread takes tens of microseconds,
/// which is longer than a sidecar takes to answer. So while one caller asks again and again, and answers come in time,
/// this saves that; while they do not it soon stops, and is tried again only now and then. Callers of several threads
/// need the processor themselves.
class adaptive_spin {
 public:
  explicit adaptive_spin(std::chrono::microseconds length) : length_(length) {}

  /// An answer has come; so many requests were under way at once since the one before.
  void answered(std::size_t at_once) {
    answered_ = true;
    crowd_ = at_once > 1 ? crowd_remembered : crowd_ - std::min(crowd_, 1U);
  }
  [[nodiscard]] std::chrono::microseconds next() {
    if (!std::exchange(answered_, false) || crowd_ > 0) return {};
    if (credit_ > 0) return length_;
    passed_ = (passed_ + 1) % tried_one_in;
    return passed_ == 0 ? length_ : std::chrono::microseconds{0};
  }
  /// What came of the last `next` that was not 0.
  void came_in_time(bool yes) { credit_ = yes ? std::min(credit_ + credit_gained, credit_max) : credit_ / 2; }

  static constexpr unsigned credit_gained = 4;
  static constexpr unsigned credit_max = 16;
  static constexpr unsigned tried_one_in = 32;
  static constexpr unsigned crowd_remembered = 64;  ///< answers

 private:
  std::chrono::microseconds length_;
  bool answered_ = false;
  unsigned credit_ = 0;
  unsigned passed_ = 0;
  unsigned crowd_ = 0;
};

}  // namespace orrery::app
