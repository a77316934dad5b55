#pragma once
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace orrery::app {

/// What is known of an operation that failed.
enum class effect { not_executed, executed, unknown };
/// As the protocol has it.
[[nodiscard]] inline const char* to_text(effect took) {
  if (took == effect::not_executed) return "not_executed";
  return took == effect::executed ? "executed" : "unknown";
}

/// An operation that failed: a stable code for programs (docs/protocol.md lists them), a text for people, and whether
/// it took effect. `not_executed` is safe to try again. `what()` is "code: text [effect]".
class error : public std::runtime_error {
 public:
  error(std::string code, std::string text, effect took)
      : std::runtime_error(code + ": " + text + " [" + to_text(took) + "]"),
        code_(std::move(code)),
        text_(std::move(text)),
        took_(took) {}
  [[nodiscard]] const std::string& code() const noexcept { return code_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] effect took_effect() const noexcept { return took_; }

 private:
  std::string code_;
  std::string text_;
  effect took_;
};

/// For handlers: answers the caller with an error, and the process lives on, as it was before this message. Any other
/// exception is a crash of it. `code` is one of the protocol's, and another one is a crash too: already_exists,
/// cancelled, conflict, deadline_exceeded, draining, forbidden, given_up, gone, handler_failed, internal,
/// invalid_argument, io, isolated, limit_exceeded, not_found, overloaded, process_exited, protocol, too_large,
/// unauthenticated, unavailable. `took` is what the caller is told of what it asked for; by default `not_executed`, or
/// `executed` where a later callback refuses it, as the one that left it waiting may have changed the state. A cast has
/// no caller: what it refuses is logged.
class refusal : public std::runtime_error {
 public:
  explicit refusal(const std::string& text, std::string code = "handler_failed",
                   std::optional<effect> took = std::nullopt)
      : std::runtime_error(text), code_(std::move(code)), took_(took) {}
  [[nodiscard]] const std::string& code() const noexcept { return code_; }
  /// Nothing: by default.
  [[nodiscard]] std::optional<effect> took_effect() const noexcept { return took_; }

 private:
  std::string code_;
  std::optional<effect> took_;
};

}  // namespace orrery::app
