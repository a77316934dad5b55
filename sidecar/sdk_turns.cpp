#include "sidecar/sdk_turns.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace orrery::sidecar {

void sdk_turns::want(std::shared_ptr<turn_taker> who) {
  if (who->in_line_) return;
  if (later_) {
    who->in_line_ = true;
    line_.push_back(std::move(who));
    return;
  }
  const auto until = now_() + turn_length;
  serve(std::move(who), until);
  if (!line_.empty() || now_() >= until) go_on_later();
}

void sdk_turns::serve(std::shared_ptr<turn_taker> who, clock::time_point until) {
  who->in_line_ = true;  // what it does may want another turn for it
  who->in_line_ = who->take_frames(until);
  if (who->in_line_) line_.push_back(std::move(who));
}

/// What is posted runs when the loop has looked at its sockets and timers.
void sdk_turns::go_on_later() {
  if (std::exchange(later_, true)) return;
  boost::asio::post(io_, [self = weak_from_this()] {
    const auto held = self.lock();
    if (!held) return;
    const auto until = held->now_() + turn_length;
    while (!held->line_.empty() && held->now_() < until) {
      auto next = std::move(held->line_.front());
      held->line_.pop_front();
      held->serve(std::move(next), until);
    }
    held->later_ = false;
    if (!held->line_.empty() || held->now_() >= until) held->go_on_later();
  });
}

}  // namespace orrery::sidecar
