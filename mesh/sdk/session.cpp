#include "mesh/sdk/session.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/base/overloaded.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <utility>

namespace orrery::sdk {
namespace {

error refusal(errc code, std::string why) { return {code, std::move(why), took_effect::not_executed}; }

std::size_t length_of(byte_view head) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < length_bytes; ++i)
    size = size << 8U | head[i];
  return size;
}

}  // namespace

// ---- the connection ----

void session::received(time_point now, byte_view arrived) {
  if (over_) return;
  heard_from(now);
  drop_taken();
  in_.insert(in_.end(), arrived.begin(), arrived.end());
}

void session::heard_from(time_point now) {
  heard_ = now;
  pinged_.reset();
}

void session::held_up(time_point now) {
  heard_from(now);
  if (partial_since_) partial_since_ = now;
}

bool session::may_have(std::size_t size, outputs& out) {
  const auto most = greeted_ ? frame_bytes_max : hello_bytes_max;
  if (size <= most) return true;
  fatal(refusal(errc::too_large, "a frame of " + std::to_string(size) + " bytes; at most " + std::to_string(most) +
                                     (greeted_ ? "" : ", for a hello")),
        out);
  return false;
}

void session::received_piece(time_point now, byte_view piece, bool whole, encoding how, outputs& out) {
  if (over_) return;
  ORRERY_ASSERT(!whole_);
  heard_from(now);
  in_pieces_ = true;
  if (!greeted_) how_ = how;
  if (how != how_) {
    return fatal(refusal(errc::protocol, how == encoding::json ? "a text message, after a hello in CBOR"
                                                               : "a binary message, after a hello in JSON"),
                 out);
  }
  if (!may_have(in_.size() + piece.size(), out)) return;
  if (!partial_since_) partial_since_ = now;
  in_.insert(in_.end(), piece.begin(), piece.end());
  whole_ = whole;
}

bool session::next(time_point now, outputs& out) {
  if (over_) return false;
  if (in_pieces_) {
    if (!std::exchange(whole_, false)) return false;
    partial_since_.reset();
    const auto payload = std::exchange(in_, {});
    payload.empty() ? fatal(refusal(errc::protocol, "a frame of no bytes"), out) : take_frame(payload, out);
    return true;
  }
  const byte_view rest = byte_view{in_}.subspan(taken_);
  if (rest.size() >= length_bytes) {
    const auto size = length_of(rest);
    if (size == 0) {
      fatal(refusal(errc::protocol, "a frame of no bytes"), out);
      return true;
    }
    if (!may_have(size, out)) return true;
    if (rest.size() - length_bytes >= size) {
      if (!greeted_ && rest[length_bytes] == '{') how_ = encoding::json;
      taken_ += length_bytes + size;
      partial_since_.reset();
      take_frame(rest.subspan(length_bytes, size), out);
      return true;
    }
  }
  drop_taken();
  if (!in_.empty() && !partial_since_) partial_since_ = now;
  return false;
}

void session::drop_taken() {
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(std::exchange(taken_, 0)));
  if (in_.empty() && in_.capacity() > frame_bytes_max / 8) in_ = {};
}

void session::take_frame(byte_view payload, outputs& out) {
  auto read = decode(payload, how_);
  if (!read) return fatal(read.error(), out);
  if (greeted_ == std::holds_alternative<hello>(*read)) {
    return fatal(refusal(errc::protocol, greeted_ ? "a second hello" : "the first frame must be a hello"), out);
  }
  std::visit([&](auto& said) { take(said, out); }, *read);
}

void session::tick(time_point now, outputs& out) {
  if (over_) return;
  if (!greeted_ && now - born_ >= hello_timeout) {
    return fatal(refusal(errc::deadline_exceeded, "no hello within 5 s"), out);
  }
  if (partial_since_ && now - *partial_since_ >= frame_timeout) {
    return fatal(refusal(errc::deadline_exceeded, "a frame that was not whole after 30 s"), out);
  }
  if (now - heard_ >= 2 * keepalive) {
    return fatal(refusal(errc::deadline_exceeded, "no sign of life for 30 s, though it was asked for"), out);
  }
  if (now - heard_ >= keepalive && !pinged_) {
    pinged_ = now;
    out.emplace_back(send{encode_ping(how_, ++pings_)});
  }
}

void session::fatal(const error& why, outputs& out) {
  out.emplace_back(send{encode_goodbye(how_, why)});
  leave(why.context, out);
  out.emplace_back(close{why});
}

void session::end(const error& why, outputs& out) {
  if (!over_) fatal(why, out);
}

void session::closed(const std::string& why, outputs& out) {
  if (!over_) leave(why, out);
}

void session::leave(const std::string& why, outputs& out) {
  over_ = true;
  for (const auto& [id, what] : open_) {
    if (is_for_node(what)) out.emplace_back(abandon{id});
  }
  open_.clear();
  subscriptions_.clear();
  drains_.clear();
  works_.clear();
  acts_.clear();
  if (known_) out.emplace_back(tell_node{process::app_gone{id_, why}});
  registered_.clear();
}

// ---- what clients say ----

void session::take(hello& said, outputs& out) {
  if (said.version < version_oldest || said.oldest > version_newest) {
    return fatal(refusal(errc::protocol, "the client speaks versions " + std::to_string(said.oldest) + " to " +
                                             std::to_string(said.version) + ", this sidecar " +
                                             std::to_string(version_oldest) + " to " + std::to_string(version_newest)),
                 out);
  }
  greeted_ = true;
  client_ = std::move(said.client);
  out.emplace_back(send{encode_welcome(how_, from_)});
}

void session::take(ping& said, outputs& out) { out.emplace_back(send{encode_pong(how_, said.n)}); }

void session::take(goodbye& said, outputs& out) {
  const auto why = said.text.empty() ? "the client said goodbye" : "the client said goodbye: " + said.text;
  leave(why, out);
  out.emplace_back(close{refusal(errc::cancelled, why)});
}

bool session::open(request_number id, open_kind what, outputs& out) {
  if (open_.contains(id) || subscriptions_.contains(id)) {
    fatal(refusal(errc::protocol, "request " + std::to_string(id.value) + " is open already"), out);
    return false;
  }
  if (open_.size() >= requests_max) {
    const auto why = refusal(errc::overloaded, std::to_string(requests_max) +
                                                   " requests of this connection wait for an answer; retry later");
    out.emplace_back(send{encode_result(how_, id, fail(why))});
    return false;
  }
  open_.emplace(id, what);
  return true;
}

void session::finish(request_number id, const result<value>& outcome, outputs& out) {
  open_.erase(id);
  out.emplace_back(send{encode_result(how_, id, outcome)});
}

void session::take(request& said, outputs& out) {
  if (!said.id) {
    out.emplace_back(ask{{}, std::move(said.asked)});
    return;
  }
  const bool calls =
      std::holds_alternative<node::call_op>(said.asked) || std::holds_alternative<node::start_op>(said.asked);
  const auto what = calls ? open_kind::called : open_kind::asked;
  if (!open(*said.id, what, out)) return;
  if (said.on_behalf_of) {
    const auto work = works_.find(*said.on_behalf_of);
    const auto* call = std::get_if<node::call_op>(&said.asked);
    if (work != works_.end() && call != nullptr && work->second == call->name) {
      return finish(*said.id,
                    fail(errc::invalid_argument,
                         "calling_self: " + to_string(call->name) +
                             " would wait for itself; use a cast, or continue when this message has been handled"),
                    out);
    }
  }
  out.emplace_back(ask{said.id, std::move(said.asked)});
}

void session::answered(request_number id, const result<value>& answer, outputs& out) {
  const auto found = open_.find(id);
  if (found != open_.end() && is_for_node(found->second)) finish(id, answer, out);
}

void session::take(cancel& said, outputs& out) {
  if (subscriptions_.erase(said.id) > 0) {
    out.emplace_back(send{encode_closed(how_, said.id)});
    return;
  }
  const auto found = open_.find(said.id);
  if (found == open_.end()) return;
  if (found->second == open_kind::acting) {
    const auto act = std::find_if(acts_.begin(), acts_.end(), [&](const auto& each) { return each.second == said.id; });
    out.emplace_back(tell_node{process::client_cancels{id_, act->first}});
    return;
  }
  if (!is_for_node(found->second)) return;
  if (found->second == open_kind::called) return static_cast<void>(out.emplace_back(withdraw{said.id}));
  out.emplace_back(abandon{said.id});
  finish(said.id, fail(errc::cancelled, "cancelled by the client", took_effect::unknown), out);
}

void session::take(wrong& said, outputs& out) { out.emplace_back(send{encode_result(how_, said.id, fail(said.why))}); }

// ---- events ----

void session::take(subscribe& said, outputs& out) {
  if (subscriptions_.size() >= subscriptions_max) {
    out.emplace_back(
        send{encode_result(how_, said.id,
                           fail(errc::overloaded, std::to_string(subscriptions_max) +
                                                      " subscriptions are as many as a connection may have"))});
    return;
  }
  if (!open(said.id, open_kind::asked, out)) return;
  finish(said.id, cbor::empty_map(), out);
  subscriptions_.emplace(said.id, subscription{{said.events.begin(), said.events.end()}, said.credit, 0});
}

void session::take(credit& said, outputs& out) {
  const auto found = subscriptions_.find(said.id);
  if (found == subscriptions_.end()) return;
  auto& to = found->second;
  to.credit = static_cast<std::uint32_t>(std::min<std::int64_t>(credit_max, std::int64_t{to.credit} + said.add));
  if (to.dropped == 0) return;
  bytes count;
  cbor::put_head(count, cbor::major::map, 1);
  cbor::put_text(count, "count");
  cbor::put_head(count, cbor::major::unsigned_integer, std::exchange(to.dropped, 0));
  out.emplace_back(send{encode_event(how_, said.id, "dropped", value::adopt(count))});
}

void session::happened(std::string_view type, const value& data, outputs& out) {
  for (auto& [id, each] : subscriptions_) {
    if (!each.types.empty() && !each.types.contains(type)) continue;
    if (each.credit == 0) {
      ++each.dropped;
      continue;
    }
    --each.credit;
    out.emplace_back(send{encode_event(how_, id, type, data)});
  }
}

// ---- processes of the client ----

process::client_request session::begin_act(request_number id) {
  const process::client_request number{++acts_so_far_};
  acts_.emplace(number, id);
  known_ = true;
  return number;
}

void session::take(act& said, outputs& out) {
  if (!open(said.id, open_kind::acting, out)) return;
  if (auto* opens = std::get_if<process::client_open>(&said.what)) opens->as_json = how_ == encoding::json;
  out.emplace_back(tell_node{process::client_act{id_, begin_act(said.id), said.process, std::move(said.what)}});
}

void session::take(look_up& said, outputs& out) {
  if (!open(said.id, open_kind::acting, out)) return;
  out.emplace_back(tell_node{process::client_looks_up{id_, begin_act(said.id), said.in, std::move(said.key)}});
}

void session::take(process_credit& said, outputs& out) {
  out.emplace_back(tell_node{process::client_credit{id_, said.process, said.add}});
}

// ---- hosting ----

void session::take(register_class& said, outputs& out) {
  if (!open(said.id, open_kind::registering, out)) return;
  if (registered_.contains(said.offer.klass)) {
    return finish(
        said.id,
        fail(errc::already_exists, "this connection has registered class '" + said.offer.klass.value + "' already"),
        out);
  }
  if (registered_.size() >= registrations_max) {
    return finish(
        said.id,
        fail(errc::overloaded, std::to_string(registrations_max) + " classes are as many as a connection may register"),
        out);
  }
  registered_.emplace(said.offer.klass, said.id);
  known_ = true;
  said.offer.app = id_;
  out.emplace_back(tell_node{process::app_registered{std::move(said.offer)}});
}

void session::take(drain& said, outputs& out) {
  if (!open(said.id, open_kind::draining, out)) return;
  draining wanted{said.id, said.only, {}};
  for (const auto& [klass, asked] : registered_) {
    if (!said.only || *said.only == klass) wanted.classes.push_back(klass);
  }
  drains_.push_back(std::move(wanted));
  out.emplace_back(tell_node{process::app_drains{id_, said.only}});
}

void session::take(done& said, outputs& out) {
  works_.erase(said.work);
  out.emplace_back(tell_node{process::app_done{id_, said.work, std::move(said.answer)}});
}

void session::told(const process::app_effect& what, outputs& out) {
  if (over_) return;
  std::visit(
      overloaded{[&](const process::app_work& work) {
                   works_.insert_or_assign(work.id, work.name);
                   out.emplace_back(send{encode_work(how_, work)});
                 },
                 [&](const process::app_cancel& no) { out.emplace_back(send{encode_cancel(how_, no.work, no.why)}); },
                 [&](const process::app_refused& no) { out.emplace_back(send{encode_refused(how_, no.work, no.why)}); },
                 [&](const process::app_class& now) {
                   const auto found = registered_.find(now.klass);
                   if (found == registered_.end()) return;
                   const auto asked = std::exchange(found->second, std::nullopt);
                   if (!asked) {
                     out.emplace_back(send{encode_class(how_, now)});
                   } else if (now.refused) {
                     registered_.erase(found);
                     finish(*asked, fail(*now.refused), out);
                   } else {
                     finish(*asked, registration_value(now), out);
                   }
                 },
                 [&](const process::client_message& came) {
                   out.emplace_back(send{encode_message(how_, came), came.weight});
                 },
                 [&](const process::client_ended& now) { out.emplace_back(send{encode_ended(how_, now)}); },
                 [&](const process::client_too_slow& now) {
                   fatal({errc::overloaded, now.why}, out);
                 },
                 [&](const process::client_answer& to) {
                   const auto found = acts_.find(to.request);
                   if (found == acts_.end()) return;
                   const auto id = found->second;
                   acts_.erase(found);
                   finish(id, to.answer, out);
                 },
                 [&](const process::app_drained& all) {
                   const auto found = std::find_if(drains_.begin(), drains_.end(),
                                                   [&](const auto& each) { return each.only == all.only; });
                   if (found == drains_.end()) return;
                   const auto done = std::move(*found);
                   drains_.erase(found);
                   for (const auto& klass : done.classes)
                     registered_.erase(klass);
                   finish(done.id, cbor::empty_map(), out);
                 }},
      what);
}

}  // namespace orrery::sdk
