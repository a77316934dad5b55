#include "mesh/sdk/fields.hpp"
#include "mesh/sdk/messages.hpp"
#include "mesh/wire/trace_context.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace orrery::sdk {
namespace {

using process::app_callback;
using process::app_deed;

constexpr std::int64_t method_bytes_max = 256;  ///< read; the node says what it takes
constexpr std::int64_t list_limit_max = 5000;
constexpr std::int64_t timeout_ms_max = 3'600'000;
constexpr std::int64_t timer_ms_max = std::int64_t{400} * 24 * 3'600'000;
constexpr std::size_t reason_bytes_max = 1024;
constexpr std::size_t trace_bytes_max = 1024;  ///< read; what is no traceparent is dropped
constexpr std::size_t crash_bytes_max = 4096;

constexpr std::string_view known_types =
    "call, cast, inspect, stop, kill, nodes, processes, classes, tree, cancel, subscribe, credit, register, drain, "
    "done, "
    "ping, pong, goodbye";

/// JSON text as the CBOR that it says. Errors: protocol.
result<bytes> from_json(byte_view text) {
  using nlohmann::json;
  bool deep = false;
  const auto guard = [&](int depth, json::parse_event_t, json&) {
    deep |= depth > frame_depth_max;
    return !deep;
  };
  try {
    const auto document = json::parse(text.begin(), text.end(), guard);
    if (deep) return fail(errc::protocol, "JSON that nests too deep");
    return json::to_cbor(document);
  } catch (const json::exception& malformed) {
    return fail(errc::protocol, std::string{"not JSON: "} + malformed.what());
  }
}

process_name read_name(fields& in) {
  auto klass = in.needed_text("class", class_name_bytes_max);
  auto key = in.needed_text("key", process_key_bytes_max);
  if (in.refusal()) return {};
  auto name = make_process_name(klass, key);
  if (name) return *std::move(name);
  in.refuse("class", "and 'key' name no process: " + name.error().context);
  return {};
}

std::optional<class_name> read_class(fields& in) {
  auto text = in.text("class", class_name_bytes_max);
  if (!text) return {};
  if (!is_dns_label(*text)) in.refuse("class", "is no class name: '" + *text + "'");
  return class_name{*std::move(text)};
}

value read_argument(fields& in) {
  auto argument = in.item("argument").value_or(value{});
  const auto trace = in.has("trace") ? in.text("trace", trace_bytes_max) : std::nullopt;
  return trace ? with_trace(argument, *trace) : argument;
}

node::call_op read_call(fields& in) {
  node::call_op op{.name = read_name(in),
                   .method = in.needed_text("method", method_bytes_max),
                   .argument = read_argument(in),
                   .timeout = {}};
  if (const auto ms = in.integer("timeoutMs", 1, timeout_ms_max)) op.timeout = std::chrono::milliseconds{*ms};
  return op;
}

node::cast_op read_cast(fields& in) {
  return {.name = read_name(in), .method = in.needed_text("method", method_bytes_max), .argument = read_argument(in)};
}

std::optional<node::operation> read_operation(std::string_view type, fields& in) {
  if (type == "call") return read_call(in);
  if (type == "cast") return read_cast(in);
  if (type == "inspect") return node::inspect_op{read_name(in)};
  if (type == "stop") return node::stop_op{read_name(in)};
  if (type == "kill") {
    return node::kill_op{read_name(in), in.text("reason", reason_bytes_max).value_or("killed by a client")};
  }
  if (type == "nodes") return node::list_nodes_op{};
  if (type == "processes") {
    return node::list_processes_op{
        .only = read_class(in),
        .limit = static_cast<std::size_t>(in.integer("limit", 1, list_limit_max).value_or(1000)),
        .local = in.flag("local").value_or(false)};
  }
  if (type == "classes") return node::list_classes_op{};
  if (type == "tree") return node::tree_op{in.flag("local").value_or(false)};
  return {};
}

process::app_offer read_offer(fields& in) {
  process::app_offer offer;
  if (!in.has("class")) in.refuse("class", "is missing");
  offer.klass = read_class(in).value_or(class_name{});
  offer.calls =
      in.texts("calls", process::app_methods_max, process::app_method_bytes_max).value_or(std::vector<std::string>{});
  offer.casts =
      in.texts("casts", process::app_methods_max, process::app_method_bytes_max).value_or(std::vector<std::string>{});
  if (offer.calls.size() + offer.casts.size() > process::app_methods_max) {
    in.refuse("calls", "and 'casts' together may have " + std::to_string(process::app_methods_max) + " methods");
  }
  static constexpr std::array<std::pair<std::string_view, app_callback>, 5> callbacks{{
      {"init", app_callback::init},
      {"info", app_callback::info},
      {"continue", app_callback::resume},
      {"terminate", app_callback::terminate},
      {"code_change", app_callback::code_change},
  }};
  for (const auto& each : in.texts("callbacks", 64, 64).value_or(std::vector<std::string>{})) {
    for (const auto& [name, callback] : callbacks) {
      if (each == name) offer.add(callback);  // others are of a newer version, and never come
    }
  }
  offer.state_version =
      static_cast<std::uint32_t>(in.integer("stateVersion", 0, std::numeric_limits<std::int32_t>::max()).value_or(0));
  offer.concurrency = static_cast<std::uint32_t>(
      in.integer("concurrency", 1, process::app_concurrency_max).value_or(offer.concurrency));
  return offer;
}

// ---- done ----

/// `changes`: what the error is an answer to has changed something.
std::optional<error> read_error(fields& in, std::string_view key, bool changes) {
  auto given = in.map(key);
  if (!given) return {};
  const auto code = given->text("code", 64);
  error out{.code = errc::handler_failed,
            .context = given->text("text", crash_bytes_max).value_or("the handler refused"),
            .effect = changes ? took_effect::executed : took_effect::not_executed};
  if (code) {
    out.code = errc_from(*code);
    if (to_string(out.code) != *code) given->refuse("code", "is no code of protocol.md: '" + *code + "'");
  }
  if (const auto effect = given->text("effect", 64)) {
    out.effect = took_effect_from(*effect);
    if (to_string(out.effect) != *effect) {
      given->refuse("effect", "must be not_executed, executed or unknown, not '" + *effect + "'");
    }
  }
  if (given->refusal()) in.refuse_inside(key, *given->refusal());
  return out;
}

std::optional<app_deed> read_deed(std::string_view kind, fields& in) {
  if (kind == "cancelTimer") {
    return process::app_cancel_timer{in.needed_text("cancelTimer", process::app_method_bytes_max)};
  }
  auto inner = in.map(kind);
  if (!inner) {
    in.refuse(kind, "is missing");
    return {};
  }
  std::optional<app_deed> deed;
  if (kind == "cast") {
    auto sent = read_cast(*inner);
    deed = process::app_cast{std::move(sent.name), std::move(sent.method), std::move(sent.argument)};
  } else if (kind == "timer") {
    deed = process::app_timer{inner->needed_text("name", process::app_method_bytes_max),
                              std::chrono::milliseconds{inner->needed_integer("afterMs", 1, timer_ms_max)},
                              inner->item("argument").value_or(value{})};
  } else if (kind == "reply") {
    const auto to = static_cast<std::uint64_t>(inner->needed_integer("to", 1, number_max));
    auto refusal = read_error(*inner, "error", true);
    auto reply = inner->item("reply").value_or(value{});
    deed = process::app_late_reply{to, refusal ? result<value>{fail(*std::move(refusal))} : std::move(reply)};
  } else {
    in.refuse(kind, "is no effect that is known; there are cast, timer, cancelTimer, reply");
  }
  if (inner->refusal()) in.refuse_inside(kind, *inner->refusal());
  return deed;
}

std::vector<app_deed> read_deeds(fields& in) {
  std::vector<app_deed> out;
  auto entries = in.maps("effects", process::app_deeds_max);
  if (!entries) return out;
  for (auto& each : *entries) {
    const auto where = "effects[" + std::to_string(out.size()) + "]";
    const auto kind = each.only_key();
    auto deed = kind ? read_deed(*kind, each) : std::nullopt;
    if (!kind) in.refuse(where, "must be a map with one field: cast, timer, cancelTimer or reply");
    if (each.refusal()) in.refuse_inside(where, *each.refusal());
    if (!deed || in.refusal()) return out;
    out.push_back(*std::move(deed));
  }
  return out;
}

std::optional<kernel::exit_reason> read_stop(fields& in) {
  using kind = kernel::exit_reason::kind;
  auto given = in.map("stop");
  if (!given) return {};
  kernel::exit_reason reason{kind::normal, given->text("text", reason_bytes_max).value_or("")};
  const auto name = given->text("kind", 64).value_or("normal");
  if (name == "shutdown") {
    reason.why = kind::shutdown;
  } else if (name == "error") {
    reason.why = kind::error;
  } else if (name != "normal") {
    given->refuse("kind", "must be normal, shutdown or error, not '" + name + "'");
  }
  if (given->refusal()) in.refuse_inside("stop", *given->refusal());
  return reason;
}

result<process::app_answer> read_answer(fields& in) {
  process::app_answer out;
  if (auto crash = in.map("crash")) {
    out.crash = crash->text("text", crash_bytes_max).value_or("the handler failed");
    if (out.crash->empty()) out.crash = "the handler failed";
    if (crash->refusal()) out.crash = "the handler failed, with a text that cannot be shown";
    return out;
  }
  out.later = in.flag("later").value_or(false);
  out.state = in.item("state");
  if (!out.state && in.holds_null("state")) out.state = value{};
  out.patch = in.item("patch");
  out.deeds = read_deeds(in);
  out.reply = in.item("reply");
  out.next = in.item("next");
  if (!out.next && in.holds_null("next")) out.next = value{};
  out.stop = read_stop(in);
  out.refusal = read_error(in, "error", out.state || out.patch || !out.deeds.empty() || out.next || out.stop);
  if (out.state && out.patch) in.refuse("patch", "and 'state' exclude each other");
  if (out.later && (out.reply || out.refusal)) in.refuse("later", "excludes 'reply' and 'error'");
  if (out.reply && out.refusal) in.refuse("error", "and 'reply' exclude each other");
  if (in.refusal()) return fail(*in.refusal());
  return out;
}

// ---- one frame ----

hello read_hello(fields& in) {
  constexpr std::int64_t any = std::numeric_limits<std::int32_t>::max();
  return {.version = static_cast<std::uint32_t>(in.needed_integer("version", 1, any)),
          .oldest = static_cast<std::uint32_t>(in.integer("minVersion", 1, any).value_or(1)),
          .client = in.text("client", 256).value_or("")};
}

/// What needs an answer, and so a number to answer to.
std::optional<incoming> read_numbered(std::string_view type, request_number id, fields& in) {
  if (auto op = read_operation(type, in)) {
    std::optional<process::work_id> work;
    if (const auto number = in.integer("onBehalfOf", 1, number_max)) {
      work = process::work_id{static_cast<std::uint64_t>(*number)};
    }
    return request{id, *std::move(op), work};
  }
  if (type == "cancel") return cancel{id};
  if (type == "subscribe") {
    return subscribe{id, static_cast<std::uint32_t>(in.needed_integer("credit", 0, credit_max)),
                     in.texts("events", event_types_max, 64).value_or(std::vector<std::string>{})};
  }
  if (type == "credit") return credit{id, static_cast<std::uint32_t>(in.needed_integer("add", 1, credit_max))};
  if (type == "register") return register_class{id, read_offer(in)};
  if (type == "drain") return drain{id, read_class(in)};
  return {};
}

result<incoming> read(fields& in) {
  const auto type = in.needed_text("type", 64);
  const auto number = [&](std::string_view key) {
    return static_cast<std::uint64_t>(in.needed_integer(key, 1, number_max));
  };
  if (in.refusal()) return fail(errc::protocol, in.refusal()->context);
  if (type == "done") {
    const process::work_id work{number("work")};
    if (in.refusal()) return fail(errc::protocol, "done: " + in.refusal()->context);
    return incoming{done{work, read_answer(in)}};
  }
  std::optional<incoming> out;
  if (type == "hello") out = read_hello(in);
  if (type == "ping") out = ping{static_cast<std::uint64_t>(in.integer("n", 0, number_max).value_or(0))};
  if (type == "pong") out = pong{static_cast<std::uint64_t>(in.integer("n", 0, number_max).value_or(0))};
  if (type == "goodbye") out = goodbye{in.text("code", 64).value_or(""), in.text("text", crash_bytes_max).value_or("")};
  if (type == "cast" && !in.has("id")) {
    auto op = read_cast(in);
    if (in.refusal()) return incoming{unknown{}};  // nobody is to hear of it
    return incoming{request{{}, std::move(op)}};
  }
  if (!out && !in.has("id")) {
    static constexpr std::array<std::string_view, 13> numbered{"call",      "inspect",  "stop", "kill",   "nodes",
                                                               "processes", "classes",  "tree", "cancel", "subscribe",
                                                               "credit",    "register", "drain"};
    if (std::find(numbered.begin(), numbered.end(), type) == numbered.end()) return incoming{unknown{}};
  }
  if (out) {
    if (in.refusal()) return fail(errc::protocol, type + ": " + in.refusal()->context);
    return *std::move(out);
  }
  const request_number id{number("id")};
  if (in.refusal()) return fail(errc::protocol, type + ": " + in.refusal()->context);
  out = read_numbered(type, id, in);
  if (in.refusal()) return incoming{wrong{id, error{in.refusal()->code, type + ": " + in.refusal()->context}}};
  if (out) return *std::move(out);
  return incoming{
      wrong{id, error{errc::invalid_argument, "no such type: '" + type + "'; there are " + std::string{known_types}}}};
}

}  // namespace

result<incoming> decode(byte_view payload, encoding how) {
  bytes converted;
  if (how == encoding::json) {
    auto cbor = from_json(payload);
    if (!cbor) return fail(cbor.error());
    converted = *std::move(cbor);
    payload = converted;
  }
  auto in = fields::parse(payload);
  if (!in) return fail(in.error());
  return read(*in);
}

}  // namespace orrery::sdk
