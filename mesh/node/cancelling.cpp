// Calls that nobody waits for any more: taken back from the process that has not begun them, wherever they wait.
#include "mesh/node/impl.hpp"

namespace orrery::node {

void core::impl::take(const client_cancelled& seen) {
  if (const auto token = pending_.of_client(seen.id)) cancel(*token);
}

void core::impl::take(const client_gone& seen) {
  if (const auto token = pending_.of_client(seen.id)) {
    pending_.disown(*token);
    cancel(*token);
  }
  trace_client_gone(seen.id);
}

void core::impl::on_cancel(link_id link, const wire::cancel& received) {
  if (const auto token = pending_.of_peer({link, received.id})) cancel(*token);  // else its reply is on the way
}

/// Whoever asked hears what became of it: now, or, where a peer has it, when that has said so.
void core::impl::cancel(reply_token token) {
  pending& entry = *pending_.find(token);
  if (std::holds_alternative<ask_call>(entry.what)) {
    const bool elsewhere = entry.where == pending::place::forwarded;
    const auto peer = elsewhere ? members_.find(entry.peer) : std::nullopt;
    if (peer && (peer->features & wire::feature_cancel) != 0) {
      if (!std::exchange(entry.cancelled, true)) transmit_to(entry.peer, wire::cancel{token.value});
      return;
    }
    if (!elsewhere && (entry.where == pending::place::parked || runtime_.cancel(entry.asked, token))) {
      ++counted_.calls_cancelled;
      return complete(token, fail(errc::cancelled, "cancelled by its caller before it began"));
    }
  }
  answer(entry.from, fail(errc::cancelled, "cancelled by its caller", took_effect::unknown));
  pending_.disown(token);
}

}  // namespace orrery::node
