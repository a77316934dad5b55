#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace orrery::app {

/// What is known of an operation that failed.
enum class effect { not_executed, executed, unknown };

/// An operation that failed: a stable code for programs (docs/protocol.md lists them), a text for people, and whether
/// it took effect. `not_executed` is safe to try again.
class error : public std::runtime_error {
 public:
  error(std::string code, const std::string& text, effect took)
      : std::runtime_error(code + ": " + text), code_(std::move(code)), took_(took) {}
  [[nodiscard]] const std::string& code() const noexcept { return code_; }
  [[nodiscard]] effect took_effect() const noexcept { return took_; }

 private:
  std::string code_;
  effect took_;
};

/// For handlers: answers the caller with an error, and the process lives on. Any other exception is a crash of it.
class refusal : public std::runtime_error {
 public:
  explicit refusal(const std::string& text, std::string code = "handler_failed")
      : std::runtime_error(text), code_(std::move(code)) {}
  [[nodiscard]] const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

}  // namespace orrery::app
