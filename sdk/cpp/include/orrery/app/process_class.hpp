#pragma once
#include "orrery/app/context.hpp"
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace orrery::app {

/// A kind of process that this app hosts: its methods and callbacks. The ProcessClass of the same name says
/// `behaviour: {app: {}}`. Handlers of different processes run side by side, those of one never.
class process_class {
 public:
  using call_handler = std::function<json(context&, const json& argument)>;
  using cast_handler = std::function<void(context&, const json& argument)>;
  using reply_handler = std::function<void(context&, const outcome& answer)>;
  using down_handler = std::function<void(context&, const down& what)>;

  explicit process_class(std::string name) : name_(std::move(name)) {}

  /// The state that a process begins with; without it, null.
  process_class& on_init(std::function<json(const context&)> handler);
  /// The same, with what another process spawned it with, or what its class declares; and it may do things, as joining
  /// a group.
  process_class& on_init(call_handler handler);
  process_class& on_call(std::string method, call_handler handler);
  process_class& on_cast(std::string method, cast_handler handler);
  /// A timer of this name, or a plain message's word; `context::source` tells which. One named "expire/pen" comes to
  /// "expire" where nothing has its whole name; what nothing takes is dropped.
  process_class& on_info(std::string word, cast_handler handler);
  /// The answer to a `context::request` of this name, or why there is none. Names as in `on_info`.
  process_class& on_reply(std::string name, reply_handler handler);
  /// What a `context::monitor` of this name watched has ended. Names as in `on_info`.
  process_class& on_down(std::string name, down_handler handler);
  process_class& on_continue(cast_handler handler);
  /// The process has come from another node, with its state, timers and groups, and handles nothing before this. Its
  /// monitors stayed behind; a request without an answer is answered `unavailable`, effect unknown.
  process_class& on_handoff(std::function<void(context&)> handler);
  /// The process has ended; only casts have an effect.
  process_class& on_terminate(std::function<void(context&, const exit_reason&)> handler);
  /// The state in the form of this `state_version`, from what version `from` made.
  process_class& on_code_change(std::function<json(std::uint32_t from, json state)> handler);
  process_class& state_version(std::uint32_t version);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// The `register` message.
  [[nodiscard]] json registration(unsigned concurrency) const;
  /// Runs one callback: a `work` message in, its `done` out. No sidecar needed: this is how to test a class. Never
  /// throws: what a handler throws, and what it leaves that cannot be sent, is a `crash`.
  [[nodiscard]] json handle(const json& work, surroundings around = {}) const;

 private:
  friend class context;
  /// Throws std::out_of_range where nothing hears what would come as an info of this source and name.
  void check_heard(info_source as, std::string_view name) const;
  json run(const json& work, context& self) const;
  void inform(const json& argument, context& self) const;
  json finish(const json& work, context& self) const;

  std::string name_;
  std::uint32_t state_version_ = 0;
  call_handler init_;
  std::map<std::string, call_handler, std::less<>> calls_;
  std::map<std::string, cast_handler, std::less<>> casts_;
  std::map<std::string, cast_handler, std::less<>> infos_;
  std::map<std::string, reply_handler, std::less<>> replies_;
  std::map<std::string, down_handler, std::less<>> downs_;
  cast_handler continue_;
  std::function<void(context&)> handoff_;
  std::function<void(context&, const exit_reason&)> terminate_;
  std::function<json(std::uint32_t, json)> code_change_;
};

}  // namespace orrery::app
