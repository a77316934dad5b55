#pragma once
#include <nlohmann/json.hpp>

#include "orrery/app/error.hpp"
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace orrery::app {

using nlohmann::json;

struct call_options {
  std::chrono::milliseconds timeout{0};  ///< 1 ms to 1 h; 0: the class' call timeout
  std::string trace = {};                ///< W3C traceparent; what is none is not sent
  /// Gives the call up. It ends with the reply after all, or with `cancelled`: `not_executed` where its process had not
  /// begun it.
  std::stop_token stop = {};
};

/// What a callback reaches beside its own process. The client brings it; a test may leave it out, or bring its own.
struct surroundings {
  std::stop_token abandoned;
  std::function<json(std::string_view name, std::string_view method, json argument, const call_options&)> call;
};

/// A callback's process and its hands: valid during the callback only, and used by its thread alone. What is done
/// through it happens when the callback returns, all of it or, where that throws, nothing; except `call`, which happens
/// at once.
class context {
 public:
  /// `work` outlives it.
  explicit context(const json& work, surroundings around = {});

  /// "class/key".
  [[nodiscard]] std::string name() const { return class_ + "/" + key_; }
  [[nodiscard]] const std::string& process_class() const { return class_; }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] const std::string& pid() const { return pid_; }
  /// The method, the timer's name or the message's word; empty in other callbacks.
  [[nodiscard]] const std::string& message() const { return message_; }
  /// The W3C traceparent of who sent the message; empty: none.
  [[nodiscard]] const std::string& trace() const { return trace_; }
  /// Nobody waits for this callback any more: the process was killed, ran over its time, or the connection ended.
  [[nodiscard]] bool abandoned() const { return around_.abandoned.stop_requested(); }
  /// The same to wait with, as std::condition_variable_any takes it.
  [[nodiscard]] const std::stop_token& abandoned_token() const { return around_.abandoned; }

  /// What it is now. Read with `at` or `value` what may be missing: `[]` of const json must not miss.
  [[nodiscard]] const json& state() const { return changed_ ? *changed_ : *before_; }
  /// The same, to change it.
  [[nodiscard]] json& change();

  /// Asks another process, and waits for its answer; asking oneself is refused. Throws `error`.
  json call(std::string_view name, std::string_view method, json argument = nullptr, call_options how = {});
  void cast(std::string_view name, std::string_view method, json argument = nullptr);
  /// Fires as an info with this name; setting it again replaces it. At least 1 ms.
  void set_timer(std::string_view name, std::chrono::milliseconds after, json argument = nullptr);
  void cancel_timer(std::string_view name);
  /// The next message is a `continue` with this, before any that waits.
  void go_on(json with);
  /// Ends the process after this callback. `kind`: normal, shutdown or error.
  void stop(std::string_view kind = "normal", std::string_view text = {});
  /// In a call: what the handler returns, which must be null, is not sent; a later callback replies, with this number.
  [[nodiscard]] std::uint64_t reply_later();
  void reply(std::uint64_t caller, json answer);
  void refuse(std::uint64_t caller, const refusal& why);

 private:
  friend class process_class;
  void add(json effect);

  std::string class_, key_, pid_, message_, trace_;
  std::uint64_t caller_;
  const json* before_;
  std::optional<json> changed_;
  json effects_ = json::array();
  std::optional<json> next_, stop_;
  bool later_ = false;
  surroundings around_;
};

}  // namespace orrery::app
