#include "mesh/wire/process_messages.hpp"

#include "mesh/wire/codec.hpp"
#include "mesh/wire/messages.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace orrery::wire {
namespace {

constexpr std::array<std::string_view, 12> signals = {"plain",      "cast",    "call",      "reply",
                                                      "exit",       "link",    "unlink",    "unlinked",
                                                      "link_broke", "monitor", "demonitor", "down"};
constexpr std::array<std::string_view, 3> facts = {"member", "unique", "duplicate"};

bool has_sender(signal::kind what) noexcept {
  return what != signal::kind::plain && what != signal::kind::cast && what != signal::kind::reply &&
         what != signal::kind::exit;
}
bool has_reference(signal::kind what) noexcept {
  return what == signal::kind::call || what == signal::kind::reply || what == signal::kind::unlink ||
         what == signal::kind::unlinked || what == signal::kind::monitor || what == signal::kind::demonitor ||
         what == signal::kind::down;
}
bool has_message(signal::kind what) noexcept {
  return what == signal::kind::plain || what == signal::kind::cast || what == signal::kind::call;
}
bool has_reason(signal::kind what) noexcept {
  return what == signal::kind::exit || what == signal::kind::link_broke || what == signal::kind::down;
}

/// In one number, as slots and generations have 32 bits each.
std::uint64_t packed(const place& of) noexcept { return std::uint64_t{of.generation} << 32U | of.slot; }
place unpacked(std::uint64_t of) noexcept {
  return {static_cast<std::uint32_t>(of), static_cast<std::uint32_t>(of >> 32U)};
}
void take_place(field_reader& in, std::string_view key, place& out) {
  std::uint64_t number = 0;
  in.number(key, number);
  out = unpacked(number);
  // The last slot is "no process" to kernels.
  if (out.slot == std::numeric_limits<std::uint32_t>::max()) in.refuse(key, "is no process");
}

/// The index of a text among `known`, or a refusal.
template <std::size_t Size>
std::size_t take_choice(field_reader& in, std::string_view key, const std::array<std::string_view, Size>& known) {
  std::string text;
  in.text(key, text, 32);
  const auto found = std::find(known.begin(), known.end(), text);
  if (found != known.end()) return static_cast<std::size_t>(found - known.begin());
  in.refuse(key, "is not known: '" + text + "'");
  return 0;
}

}  // namespace

std::string_view to_string(signal::kind what) noexcept { return signals.at(static_cast<std::size_t>(what)); }

std::size_t encoded_size(const fact& said) noexcept { return said.name.size() + said.held.cbor().size() + 64; }

field_writer put(const signal& m) {
  field_writer out;
  out.text("kind", to_string(m.what)).number("to", packed(m.to));
  if (m.from) out.number("from", packed(*m.from));
  if (m.ref) out.number("ref", *m.ref);
  if (has_message(m.what)) out.text("word", m.word).item("payload", m.payload);
  if (m.remaining) put_span(out, "remaining", *m.remaining);
  if (has_reason(m.what)) {
    out.text("reason", m.reason);
    if (!m.detail.empty()) out.text("detail", cut_text(m.detail, reason_bytes_max));
  }
  if (m.what == signal::kind::reply)
    m.failed ? put_error(out, *m.failed) : static_cast<void>(out.item("payload", m.payload));
  return out;
}

void take(field_reader& in, signal& m) {
  m.what = static_cast<signal::kind>(take_choice(in, "kind", signals));
  take_place(in, "to", m.to);
  if (has_sender(m.what) || in.has("from")) take_place(in, "from", m.from.emplace());
  if (has_reference(m.what) || in.has("ref")) in.number("ref", m.ref.emplace());
  if (has_message(m.what)) in.text("word", m.word, word_bytes_max).item("payload", m.payload);
  if (in.has("remaining")) take_span(in, "remaining", m.remaining.emplace());
  if (has_reason(m.what)) {
    in.text("reason", m.reason, 64);
    if (in.has("detail")) in.text("detail", m.detail, reason_bytes_max);
  }
  if (m.what != signal::kind::reply) return;
  if (in.has("payload")) {
    in.item("payload", m.payload);
  } else {
    m.failed = take_error(in);
  }
}

void put_facts(field_writer& out, std::string_view key, const std::vector<fact>& all) {
  std::vector<field_writer> entries(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& said = all[i];
    entries[i]
        .text("kind", facts.at(static_cast<std::size_t>(said.what)))
        .text("name", said.name)
        .number("who", packed(said.who))
        .number("count", said.count);
    if (said.what != fact::kind::member && said.count > 0) entries[i].item("value", said.held);
  }
  out.maps(key, entries);
}

void take_facts(field_reader& in, std::string_view key, std::vector<fact>& out) {
  std::vector<field_reader> entries;
  in.maps(key, entries, announced_max);
  for (auto& each : entries) {
    auto& said = out.emplace_back();
    said.what = static_cast<fact::kind>(take_choice(each, "kind", facts));
    const bool group = said.what == fact::kind::member;
    each.text("name", said.name, group ? group_bytes_max : key_bytes_max).number("count", said.count);
    take_place(each, "who", said.who);
    if (!group && said.count > 0) each.item("value", said.held);
    if (said.count > std::numeric_limits<std::uint32_t>::max()) each.refuse("count", "is over 32 bits");
    if (each.refusal()) return in.refuse(key, "holds a wrong entry: " + each.refusal()->context);
  }
}

field_writer put(const announce& m) {
  field_writer out;
  out.number("number", m.number);
  put_facts(out, "facts", m.facts);
  return out;
}

void take(field_reader& in, announce& m) {
  in.number("number", m.number);
  take_facts(in, "facts", m.facts);
}

field_writer put(const publish& m) {
  field_writer out;
  if (m.from) out.number("from", packed(*m.from));
  out.text("group", m.group).text("word", m.word).item("payload", m.payload);
  return out;
}

void take(field_reader& in, publish& m) {
  if (in.has("from")) take_place(in, "from", m.from.emplace());
  in.text("group", m.group, group_bytes_max).text("word", m.word, word_bytes_max).item("payload", m.payload);
}

field_writer put(const claim& m) {
  field_writer out;
  out.number("id", m.id).text("key", m.key).number("who", packed(m.who));
  put_span(out, "remaining", m.remaining);
  return out;
}

void take(field_reader& in, claim& m) {
  in.number("id", m.id).text("key", m.key, key_bytes_max);
  take_place(in, "who", m.who);
  take_span(in, "remaining", m.remaining);
}

field_writer put(const unclaim& m) {
  field_writer out;
  out.text("key", m.key).number("who", packed(m.who));
  return out;
}

void take(field_reader& in, unclaim& m) {
  in.text("key", m.key, key_bytes_max);
  take_place(in, "who", m.who);
}

field_writer put(const placed& m) {
  field_writer out;
  out.number("digest", m.digest);
  return out;
}

void take(field_reader& in, placed& m) { in.number("digest", m.digest); }

}  // namespace orrery::wire
