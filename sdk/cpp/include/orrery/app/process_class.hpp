#pragma once
#include <nlohmann/json.hpp>

#include "orrery/app/error.hpp"
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::app {

using nlohmann::json;

/// A callback's process and its hands: valid during the callback only, and used by its thread alone. What is done
/// through it happens when the callback returns, all of it or, where that throws, nothing.
class context {
 public:
  context(const json& work, const std::atomic<bool>* abandoned = nullptr);

  [[nodiscard]] const std::string& process_class() const { return class_; }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] const std::string& pid() const { return pid_; }
  /// The W3C traceparent of who sent the message; empty: none.
  [[nodiscard]] const std::string& trace() const { return trace_; }
  /// The number of the work, for calls on its behalf.
  [[nodiscard]] std::uint64_t work() const { return work_; }
  /// Nobody waits for this callback any more: the process was killed, or ran over its time.
  [[nodiscard]] bool abandoned() const { return abandoned_ != nullptr && abandoned_->load(); }

  /// What it is now. The other one is to change it, and says that it has been.
  [[nodiscard]] const json& state() const { return state_; }
  [[nodiscard]] json& state() {
    touched_ = true;
    return state_;
  }

  void cast(std::string_view name, std::string_view method, json argument = nullptr);
  /// Fires as an info with this name; setting it again replaces it.
  void set_timer(std::string_view name, std::chrono::milliseconds after, json argument = nullptr);
  void cancel_timer(std::string_view name);
  /// The next message is a `continue` with this, before any that waits.
  void go_on(json with);
  /// Ends the process after this callback. `kind`: normal, shutdown or error.
  void stop(std::string_view kind = "normal", std::string_view text = {});
  /// In a call: what the handler returns is not sent; a later callback replies, with this number.
  [[nodiscard]] std::uint64_t reply_later();
  void reply(std::uint64_t caller, json answer);

 private:
  friend class process_class;
  [[nodiscard]] json effects() const { return effects_; }

  std::uint64_t work_;
  std::string class_, key_, pid_, trace_;
  std::uint64_t caller_;
  json state_;
  bool touched_ = false;
  json effects_ = json::array();
  std::optional<json> next_, stop_;
  bool later_ = false;
  const std::atomic<bool>* abandoned_;
};

/// A kind of process that this app hosts: its methods and callbacks. The ProcessClass of the same name says
/// `behaviour: {app: {}}`. Handlers of different processes run side by side, those of one never.
class process_class {
 public:
  using call_handler = std::function<json(context&, const json& argument)>;
  using cast_handler = std::function<void(context&, const json& argument)>;
  using info_handler = std::function<void(context&, const std::string& word, const json& argument)>;

  explicit process_class(std::string name) : name_(std::move(name)) {}

  /// The state that a process begins with; without it, null.
  process_class& on_init(std::function<json(const context&)> handler);
  process_class& on_call(std::string method, call_handler handler);
  process_class& on_cast(std::string method, cast_handler handler);
  /// Timers, by their name, and plain messages.
  process_class& on_info(info_handler handler);
  process_class& on_continue(cast_handler handler);
  /// The process has ended; only casts have an effect.
  process_class& on_terminate(std::function<void(context&, const std::string& reason)> handler);
  /// The state in the form of this `state_version`, from what version `from` made.
  process_class& on_code_change(std::function<json(std::uint32_t from, json state)> handler);
  process_class& state_version(std::uint32_t version);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// The `register` message.
  [[nodiscard]] json registration(unsigned concurrency) const;
  /// Runs one callback: a `work` message in, its `done` out. No sidecar needed: this is how to test a class.
  [[nodiscard]] json handle(const json& work, const std::atomic<bool>* abandoned = nullptr) const;

 private:
  json run(const json& work, context& self) const;

  std::string name_;
  std::uint32_t state_version_ = 0;
  std::function<json(const context&)> init_;
  std::map<std::string, call_handler, std::less<>> calls_;
  std::map<std::string, cast_handler, std::less<>> casts_;
  info_handler info_;
  cast_handler continue_;
  std::function<void(context&, const std::string&)> terminate_;
  std::function<json(std::uint32_t, json)> code_change_;
};

}  // namespace orrery::app
