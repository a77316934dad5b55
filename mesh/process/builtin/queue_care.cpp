// Dead letters, numbers, and the state of a queue on its way.
#include "mesh/process/builtin/queue.hpp"

namespace orrery::process {
namespace {

constexpr std::int64_t dead_list_max = 1000;
constexpr std::int64_t queue_format = 1;

}  // namespace

outcome queue::dead(const scope& where, const value& argument) const {
  arguments in("queue.dead", R"({"after": ID, "limit": 100}, both optional)", argument);
  const auto from = in.integer("after", {0, std::numeric_limits<std::int64_t>::max()}).value_or(0);
  const auto limit = static_cast<std::size_t>(in.integer("limit", {1, dead_list_max}).value_or(100));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  array_writer out;
  for (auto at = dead_.upper_bound(from); at != dead_.end() && out.count() < limit; ++at) {
    const auto told = object_writer{}
                          .integer("id", at->first)
                          .integer("receives", at->second.receives)
                          .seconds("ageSeconds", where.now - at->second.arrived)
                          .item("value", at->second.encoded)
                          .finish();
    if (!out.add(told.cbor())) break;
  }
  return done{value::adopt(out.finish())};
}

outcome queue::redrive(const scope& where, const value& argument) {
  arguments in("queue.redrive", "an id, or null for all dead letters", argument, "id");
  const auto id = in.integer("id", {1, std::numeric_limits<std::int64_t>::max()});
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  std::int64_t moved = 0;
  for (auto at = id ? dead_.find(*id) : dead_.begin(); at != dead_.end();) {
    const auto here = at++;
    here->second.receives = 0;
    ready_.insert(here->first);
    messages_.insert(dead_.extract(here));
    ++moved;
    if (id) break;
  }
  serve(where);
  return done{cbor::integer_value(moved)};
}

outcome queue::purge(const value& argument) {
  arguments in("queue.purge", R"("dead" for the dead letters, or "all")", argument, "what");
  const auto what = in.need("what", in.text("what"));
  if (what != "dead" && what != "all") in.refuse("what", "is '" + shown(what) + "'");
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  auto gone = static_cast<std::int64_t>(dead_.size());
  while (!dead_.empty())
    remove(dead_, dead_.begin());
  if (what == "dead") return done{cbor::integer_value(gone)};
  gone += static_cast<std::int64_t>(messages_.size());
  while (!messages_.empty())
    remove(messages_, messages_.begin());
  return done{cbor::integer_value(gone)};
}

outcome queue::stats(const scope& where) const {
  const auto count = [](std::size_t number) { return static_cast<std::int64_t>(number); };
  object_writer out;
  out.integer("ready", count(ready_.size()))
      .integer("delayed", count(hidden_.size() - received_))
      .integer("inFlight", count(received_))
      .integer("dead", count(dead_.size()))
      .integer("waiting", count(waiting_.size()))
      .integer("enqueued", last_id_)
      .integer("acked", acked_)
      .integer("bytes", count(size_));
  if (messages_.empty()) {
    out.null("oldestSeconds");
  } else {
    out.seconds("oldestSeconds", where.now - messages_.begin()->second.arrived);
  }
  return done{out.finish()};
}

// ---- moving ----

void queue::put_messages(bytes& out, const messages& all, const moment& at) {
  cbor::put_head(out, cbor::major::array, all.size());
  for (const auto& [id, each] : all) {
    cbor::put_head(out, cbor::major::array, 7);
    cbor::put_integer(out, id);
    cbor::put_integer(out, each.receives);
    cbor::put_integer(out, each.delivery);
    put_age(out, at, each.arrived);
    cbor::put_integer(out, static_cast<std::int64_t>(each.at));
    put_remaining(out, at, each.until);
    cbor::put(out, each.encoded);
  }
}

result<value> queue::snapshot(const moment& at) {
  bytes out;
  out.reserve(size_ + 64);
  cbor::put_head(out, cbor::major::array, 8);
  cbor::put_integer(out, queue_format);
  cbor::put_integer(out, life_);
  cbor::put_integer(out, last_id_);
  cbor::put_integer(out, last_delivery_);
  cbor::put_integer(out, acked_);
  put_messages(out, messages_, at);
  put_messages(out, dead_, at);
  cbor::put_head(out, cbor::major::array, dedups_in_order_.size());
  for (const auto& known : dedups_in_order_) {
    cbor::put_head(out, cbor::major::array, 3);
    cbor::put_text(out, known->first);
    cbor::put_integer(out, known->second.id);
    put_remaining(out, at, known->second.until);
  }
  return finished_state("queue", out);
}

void queue::read_messages(state_reader& in, messages& into, const scope& where) {
  const auto count = in.array();
  for (std::uint64_t i = 0; i < count && !in.broken(); ++i) {
    in.array(7);
    const auto id = in.integer();
    message read;
    read.receives = in.integer();
    read.delivery = in.integer();
    read.arrived = began_before(where.now, in.integer());
    const auto at = in.integer();
    if (at < 0 || at > static_cast<std::int64_t>(place::received)) in.fail();
    const auto until = ends_after(where.now, in.integer_or_null());
    if ((at == 0) != (until == never)) in.fail();
    read.encoded = in.item();
    if (in.broken()) return;
    size_ += read.encoded.size() + message_overhead;
    const auto [added, fresh] = into.try_emplace(id, std::move(read));
    if (!fresh) return in.fail();
    if (&into == &dead_) continue;
    if (at == 0) {
      ready_.insert(id);
    } else {
      hide(added, static_cast<place>(at), until);
    }
  }
}

result<void> queue::restore(const scope& where, std::uint64_t, const value& state, std::uint64_t) {
  state_reader in(state);
  in.array(8);
  if (in.integer() != queue_format) in.fail();
  life_ = in.integer();
  last_id_ = in.integer();
  last_delivery_ = in.integer();
  acked_ = in.integer();
  read_messages(in, messages_, where);
  read_messages(in, dead_, where);
  const auto count = in.array();
  for (std::uint64_t i = 0; i < count && !in.broken(); ++i) {
    in.array(3);
    auto text = in.text();
    const auto id = in.integer();
    const auto until = ends_after(where.now, in.integer());
    if (in.broken()) break;
    size_ += text.size() + dedup_overhead;
    const auto [added, fresh] = dedups_.try_emplace(std::move(text), remembered{id, until});
    if (fresh) dedups_in_order_.push_back(added);
  }
  set_alarm(where);
  return in.finish("queue");
}

}  // namespace orrery::process
