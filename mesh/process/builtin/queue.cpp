// Messages through the queue: in, out, acknowledged, given back. queue_care.cpp: what its keeper does.
#include "mesh/process/builtin/queue.hpp"

#include <charconv>
#include <utility>

namespace orrery::process {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t message_bytes_max = value_bytes_max - 256;  ///< so that one fits into a reply
constexpr std::size_t dedups_max = 100'000;
constexpr int reply_levels = 3;  ///< array, object, and the snapshot's own
constexpr std::int64_t receive_max = 100;
constexpr range<duration> visibility_accepted{milliseconds{1}, hours{12}};
constexpr range<duration> delay_accepted{duration::zero(), hours{24 * 7}};
constexpr std::string_view receipt_form = R"({"receipt": "..."})";

}  // namespace

result<queue_options> queue::read_options(const value& given) {
  queue_options out;
  arguments in("behaviour.options",
               R"({"visibilitySeconds": 30, "maxReceives": 10, "maxMessages": 10000, "maxWaiting": 1000, )"
               R"("dedupSeconds": 300}, all optional)",
               given);
  out.visibility = in.seconds("visibilitySeconds", visibility_accepted).value_or(out.visibility);
  out.receives_max = in.integer("maxReceives", {0, 1'000'000}).value_or(out.receives_max);
  out.messages_max = in.integer("maxMessages", {1, 1'000'000}).value_or(out.messages_max);
  out.waiting_max = in.integer("maxWaiting", {0, 100'000}).value_or(out.waiting_max);
  out.dedup = in.seconds("dedupSeconds", {duration::zero(), hours{24}}).value_or(out.dedup);
  if (auto fault = in.fault()) return fail(std::move(*fault));
  return out;
}

std::optional<exit_reason> queue::init(const scope& where, std::uint64_t) {
  life_ = number_of_life(where);
  return {};
}

outcome queue::handle(const scope& where, std::string_view method, const value& argument) {
  if (method == "enqueue") return enqueue(where, argument);
  if (method == "receive") return receive(where, argument);
  if (method == "ack") return ack(argument);
  if (method == "nack") return nack(where, argument);
  if (method == "extend") return extend(where, argument);
  if (method == "dead") return dead(where, argument);
  if (method == "redrive") return redrive(where, argument);
  if (method == "purge") return purge(argument);
  if (method == "stats") return stats(where);
  if (method == "length") return done{cbor::integer_value(static_cast<std::int64_t>(ready_.size()))};
  return refused{{errc::not_found, "queue has no method '" + shown(method) + "'"}};
}

void queue::advance(const scope& where) {
  while (!hidden_.empty() && hidden_.begin()->first <= where.now)
    give_back(messages_.find(hidden_.begin()->second));
  while (!dedups_in_order_.empty() && dedups_in_order_.front()->second.until <= where.now) {
    size_ -= dedups_in_order_.front()->first.size() + dedup_overhead;
    dedups_.erase(dedups_in_order_.front());
    dedups_in_order_.pop_front();
  }
  serve(where);
  waiting_.expire(where, [](const auto&) { return value::adopt(array_writer{}.finish()); });
}

time_point queue::next_due() const {
  auto due = waiting_.next_due();
  if (!hidden_.empty()) due = std::min(due, hidden_.begin()->first);
  if (!dedups_in_order_.empty()) due = std::min(due, dedups_in_order_.front()->second.until);
  return due;
}

// ---- in ----

std::optional<error> queue::no_room(std::size_t bytes) const {
  const auto held = messages_.size() + dead_.size();
  const auto most = static_cast<std::size_t>(settings_.chosen.messages_max);
  if (held >= most) {
    return error{errc::overloaded, "queue.enqueue: the queue holds " + std::to_string(held) + " messages, " +
                                       std::to_string(dead_.size()) +
                                       " of them dead letters; options.maxMessages allows " + std::to_string(most) +
                                       "; retry later"};
  }
  if (size_ + bytes > settings_.state_bytes_max) {
    return error{errc::overloaded, "queue.enqueue: the queue would have about " + std::to_string(size_ + bytes) +
                                       " bytes; limits.stateBytes allows " + std::to_string(settings_.state_bytes_max) +
                                       "; retry later"};
  }
  return {};
}

outcome queue::enqueue(const scope& where, const value& argument) {
  arguments in("queue.enqueue", R"({"value": ..., "delaySeconds": N (optional), "dedupId": "..." (optional)})",
               argument);
  const auto encoded = in.need("value", in.item("value", reply_levels));
  const auto delay = in.seconds("delaySeconds", delay_accepted).value_or(duration::zero());
  const auto dedup = in.text("dedupId");
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  if (encoded.size() > message_bytes_max) {
    return refused{{errc::too_large, "queue.enqueue: the value has " + std::to_string(encoded.size()) +
                                         " bytes, and may have " + std::to_string(message_bytes_max)}};
  }
  if (dedup) {
    if (const auto known = dedups_.find(*dedup); known != dedups_.end()) {
      return done{object_writer{}.integer("id", known->second.id).flag("duplicate", true).finish()};
    }
    if (dedups_.size() >= dedups_max) {
      return refused{{errc::overloaded, "queue.enqueue: the queue remembers " + std::to_string(dedups_.size()) +
                                            " dedupIds, as many as it may; retry later"}};
    }
  }
  const bool remember = dedup && settings_.chosen.dedup > duration::zero();
  const auto bytes_of_dedup = remember ? dedup->size() + dedup_overhead : 0;
  const auto size = encoded.size() + message_overhead;
  if (auto no = no_room(size + bytes_of_dedup)) return refused{std::move(*no)};

  size_ += size + bytes_of_dedup;
  const auto id = ++last_id_;
  const auto added = messages_.try_emplace(messages_.end(), id, message{{encoded.begin(), encoded.end()}, where.now});
  if (remember) {
    const auto known =
        dedups_.try_emplace(std::string{*dedup}, remembered{id, after(where.now, settings_.chosen.dedup)});
    dedups_in_order_.push_back(known.first);
  }
  if (delay > duration::zero()) {
    hide(added, place::delayed, after(where.now, delay));
  } else {
    ready_.insert(id);
    serve(where);
  }
  return done{object_writer{}.integer("id", id).finish()};
}

// ---- out ----

outcome queue::receive(const scope& where, const value& argument) {
  arguments in("queue.receive", R"({"max": 1, "visibilitySeconds": N, "waitSeconds": 0}, all optional)", argument);
  wanted asked{};
  asked.count = static_cast<std::size_t>(in.integer("max", {1, receive_max}).value_or(1));
  asked.visibility = in.seconds("visibilitySeconds", visibility_accepted).value_or(settings_.chosen.visibility);
  const auto wait = in.seconds("waitSeconds", wait_accepted).value_or(duration::zero());
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  if (!ready_.empty() || wait == duration::zero()) return done{deliver(where, asked)};
  return waiting_.join(where, "queue.receive", static_cast<std::size_t>(settings_.chosen.waiting_max),
                       after(where.now, wait), asked, argument);
}

value queue::deliver(const scope& where, const wanted& to) {
  array_writer out;
  while (!ready_.empty() && out.count() < to.count) {
    const auto first = messages_.find(*ready_.begin());
    ++first->second.receives;
    first->second.delivery = ++last_delivery_;
    const auto told = object_writer{}
                          .integer("id", first->first)
                          .text("receipt", receipt_of(first->first, first->second))
                          .integer("receives", first->second.receives)
                          .seconds("ageSeconds", where.now - first->second.arrived)
                          .item("value", first->second.encoded)
                          .finish();
    if (!out.add(told.cbor())) {
      --first->second.receives;
      break;
    }
    hide(first, place::received, after(where.now, to.visibility));
  }
  return value::adopt(out.finish());
}

void queue::serve(const scope& where) {
  while (!ready_.empty()) {
    const auto* next = waiting_.first(where);
    if (next == nullptr) return;
    where.self.reply(next->from, deliver(where, next->wanted));
    waiting_.pop();
  }
}

// ---- acknowledged, or not ----

std::string queue::receipt_of(std::int64_t id, const message& of) const {
  return std::to_string(life_) + "." + std::to_string(id) + "." + std::to_string(of.delivery);
}

result<queue::messages::iterator> queue::find(std::string_view method, std::string_view receipt) {
  std::int64_t life = 0;
  std::int64_t id = 0;
  std::int64_t delivery = 0;
  const char* at = receipt.data();
  const char* const end = at + receipt.size();
  bool sound = true;
  for (auto* number : {&life, &id, &delivery}) {
    const auto [after, ec] = std::from_chars(at, end, *number);
    const bool last = number == &delivery;
    sound = sound && ec == std::errc{} && (last ? after == end : after != end && *after == '.');
    if (!sound) break;
    at = after + 1;
  }
  if (!sound) {
    return fail(errc::invalid_argument, "queue." + std::string{method} + ": '" + shown(receipt) +
                                            "' is no receipt; give one that queue.receive told");
  }
  if (life != life_) {
    return fail(errc::conflict, "queue." + std::string{method} + ": the receipt '" + std::string{receipt} +
                                    "' is of an earlier life of this queue, whose messages are lost");
  }
  const auto found = messages_.find(id);
  if (found == messages_.end() || found->second.delivery == delivery) return found;
  return fail(errc::conflict, "queue." + std::string{method} + ": message " + std::to_string(id) +
                                  " was handed out again since, as the time of this receipt had ended");
}

outcome queue::ack(const value& argument) {
  arguments in("queue.ack", receipt_form, argument, "receipt");
  const auto receipt = in.need("receipt", in.text("receipt"));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = find("ack", receipt);
  if (!found) return refused{found.error()};
  if (*found == messages_.end()) return done{cbor::bool_value(false)};
  ++acked_;
  remove(messages_, *found);
  return done{cbor::bool_value(true)};
}

outcome queue::nack(const scope& where, const value& argument) {
  arguments in("queue.nack", R"({"receipt": "...", "delaySeconds": 0 (optional)})", argument, "receipt");
  const auto receipt = in.need("receipt", in.text("receipt"));
  const auto delay = in.seconds("delaySeconds", delay_accepted).value_or(duration::zero());
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = find("nack", receipt);
  if (!found) return refused{found.error()};
  if (*found == messages_.end() || (*found)->second.at != place::received) return done{cbor::bool_value(false)};
  const auto most = settings_.chosen.receives_max;
  if (delay > duration::zero() && (most == 0 || (*found)->second.receives < most)) {
    hide(*found, place::delayed, after(where.now, delay));
  } else {
    give_back(*found);
    serve(where);
  }
  return done{cbor::bool_value(true)};
}

outcome queue::extend(const scope& where, const value& argument) {
  arguments in("queue.extend", R"({"receipt": "...", "visibilitySeconds": N (optional)})", argument, "receipt");
  const auto receipt = in.need("receipt", in.text("receipt"));
  const auto visibility = in.seconds("visibilitySeconds", visibility_accepted).value_or(settings_.chosen.visibility);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = find("extend", receipt);
  if (!found) return refused{found.error()};
  if (*found == messages_.end() || (*found)->second.at != place::received) return done{cbor::bool_value(false)};
  hide(*found, place::received, after(where.now, visibility));
  return done{cbor::bool_value(true)};
}

// ---- from place to place ----

void queue::hide(messages::iterator what, place at, time_point until) {
  auto& [id, hidden] = *what;
  if (hidden.at == place::received) --received_;
  if (hidden.until != never) hidden_.erase({hidden.until, id});
  ready_.erase(id);
  hidden.at = at;
  hidden.until = until;
  if (at == place::received) ++received_;
  if (until != never) hidden_.emplace(until, id);
}

void queue::give_back(messages::iterator what) {
  const auto most = settings_.chosen.receives_max;
  hide(what, place::ready, never);
  if (most > 0 && what->second.receives >= most) {
    dead_.insert(messages_.extract(what));
  } else {
    ready_.insert(what->first);
  }
}

void queue::remove(messages& from, messages::iterator gone) {
  if (&from == &messages_) hide(gone, place::ready, never);
  size_ -= gone->second.encoded.size() + message_overhead;
  from.erase(gone);
}

}  // namespace orrery::process
