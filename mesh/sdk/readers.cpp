// What is common to several frames, and the effects of an answer.
#include "mesh/sdk/readers.hpp"

#include "mesh/wire/trace_context.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace orrery::sdk {

using process::app_deed;

namespace {

constexpr std::int64_t timer_ms_max = std::int64_t{400} * 24 * timeout_ms_max;
constexpr std::size_t trace_bytes_max = 1024;  ///< read; what is no traceparent is dropped

}  // namespace

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

std::optional<duration> read_timeout(fields& in) {
  const auto ms = in.integer("timeoutMs", 1, timeout_ms_max);
  return ms ? std::optional<duration>{std::chrono::milliseconds{*ms}} : std::nullopt;
}

std::size_t read_limit(fields& in) {
  return static_cast<std::size_t>(in.integer("limit", 1, list_limit_max).value_or(1000));
}

std::optional<kernel::exit_reason> read_reason(fields& in, std::string_view key,
                                               const std::vector<kernel::exit_reason::kind>& kinds) {
  auto given = in.map(key);
  if (!given) return {};
  const auto name = given->text("kind", 64).value_or("normal");
  std::string known;
  std::optional<kernel::exit_reason> reason;
  for (const auto each : kinds) {
    known += (known.empty() ? "" : ", ") + std::string{kernel::to_string(each)};
    if (name == kernel::to_string(each)) reason = {each, given->prose("text", reason_bytes_max).value_or("")};
  }
  if (!reason) given->refuse("kind", "must be one of " + known + ", not '" + name + "'");
  if (given->refusal()) in.refuse_inside(key, *given->refusal());
  return reason;
}

std::optional<error> read_error(fields& in, std::string_view key, bool changes) {
  auto given = in.map(key);
  if (!given) return {};
  const auto code = given->text("code", 64);
  error out{.code = errc::handler_failed,
            .context = given->prose("text", crash_bytes_max).value_or("the handler refused"),
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

namespace {

constexpr std::string_view known_effects =
    "cast, call, send, publish, join, leave, monitor, demonitor, timer, cancelTimer, reply";

std::string read_effect_name(fields& in) { return in.needed_text("name", process::app_method_bytes_max); }

/// Those whose value is a text.
std::optional<app_deed> read_short_deed(std::string_view kind, fields& in) {
  if (kind == "cancelTimer") return process::app_cancel_timer{in.needed_text(kind, process::app_method_bytes_max)};
  if (kind == "demonitor") return process::app_demonitor{in.needed_text(kind, process::app_method_bytes_max)};
  if (kind == "join") return process::app_join{in.needed_text(kind, process::group_name_bytes_max)};
  if (kind == "leave") return process::app_leave{in.needed_text(kind, process::group_name_bytes_max)};
  return {};
}

std::optional<app_deed> read_reply(fields& in) {
  const auto to = static_cast<std::uint64_t>(in.needed_integer("to", 1, number_max));
  auto refusal = read_error(in, "error", true);
  auto reply = in.item("reply").value_or(value{});
  return process::app_late_reply{to, refusal ? result<value>{fail(*std::move(refusal))} : std::move(reply)};
}

/// Those whose value is a map, which is `in`.
std::optional<app_deed> read_long_deed(std::string_view kind, fields& in) {
  if (kind == "reply") return read_reply(in);
  if (kind == "monitor") return process::app_monitor{read_effect_name(in), in.needed_text("to", target_bytes_max)};
  if (kind == "cast") {
    auto name = read_name(in);
    return process::app_cast{std::move(name), in.needed_text("method", method_bytes_max), read_argument(in)};
  }
  auto argument = in.item("argument").value_or(value{});
  if (kind == "timer") {
    return process::app_timer{read_effect_name(in),
                              std::chrono::milliseconds{in.needed_integer("afterMs", 1, timer_ms_max)},
                              std::move(argument)};
  }
  if (kind == "send") {
    return process::app_send{in.needed_text("to", target_bytes_max), in.needed_text("word", method_bytes_max),
                             std::move(argument)};
  }
  if (kind == "publish") {
    return process::app_publish{in.needed_text("group", process::group_name_bytes_max),
                                in.needed_text("word", method_bytes_max), std::move(argument)};
  }
  if (kind == "call") {
    return process::app_request{read_effect_name(in), in.needed_text("to", target_bytes_max),
                                in.needed_text("method", method_bytes_max), std::move(argument),
                                read_timeout(in).value_or(process::client_call_timeout)};
  }
  return {};
}

std::optional<app_deed> read_deed(std::string_view kind, fields& in) {
  if (auto deed = read_short_deed(kind, in)) return deed;
  auto inner = in.map(kind);
  if (!inner) {
    in.refuse(kind, "is missing");
    return {};
  }
  auto deed = read_long_deed(kind, *inner);
  if (!deed) in.refuse(kind, "is no effect that is known; there are " + std::string{known_effects});
  if (inner->refusal()) in.refuse_inside(kind, *inner->refusal());
  return deed;
}

}  // namespace

std::vector<app_deed> read_deeds(fields& in) {
  std::vector<app_deed> out;
  auto entries = in.maps("effects", process::app_deeds_max);
  if (!entries) return out;
  for (auto& each : *entries) {
    const auto where = "effects[" + std::to_string(out.size()) + "]";
    const auto kind = each.only_key();
    auto deed = kind ? read_deed(*kind, each) : std::nullopt;
    if (!kind) in.refuse(where, "must be a map with one field, of " + std::string{known_effects});
    if (each.refusal()) in.refuse_inside(where, *each.refusal());
    if (!deed || in.refusal()) return out;
    out.push_back(*std::move(deed));
  }
  return out;
}

}  // namespace orrery::sdk
