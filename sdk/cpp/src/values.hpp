#pragma once
// What may be sent: plain data, names, methods. Each check throws `error`, `invalid_argument` or `too_large`, not
// executed, with a text that says what is wrong and where.
#include <nlohmann/json.hpp>

#include "orrery/app/messages.hpp"
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace orrery::app {

constexpr std::size_t value_bytes_max = 1U << 20U;
constexpr std::size_t value_depth_max = 64;

/// Back from `to_text`; what is no effect is unknown.
[[nodiscard]] effect effect_of(std::string_view text);
/// Why it is no code that a refusal may have, with those that it may; empty: it is one.
[[nodiscard]] std::string problem_of_code(std::string_view code);

/// Plain: no NaN, texts in UTF-8, at most 64 levels and `bytes_max` bytes. `what` names it: argument, state, reply.
void check_value(const nlohmann::json& value, std::string_view what, std::size_t bytes_max = value_bytes_max);
/// For people, who rather see some of it than nothing: what is not UTF-8 becomes U+FFFD, and it ends after a whole
/// letter.
[[nodiscard]] std::string readable(std::string_view text, std::size_t bytes_max = std::string_view::npos);
/// {"class", "key"} of "class/key".
[[nodiscard]] nlohmann::json name_fields(std::string_view name);
/// A pid, or "class/key".
void check_target(std::string_view to);
void check_method(std::string_view method);
/// Of a plain message that no system sends.
void check_word(std::string_view word);
void check_group(std::string_view group);
/// A key of the registry, the name of a request or monitor, or the like; `what` says which.
void check_text(const char* what, std::string_view text);
void check_timeout(std::chrono::milliseconds timeout);
/// Of a timer, which fires so much later.
void check_timer(std::string_view name, std::chrono::milliseconds after);
void check_timer_name(std::string_view name);
[[nodiscard]] bool is_traceparent(std::string_view text);

/// Why a result, {"ok"} or {"error": {"code", "text", "effect"}}, is none.
[[nodiscard]] std::unique_ptr<error> failure_of(const nlohmann::json& result);
[[nodiscard]] outcome outcome_of(const nlohmann::json& result);
/// Empty where it is absent, or null.
[[nodiscard]] std::string text_in(const nlohmann::json& fields, const char* name);
/// The same, and empty where it is a name, of nobody.
[[nodiscard]] std::string pid_in(const nlohmann::json& fields, const char* name);
/// Of a `work`, for people: whose it is, as "cart/ada", and what, as "call add".
[[nodiscard]] std::string process_in(const nlohmann::json& work);
[[nodiscard]] std::string callback_in(const nlohmann::json& work);
/// The field `reason`, {"kind", "text"}; and such a field's value, with a text for people.
[[nodiscard]] exit_reason exit_reason_in(const nlohmann::json& fields);
[[nodiscard]] nlohmann::json fields_of(const exit_reason& reason);

/// Equal as data: 1, 1.0 and true are three things.
[[nodiscard]] bool same(const nlohmann::json& left, const nlohmann::json& right);
/// The JSON merge patch (RFC 7396) that makes `after` of `before`; `discarded` where none can: they are not both maps,
/// or a null would be taken for a removal.
[[nodiscard]] nlohmann::json merge_patch(const nlohmann::json& before, const nlohmann::json& after);

}  // namespace orrery::app
