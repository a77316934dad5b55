#include "mesh/sdk/readers.hpp"
#include "mesh/wire/trace_context.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace orrery::sdk {
namespace {

using process::app_callback;
using exit_kind = kernel::exit_reason::kind;

constexpr std::array<std::string_view, 36> numbered_types{
    "call",     "cast",   "start", "inspect", "stop",     "kill",    "nodes",   "processes", "classes",
    "tree",     "groups", "group", "publish", "registry", "lookup",  "cancel",  "subscribe", "credit",
    "register", "drain",  "open",  "close",   "send",     "spawn",   "monitor", "demonitor", "link",
    "unlink",   "exit",   "join",  "leave",   "watch",    "unwatch", "claim",   "update",    "release"};

std::string known_types() {
  std::string all;
  for (const auto each : numbered_types)
    all += std::string{each} + ", ";
  return all + "done, ping, pong, goodbye";
}

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

node::call_op read_call(fields& in) {
  return {.name = read_name(in),
          .method = in.needed_text("method", method_bytes_max),
          .argument = read_argument(in),
          .timeout = read_timeout(in)};
}

node::cast_op read_cast(fields& in) {
  return {.name = read_name(in), .method = in.needed_text("method", method_bytes_max), .argument = read_argument(in)};
}

std::optional<node::operation> read_operation(std::string_view type, fields& in) {
  if (type == "call") return read_call(in);
  if (type == "cast") return read_cast(in);
  if (type == "start") return node::start_op{read_name(in), read_timeout(in)};
  if (type == "inspect") return node::inspect_op{read_name(in)};
  if (type == "stop") return node::stop_op{read_name(in)};
  if (type == "kill") {
    return node::kill_op{read_name(in), in.prose("reason", reason_bytes_max).value_or("killed by a client")};
  }
  if (type == "nodes") return node::list_nodes_op{};
  if (type == "processes") {
    return node::list_processes_op{
        .only = read_class(in), .limit = read_limit(in), .local = in.flag("local").value_or(false)};
  }
  if (type == "classes") return node::list_classes_op{};
  if (type == "tree") return node::tree_op{in.flag("local").value_or(false)};
  if (type == "groups") return node::list_groups_op{in.text("prefix", prefix_bytes_max).value_or(""), read_limit(in)};
  if (type == "group") return node::group_op{in.needed_text("group", process::group_name_bytes_max)};
  if (type == "publish") {
    return node::publish_op{in.needed_text("group", process::group_name_bytes_max),
                            in.needed_text("word", method_bytes_max), in.item("argument").value_or(value{})};
  }
  if (type == "registry") {
    return node::list_registry_op{in.text("prefix", prefix_bytes_max).value_or(""), read_limit(in)};
  }
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
  static constexpr std::array<std::pair<std::string_view, app_callback>, 6> callbacks{{
      {"init", app_callback::init},
      {"info", app_callback::info},
      {"continue", app_callback::resume},
      {"terminate", app_callback::terminate},
      {"code_change", app_callback::code_change},
      {"handoff", app_callback::handoff},
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

result<process::app_answer> read_answer(fields& in) {
  process::app_answer out;
  if (auto crash = in.map("crash")) {
    out.crash = crash->prose("text", crash_bytes_max).value_or("the handler failed");
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
  out.stop = read_reason(in, "stop", {exit_kind::normal, exit_kind::shutdown, exit_kind::error});
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
  if (auto done = read_act(type, id, in)) return done;
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
  if (type == "goodbye")
    out = goodbye{in.text("code", 64).value_or(""), in.prose("text", crash_bytes_max).value_or("")};
  if (type == "credit" && in.has("process")) {
    out = process_credit{process::client_process_id{number("process")},
                         static_cast<std::uint32_t>(in.needed_integer("add", 1, process::client_credit_max))};
  }
  if (type == "cast" && !in.has("id")) {
    auto op = read_cast(in);
    if (in.refusal()) return incoming{unknown{}};  // nobody is to hear of it
    return incoming{request{{}, std::move(op)}};
  }
  if (!out && !in.has("id")) {
    if (std::find(numbered_types.begin(), numbered_types.end(), type) == numbered_types.end())
      return incoming{unknown{}};
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
  return incoming{wrong{id, error{errc::invalid_argument, "no such type: '" + type + "'; there are " + known_types()}}};
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
