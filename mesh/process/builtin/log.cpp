#include "mesh/process/builtin/log.hpp"

#include <utility>

namespace orrery::process {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::int64_t log_format = 1;
constexpr std::size_t log_entry_overhead = 16;
constexpr std::size_t entry_bytes_max = value_bytes_max - 512;  ///< so that one fits into a reply
constexpr int entry_levels = 3;
constexpr std::int64_t read_max = 1000;
constexpr range<std::int64_t> any_sequence{1, std::numeric_limits<std::int64_t>::max()};

}  // namespace

result<log_options> log::read_options(const value& given) {
  log_options out;
  arguments in(
      "behaviour.options",
      R"({"maxEntries": 10000, "maxBytes": 1048576, "maxAgeSeconds": N (for ever), "maxWaiting": 1000}, all optional)",
      given);
  out.entries_max = in.integer("maxEntries", {1, 1'000'000}).value_or(out.entries_max);
  out.bytes_max = in.integer("maxBytes", {1024, static_cast<std::int64_t>(value_bytes_max)}).value_or(out.bytes_max);
  out.age_max = in.seconds("maxAgeSeconds", {seconds{1}, up_to_a_year.most}).value_or(out.age_max);
  out.waiting_max = in.integer("maxWaiting", {0, 100'000}).value_or(out.waiting_max);
  if (auto fault = in.fault()) return fail(std::move(*fault));
  return out;
}

std::optional<exit_reason> log::init(const scope& where, std::uint64_t) {
  epoch_ = number_of_life(where);
  return {};
}

outcome log::handle(const scope& where, std::string_view method, const value& argument) {
  if (method == "append") return append(where, argument);
  if (method == "read") return read(where, argument);
  if (method == "trim") return trim(argument);
  if (method == "stats") return stats();
  return refused{{errc::not_found, "log has no method '" + shown(method) + "'"}};
}

void log::advance(const scope& where) {
  retain(where.now);
  waiting_.expire(where, [&](const auto& each) { return entries_for(where, each.wanted); });
}

time_point log::next_due() const {
  const auto due = waiting_.next_due();
  return entries_.empty() ? due : std::min(due, after(entries_.front().appended, settings_.chosen.age_max));
}

// ---- what stays ----

std::size_t log::bytes_max() const {
  return std::min(static_cast<std::size_t>(settings_.chosen.bytes_max),
                  static_cast<std::size_t>(settings_.state_bytes_max));
}

void log::drop_first() {
  size_ -= entries_.front().encoded.size() + log_entry_overhead;
  entries_.pop_front();
  ++first_;
}

void log::retain(time_point now) {
  while (!entries_.empty() &&
         (entries_.size() > static_cast<std::size_t>(settings_.chosen.entries_max) || size_ > bytes_max() ||
          after(entries_.front().appended, settings_.chosen.age_max) <= now))
    drop_first();
}

// ---- methods ----

outcome log::append(const scope& where, const value& argument) {
  arguments in("log.append", R"({"value": ...})", argument);
  const auto encoded = in.need("value", in.item("value", entry_levels));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto most = std::min(entry_bytes_max, bytes_max() - std::min(bytes_max(), state_overhead + log_entry_overhead));
  if (encoded.size() > most) {
    return refused{{errc::too_large, "log.append: the value has " + std::to_string(encoded.size()) +
                                         " bytes, and may have " + std::to_string(most) +
                                         " (options.maxBytes, limits.stateBytes)"}};
  }
  entries_.push_back({{encoded.begin(), encoded.end()}, where.now});
  size_ += encoded.size() + log_entry_overhead;
  const auto sequence = next() - 1;
  retain(where.now);
  while (const auto* reader = waiting_.first(where)) {
    where.self.reply(reader->from, entries_for(where, reader->wanted));
    waiting_.pop();
  }
  return done{object_writer{}.integer("sequence", sequence).integer("epoch", epoch_).finish()};
}

outcome log::read(const scope& where, const value& argument) {
  arguments in("log.read",
               R"({"from": SEQUENCE or "last": N, "limit": 100, "waitSeconds": 0, "epoch": N}, all optional)", argument,
               "from");
  const auto from = in.integer("from", any_sequence);
  const auto last = in.integer("last", {0, read_max});
  const auto limit = in.integer("limit", {1, read_max}).value_or(100);
  const auto wait = in.seconds("waitSeconds", wait_accepted).value_or(duration::zero());
  const auto epoch = in.integer("epoch", {0, std::numeric_limits<std::int64_t>::max()});
  if (from && last) in.refuse("last", "is given beside from; one of them is enough");
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  if (epoch && *epoch != epoch_) {
    return refused{{errc::gone, "log.read: the log of epoch " + std::to_string(*epoch) + " is lost; this is epoch " +
                                    std::to_string(epoch_) + ", from sequence " + std::to_string(first_) + " on"}};
  }
  wanted asked{from.value_or(first_), static_cast<std::size_t>(limit)};
  if (last) asked.from = std::max(first_, next() - *last);
  if (asked.from > next()) {
    return refused{{errc::conflict, "log.read: the next entry will be " + std::to_string(next()) +
                                        ", so there is none from " + std::to_string(asked.from) +
                                        " on; has the log begun afresh (epoch)?"}};
  }
  if (asked.from < next() || wait == duration::zero()) return done{entries_for(where, asked)};
  return waiting_.join(where, "log.read", static_cast<std::size_t>(settings_.chosen.waiting_max),
                       after(where.now, wait), asked, argument);
}

value log::entries_for(const scope& where, const wanted& asked) const {
  constexpr std::size_t envelope = 128;
  const auto start = std::max(asked.from, first_);
  auto at = start;
  array_writer told(value_bytes_max - envelope);
  for (; at < next() && told.count() < asked.limit; ++at) {
    const auto& each = entries_[static_cast<std::size_t>(at - first_)];
    object_writer out;
    out.integer("sequence", at).seconds("ageSeconds", where.now - each.appended).item("value", each.encoded);
    if (!told.add(out.view())) break;
  }
  return object_writer{}
      .integer("epoch", epoch_)
      .integer("first", first_)
      .integer("next", at)
      .integer("missed", start - asked.from)
      .item("entries", told.finish())
      .finish();
}

outcome log::trim(const value& argument) {
  arguments in("log.trim", R"({"before": SEQUENCE})", argument, "before");
  const auto before = in.need("before", in.integer("before", any_sequence));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  std::int64_t dropped = 0;
  for (; !entries_.empty() && first_ < before; ++dropped)
    drop_first();
  return done{cbor::integer_value(dropped)};
}

outcome log::stats() const {
  return done{object_writer{}
                  .integer("epoch", epoch_)
                  .integer("first", first_)
                  .integer("next", next())
                  .integer("count", static_cast<std::int64_t>(entries_.size()))
                  .integer("bytes", static_cast<std::int64_t>(size_))
                  .integer("waiting", static_cast<std::int64_t>(waiting_.size()))
                  .finish()};
}

// ---- moving ----

result<value> log::snapshot(const moment& at) {
  bytes out;
  out.reserve(size_);
  cbor::put_head(out, cbor::major::array, 4);
  cbor::put_integer(out, log_format);
  cbor::put_integer(out, epoch_);
  cbor::put_integer(out, first_);
  cbor::put_head(out, cbor::major::array, entries_.size());
  for (const auto& each : entries_) {
    cbor::put_head(out, cbor::major::array, 2);
    put_age(out, at, each.appended);
    cbor::put(out, each.encoded);
  }
  return finished_state("log", out);
}

result<void> log::restore(const scope& where, std::uint64_t, const value& state, std::uint64_t) {
  state_reader in(state);
  in.array(4);
  if (in.integer() != log_format) in.fail();
  epoch_ = in.integer();
  first_ = in.integer();
  if (first_ < 1) in.fail();
  const auto count = in.array();
  for (std::uint64_t i = 0; i < count && !in.broken(); ++i) {
    in.array(2);
    entry read;
    read.appended = began_before(where.now, in.integer());
    read.encoded = in.item();
    if (in.broken()) break;
    size_ += read.encoded.size() + log_entry_overhead;
    entries_.push_back(std::move(read));
  }
  set_alarm(where);
  return in.finish("log");
}

}  // namespace orrery::process
