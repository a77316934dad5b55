#pragma once
// Whose frames are taken when. What a frame asks for may take long: between two such frames, of one connection or of
// many, the loop gets to its timers and to everybody else.
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace boost::asio {
class io_context;
}

namespace orrery::sidecar {

class turn_taker {
 public:
  virtual ~turn_taker() = default;
  /// At least one frame, if there is one, and no further one after `until`. True: there may be more.
  [[nodiscard]] virtual bool take_frames(std::chrono::steady_clock::time_point until) = 0;

 private:
  friend class sdk_turns;
  bool in_line_ = false;
};

/// On the io_context's thread.
class sdk_turns : public std::enable_shared_from_this<sdk_turns> {
 public:
  static constexpr std::chrono::milliseconds turn_length{1};

  using clock = std::chrono::steady_clock;

  /// `now`: what time it is; tests bring their own.
  explicit sdk_turns(boost::asio::io_context& io, std::function<clock::time_point()> now = clock::now)
      : io_(io), now_(std::move(now)) {}
  /// It has frames, perhaps: now, or after those who came before it.
  void want(std::shared_ptr<turn_taker> who);

 private:
  void serve(std::shared_ptr<turn_taker> who, clock::time_point until);
  void go_on_later();

  boost::asio::io_context& io_;
  std::function<clock::time_point()> now_;
  std::deque<std::shared_ptr<turn_taker>> line_;
  bool later_ = false;
};

}  // namespace orrery::sidecar
