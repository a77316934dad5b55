#include "mesh/wire/messages.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/wire/codec.hpp"
#include "mesh/wire/fields.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

namespace orrery::wire {
namespace {

/// Frame types: never reused.
enum class kind : std::uint16_t {
  hello = 1,
  welcome = 2,
  goodbye = 3,
  heartbeat = 4,
  heartbeat_ack = 5,
  draining = 6,
  draining_ack = 7,
  call = 16,
  cast = 17,
  control = 18,
  reply = 19,
  cancel = 20,
  handoff = 32,
  handoff_ack = 33,
  handoff_done = 34,
  unhosted = 35,
  signal = 48,
  announce = 49,
  publish = 50,
  claim = 51,
  unclaim = 52,
  placed = 53,
  traced = 64,
  untrace = 65,
};

constexpr std::size_t process_name_bytes_max = class_name_bytes_max + 1 + process_key_bytes_max;
constexpr std::array<std::string_view, 15> verbs = {"inspect", "stop",   "kill",  "state",   "set_state",
                                                    "suspend", "resume", "trace", "whereis", "release",
                                                    "list",    "tree",   "top",   "crashes", "unknown"};

using std::chrono::microseconds;

std::uint64_t count_of(microseconds span) { return span.count() < 0 ? 0 : static_cast<std::uint64_t>(span.count()); }

// ---- encoding: one function for each message that has fields ----

field_writer put(const hello& m) {
  field_writer out;
  out.number("protocol", m.protocol)
      .number("features", m.features)
      .text("mesh", m.mesh_id)
      .text("node", m.node.name.value)
      .number("boot", m.node.boot.value)
      .text("uid", m.uid)
      .text("address", m.address)
      .text("software", m.software)
      .number("attempt", m.attempt)
      .flag("draining", m.draining);
  if (!m.unhosted.empty()) put_classes(out, m.unhosted);
  return out;
}

field_writer put(const goodbye& m) {
  field_writer out;
  out.flag("refused", m.refused).text("code", to_string(m.code));
  out.text("why", cut_text(m.why, reason_bytes_max));
  return out;
}

field_writer put(const heartbeat& m) {
  field_writer out;
  out.number("at", m.sent_at).number("processes", m.processes);
  if (m.moving) out.flag("moving", true);
  return out;
}

field_writer put(const heartbeat_ack& m) {
  field_writer out;
  out.number("at", m.sent_at);
  return out;
}

field_writer put(const call& m) {
  field_writer out;
  out.number("id", m.id)
      .text("name", to_string(m.name))
      .text("method", m.method)
      .item("argument", m.argument)
      .number("remaining", count_of(m.remaining))
      .number("hops", m.hops);
  return out;
}

field_writer put(const cast& m) {
  field_writer out;
  out.text("name", to_string(m.name)).text("method", m.method).item("argument", m.argument).number("hops", m.hops);
  return out;
}

field_writer put(const control& m) {
  field_writer out;
  out.number("id", m.id).text("verb", to_string(m.asked)).number("remaining", count_of(m.remaining));
  out.number("hops", m.hops).number("limit", m.limit);
  if (m.name) out.text("name", to_string(*m.name));
  if (m.only) out.text("only", m.only->value);
  if (!m.reason.empty()) out.text("reason", cut_text(m.reason, reason_bytes_max));
  if (m.argument != value{}) out.item("argument", m.argument);
  return out;
}

field_writer put(const reply& m) {
  field_writer out;
  out.number("id", m.id);
  if (m.outcome) {
    out.item("value", *m.outcome);
  } else {
    put_error(out, m.outcome.error());
  }
  if (m.waited) out.flag("waited", true);
  return out;
}

field_writer put(const traced& m) {
  std::vector<field_writer> entries(m.entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i)
    entries[i].text("type", m.entries[i].type).item("document", m.entries[i].document);
  field_writer out;
  out.number("id", m.id).maps("entries", entries);
  if (!m.over.empty()) out.text("over", m.over);
  return out;
}

field_writer put(const untrace& m) {
  field_writer out;
  out.number("id", m.id);
  return out;
}

field_writer put(const cancel& m) {
  field_writer out;
  out.number("id", m.id);
  return out;
}

template <class Message>
constexpr kind kind_of() {
  if constexpr (std::is_same_v<Message, hello>) return kind::hello;
  if constexpr (std::is_same_v<Message, welcome>) return kind::welcome;
  if constexpr (std::is_same_v<Message, goodbye>) return kind::goodbye;
  if constexpr (std::is_same_v<Message, heartbeat>) return kind::heartbeat;
  if constexpr (std::is_same_v<Message, heartbeat_ack>) return kind::heartbeat_ack;
  if constexpr (std::is_same_v<Message, draining>) return kind::draining;
  if constexpr (std::is_same_v<Message, draining_ack>) return kind::draining_ack;
  if constexpr (std::is_same_v<Message, call>) return kind::call;
  if constexpr (std::is_same_v<Message, cast>) return kind::cast;
  if constexpr (std::is_same_v<Message, control>) return kind::control;
  if constexpr (std::is_same_v<Message, reply>) return kind::reply;
  if constexpr (std::is_same_v<Message, cancel>) return kind::cancel;
  if constexpr (std::is_same_v<Message, handoff>) return kind::handoff;
  if constexpr (std::is_same_v<Message, handoff_ack>) return kind::handoff_ack;
  if constexpr (std::is_same_v<Message, handoff_done>) return kind::handoff_done;
  if constexpr (std::is_same_v<Message, unhosted>) return kind::unhosted;
  if constexpr (std::is_same_v<Message, signal>) return kind::signal;
  if constexpr (std::is_same_v<Message, announce>) return kind::announce;
  if constexpr (std::is_same_v<Message, publish>) return kind::publish;
  if constexpr (std::is_same_v<Message, claim>) return kind::claim;
  if constexpr (std::is_same_v<Message, unclaim>) return kind::unclaim;
  if constexpr (std::is_same_v<Message, placed>) return kind::placed;
  if constexpr (std::is_same_v<Message, traced>) return kind::traced;
  if constexpr (std::is_same_v<Message, untrace>) return kind::untrace;
}

// ---- decoding: fields into the message; what is wrong stays in the reader ----

void take(field_reader& in, hello& m) {
  in.number("protocol", m.protocol)
      .number("features", m.features)
      .text("mesh", m.mesh_id, name_bytes_max)
      .text("node", m.node.name.value, name_bytes_max)
      .number("boot", m.node.boot.value)
      .text("uid", m.uid, name_bytes_max)
      .text("address", m.address, name_bytes_max)
      .text("software", m.software, name_bytes_max)
      .number("attempt", m.attempt)
      .flag("draining", m.draining);
  if (in.has("unhosted")) take_classes(in, m.unhosted);
}

void take(field_reader& in, goodbye& m) {
  std::string code;
  in.flag("refused", m.refused).text("code", code, 64).text("why", m.why, reason_bytes_max);
  m.code = errc_from(code);
}

void take(field_reader& in, heartbeat& m) {
  in.number("at", m.sent_at).number("processes", m.processes);
  if (in.has("moving")) in.flag("moving", m.moving);
}
void take(field_reader& in, heartbeat_ack& m) { in.number("at", m.sent_at); }

void take(field_reader& in, call& m) {
  in.number("id", m.id).text("method", m.method, method_bytes_max).item("argument", m.argument).number("hops", m.hops);
  take_name(in, m.name);
  take_span(in, "remaining", m.remaining);
}

void take(field_reader& in, cast& m) {
  in.text("method", m.method, method_bytes_max).item("argument", m.argument).number("hops", m.hops);
  take_name(in, m.name);
}

void take(field_reader& in, control& m) {
  std::string asked;
  in.number("id", m.id).text("verb", asked, 32).number("hops", m.hops).number("limit", m.limit);
  take_span(in, "remaining", m.remaining);
  const auto found = std::find(verbs.begin(), verbs.end(), asked);
  m.asked = found == verbs.end() ? verb::unknown : static_cast<verb>(found - verbs.begin());
  if (!is_about_a_node(m.asked)) take_name(in, m.name.emplace());
  if (in.has("only")) in.text("only", m.only.emplace().value, class_name_bytes_max);
  if (in.has("reason")) in.text("reason", m.reason, reason_bytes_max);
  if (in.has("argument")) in.item("argument", m.argument);
}

void take(field_reader& in, reply& m) {
  in.number("id", m.id);
  if (in.has("value")) {
    value outcome;
    in.item("value", outcome);
    m.outcome = std::move(outcome);
  } else {
    m.outcome = fail(take_error(in));
  }
  if (in.has("waited")) in.flag("waited", m.waited);
}

void take(field_reader& in, traced& m) {
  in.number("id", m.id);
  std::vector<field_reader> entries;
  in.maps("entries", entries, trace_entries_max);
  for (auto& each : entries) {
    auto& entry = m.entries.emplace_back();
    each.text("type", entry.type, 32).item("document", entry.document);
    if (each.refusal()) return in.refuse("entries", "holds a wrong entry: " + each.refusal()->context);
  }
  if (in.has("over")) in.text("over", m.over, 32);
}

void take(field_reader& in, untrace& m) { in.number("id", m.id); }
void take(field_reader& in, cancel& m) { in.number("id", m.id); }

template <class Message>
result<message> read(const frame& received, std::string_view name) {
  auto in = field_reader::parse(received.payload, name);
  if (!in) return fail(std::move(in.error()));
  Message made;
  if constexpr (!std::is_empty_v<Message>) take(*in, made);
  if (in->refusal()) return fail(*in->refusal());
  return message{std::move(made)};
}

}  // namespace

void take_name(field_reader& in, process_name& out) {
  std::string text;
  in.text("name", text, process_name_bytes_max);
  if (in.refusal()) return;
  auto parsed = parse_process_name(text);
  if (!parsed) {
    in.refuse("name", parsed.error().context);
  } else {
    out = std::move(*parsed);
  }
}

void put_error(field_writer& out, const error& why) {
  out.text("error", to_string(why.code))
      .text("effect", to_string(why.effect))
      .text("why", cut_text(why.context, reason_bytes_max));
}

void put_span(field_writer& out, std::string_view key, microseconds span) { out.number(key, count_of(span)); }

void take_span(field_reader& in, std::string_view key, microseconds& out) {
  constexpr std::uint64_t a_day = 86'400'000'000;
  std::uint64_t count = 0;
  in.number(key, count);
  out = microseconds{static_cast<std::int64_t>(std::min(count, a_day))};
}

error take_error(field_reader& in) {
  std::string code;
  std::string effect;
  error out;
  in.text("error", code, 64).text("effect", effect, 64).text("why", out.context, reason_bytes_max);
  out.code = errc_from(code);
  out.effect = took_effect_from(effect);
  return out;
}

std::string_view to_string(verb asked) noexcept { return verbs[static_cast<std::size_t>(asked)]; }

bytes encode(const message& sent) {
  return std::visit(
      [](const auto& m) -> bytes {
        using type = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<type, unknown_message>) {
          ORRERY_ASSERT(false && "unknown messages are never sent");
          return {};
        } else {
          field_writer out;
          if constexpr (!std::is_empty_v<type>) out = put(m);
          return encode(frame{static_cast<std::uint16_t>(kind_of<type>()), std::move(out).take()});
        }
      },
      sent);
}

result<message> decode(const frame& received) {
  switch (static_cast<kind>(received.type)) {
    case kind::hello:
      return read<hello>(received, "hello");
    case kind::welcome:
      return read<welcome>(received, "welcome");
    case kind::goodbye:
      return read<goodbye>(received, "goodbye");
    case kind::heartbeat:
      return read<heartbeat>(received, "heartbeat");
    case kind::heartbeat_ack:
      return read<heartbeat_ack>(received, "heartbeat_ack");
    case kind::draining:
      return read<draining>(received, "draining");
    case kind::draining_ack:
      return read<draining_ack>(received, "draining_ack");
    case kind::call:
      return read<call>(received, "call");
    case kind::cast:
      return read<cast>(received, "cast");
    case kind::control:
      return read<control>(received, "control");
    case kind::reply:
      return read<reply>(received, "reply");
    case kind::handoff:
      return read<handoff>(received, "handoff");
    case kind::handoff_ack:
      return read<handoff_ack>(received, "handoff_ack");
    case kind::handoff_done:
      return read<handoff_done>(received, "handoff_done");
    case kind::unhosted:
      return read<unhosted>(received, "unhosted");
    case kind::signal:
      return read<signal>(received, "signal");
    case kind::announce:
      return read<announce>(received, "announce");
    case kind::publish:
      return read<publish>(received, "publish");
    case kind::claim:
      return read<claim>(received, "claim");
    case kind::unclaim:
      return read<unclaim>(received, "unclaim");
    case kind::placed:
      return read<placed>(received, "placed");
    case kind::traced:
      return read<traced>(received, "traced");
    case kind::untrace:
      return read<untrace>(received, "untrace");
    case kind::cancel:
      return read<cancel>(received, "cancel");
  }
  return message{unknown_message{received.type}};
}

}  // namespace orrery::wire
