#include "values.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace orrery::app {
namespace {

using nlohmann::json;

constexpr std::size_t class_bytes_max = 63;
constexpr std::size_t key_bytes_max = 1024;
constexpr std::size_t method_bytes_max = 128;
constexpr std::size_t pid_bytes_max = 1088;
constexpr std::size_t word_bytes_max = 255;
constexpr std::size_t group_bytes_max = 255;
constexpr std::size_t timer_name_bytes_max = 128;
constexpr std::chrono::milliseconds timeout_max = std::chrono::hours{1};
constexpr std::chrono::milliseconds timer_max = std::chrono::days{400};
constexpr std::array codes{"already_exists", "cancelled",      "conflict",         "deadline_exceeded",
                           "draining",       "forbidden",      "given_up",         "gone",
                           "handler_failed", "internal",       "invalid_argument", "io",
                           "isolated",       "limit_exceeded", "not_found",        "overloaded",
                           "process_exited", "protocol",       "too_large",        "unauthenticated",
                           "unavailable"};

[[noreturn]] void refuse(const std::string& text) { throw error("invalid_argument", text, effect::not_executed); }

/// Of the letter in UTF-8 that `text`, which is not empty, begins with. 0: it begins with none.
std::size_t letter_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (at(0) < 0x80) return 1;
  const std::size_t length = at(0) >= 0xf0 ? 4 : at(0) >= 0xe0 ? 3 : 2;
  if (at(0) < 0xc2 || at(0) > 0xf4 || length > text.size()) return 0;
  for (std::size_t more = 1; more < length; ++more)
    if ((at(more) & 0xc0U) != 0x80U) return 0;
  if (at(0) == 0xe0 && at(1) < 0xa0) return 0;  // longer than need be
  if (at(0) == 0xed && at(1) > 0x9f) return 0;  // half a surrogate pair
  if (at(0) == 0xf0 && at(1) < 0x90) return 0;  // longer than need be
  if (at(0) == 0xf4 && at(1) > 0x8f) return 0;  // beyond the last letter
  return length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto length = letter_bytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

/// Looks at every item: what is not plain and where, and how many bytes it has at most when it is encoded.
class inspection {
 public:
  /// Empty: all is plain.
  std::string problem_of(const json& value, std::size_t depth = value_depth_max) {
    bytes_ += head_bytes_max;
    if (value.is_string()) return text(value.get_ref<const std::string&>());
    if (value.is_binary()) bytes_ += value.get_binary().size();
    if (value.is_number_float() && !std::isfinite(value.get<double>())) return ": a number is not finite";
    if (value.is_discarded()) return ": it is no value";
    if (!value.is_structured()) return {};
    if (depth == 0) return ": nested too deeply, over " + std::to_string(value_depth_max) + " levels";
    std::size_t index = 0;
    for (auto it = value.begin(); it != value.end(); ++it, ++index) {
      std::string inner;
      if (value.is_object()) {
        bytes_ += head_bytes_max;
        inner = text(it.key());
      }
      if (inner.empty()) inner = problem_of(*it, depth - 1);
      if (inner.empty()) continue;
      if (depth + steps_shown <= value_depth_max) return inner;
      return (value.is_object() && is_utf8(it.key()) ? "." + it.key() : "[" + std::to_string(index) + "]") + inner;
    }
    return {};
  }
  [[nodiscard]] std::size_t bytes_at_most() const { return bytes_; }

 private:
  static constexpr std::size_t head_bytes_max = 9;
  static constexpr std::size_t steps_shown = 4;  ///< of the way to it, which is enough to find it

  std::string text(const std::string& what) {
    bytes_ += what.size();
    return is_utf8(what) ? "" : ": a text is not UTF-8";
  }

  std::size_t bytes_ = 0;
};

void check_name(const char* what, std::string_view text, std::size_t bytes_max) {
  if (text.empty() || text.size() > bytes_max) {
    refuse(std::string("the ") + what + " has " + std::to_string(text.size()) + " bytes; 1 to " +
           std::to_string(bytes_max) + " are accepted");
  }
  if (!is_utf8(text)) refuse(std::string("the ") + what + " is not UTF-8");
}

bool loses_null(const json& value) {
  if (value.is_null()) return true;
  return value.is_object() && std::any_of(value.begin(), value.end(), loses_null);
}

}  // namespace

effect effect_of(std::string_view text) {
  if (text == "not_executed") return effect::not_executed;
  return text == "executed" ? effect::executed : effect::unknown;
}

std::string problem_of_code(std::string_view code) {
  if (std::find(codes.begin(), codes.end(), code) != codes.end()) return {};
  std::string known;
  for (const auto* each : codes)
    known += (known.empty() ? "" : ", ") + std::string(each);
  return "'" + std::string(code) + "' is no code of a refusal; use one of " + known;
}

void check_value(const json& value, std::string_view what, std::size_t bytes_max) {
  inspection look;
  if (const auto problem = look.problem_of(value); !problem.empty())
    refuse("the " + std::string(what) + " cannot be sent: " + std::string(what) + problem);
  if (look.bytes_at_most() <= bytes_max) return;
  const auto size = json::to_cbor(value).size();
  if (size > bytes_max) {
    throw error("too_large",
                "the " + std::string(what) + " has " + std::to_string(size) + " bytes; at most " +
                    std::to_string(bytes_max) + " can be sent",
                effect::not_executed);
  }
}

std::string readable(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD
  std::string out;
  while (!text.empty()) {
    const auto length = letter_bytes(text);
    const auto letter = length > 0 ? text.substr(0, length) : replacement;
    if (out.size() + letter.size() > bytes_max) break;
    out += letter;
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return out;
}

json name_fields(std::string_view name) {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos)
    refuse("'" + std::string(name) + "' names no process; names are class/key, as in cart/ada");
  check_name("class", name.substr(0, slash), class_bytes_max);
  check_name("key", name.substr(slash + 1), key_bytes_max);
  return {{"class", name.substr(0, slash)}, {"key", name.substr(slash + 1)}};
}

void check_target(std::string_view to) {
  if (to.find('/') != std::string_view::npos) return static_cast<void>(name_fields(to));
  if (to.find('@') == std::string_view::npos)
    refuse("'" + readable(to) + "' names no process; it is a pid, or class/key, as in cart/ada");
  check_name("pid", to, pid_bytes_max);
}

void check_group(std::string_view group) { check_name("group", group, group_bytes_max); }

void check_text(const char* what, std::string_view text) { check_name(what, text, key_bytes_max); }

void check_word(std::string_view word) {
  check_name("word", word, word_bytes_max);
  if (word == "group_joined" || word == "group_left" || word == "key_lost")
    refuse("the word '" + std::string(word) + "' is the system's");
}

void check_method(std::string_view method) { check_name("method", method, method_bytes_max); }

void check_timeout(std::chrono::milliseconds timeout) {
  if (timeout.count() < 1 || timeout > timeout_max)
    refuse("a timeout is 1 ms to 1 h, not " + std::to_string(timeout.count()) + " ms");
}

void check_timer(std::string_view name, std::chrono::milliseconds after) {
  check_timer_name(name);
  if (after.count() >= 1 && after <= timer_max) return;
  refuse("the timer '" + std::string(name) + "' is set to " + std::to_string(after.count()) +
         " ms; 1 ms to 400 days (" + std::to_string(timer_max.count()) + " ms) are accepted");
}

void check_timer_name(std::string_view name) { check_name("name of a timer", name, timer_name_bytes_max); }

bool is_traceparent(std::string_view text) {
  constexpr std::array<std::size_t, 4> parts{2, 32, 16, 2};
  if (text.starts_with("ff")) return false;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    if (part > 0) {
      if (text.empty() || text[0] != '-') return false;
      text.remove_prefix(1);
    }
    const auto digits = text.substr(0, parts[part]);
    if (digits.size() < parts[part] || digits.find_first_not_of("0123456789abcdef") != std::string_view::npos)
      return false;
    text.remove_prefix(parts[part]);
  }
  return text.empty() || text[0] == '-';
}

std::unique_ptr<error> failure_of(const json& result) {
  const auto found = result.find("error");
  if (found == result.end()) return nullptr;
  return std::make_unique<error>(found->value("code", "internal"), found->value("text", ""),
                                 effect_of(found->value("effect", "unknown")));
}

outcome outcome_of(const json& result) {
  auto why = failure_of(result);
  return {.reply = why ? json() : result.value("ok", json()), .failure = std::move(why)};
}

std::string text_in(const json& fields, const char* name) {
  const auto found = fields.find(name);
  return found != fields.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string pid_in(const json& fields, const char* name) {
  auto text = text_in(fields, name);
  return text.find('/') == std::string::npos ? text : "";
}

std::string process_in(const json& work) { return text_in(work, "class") + "/" + text_in(work, "key"); }

std::string callback_in(const json& work) {
  const auto method = text_in(work, "method");
  return text_in(work, "callback") + (method.empty() ? "" : " " + method);
}

exit_reason exit_reason_in(const json& fields) {
  const auto reason = fields.value("reason", json());
  return {.kind = text_in(reason, "kind"), .text = text_in(reason, "text")};
}

json fields_of(const exit_reason& reason) { return {{"kind", reason.kind}, {"text", readable(reason.text)}}; }

bool same(const json& left, const json& right) {
  if (left.is_number_integer() && right.is_number_integer()) return left == right;  // signed or not
  if (left.type() != right.type() || left.size() != right.size()) return false;
  if (left.is_array()) return std::equal(left.begin(), left.end(), right.begin(), same);
  if (!left.is_object()) return left == right;
  return std::equal(
      left.items().begin(), left.items().end(), right.items().begin(),
      [](const auto& one, const auto& other) { return one.key() == other.key() && same(one.value(), other.value()); });
}

json merge_patch(const json& before, const json& after) {
  const json none(json::value_t::discarded);
  if (!before.is_object() || !after.is_object()) return none;
  json patch = json::object();
  for (const auto& [key, old] : before.items())
    if (!after.contains(key)) patch[key] = nullptr;
  for (const auto& [key, fresh] : after.items()) {
    const auto old = before.find(key);
    if (old != before.end() && same(*old, fresh)) continue;
    auto inner = old != before.end() && !old->empty() ? merge_patch(*old, fresh) : none;
    if (inner.is_discarded()) {
      if (loses_null(fresh)) return none;
      inner = fresh;
    }
    patch[key] = std::move(inner);
  }
  return patch;
}

}  // namespace orrery::app
