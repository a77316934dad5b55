#pragma once
#include "mesh/kernel/body.hpp"
#include "mesh/process/behaviour.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace orrery::process {

struct shared_type;
struct supervised_class;

/// A kernel process that runs a behaviour of a class: turns messages into callbacks, and what they say into replies
/// and ends (OTP's gen_server).
class hosted final : public kernel::body {
 public:
  /// `name`: slot of its name in the runtime.
  hosted(supervised_class& klass, std::uint32_t name);
  ~hosted() override;

  void started(kernel::context& self) override;
  void received(kernel::context& self, kernel::message& arrived) override;
  void ended(kernel::context& self, const exit_reason& why) override;

  [[nodiscard]] result<value> snapshot();
  [[nodiscard]] std::size_t state_bytes() const noexcept { return inner_->state_bytes(); }
  /// Another state for the process, as if it had always had it; what it has set (timers, links, monitors) stays.
  /// Between two messages. Errors: invalid_argument where it is no state of the behaviour, conflict where the class has
  /// another behaviour by now, unavailable where it is busy; then nothing has changed. Whoever waits for an answer that
  /// was put off waits on.
  [[nodiscard]] result<void> replace_state(kernel::context& self, const value& state);
  /// How often that was done, or the state changed without a message that was handled just then.
  [[nodiscard]] std::uint32_t replaced() const noexcept { return replaced_; }
  void changed() noexcept { ++replaced_; }
  [[nodiscard]] behaviour& inner() noexcept { return *inner_; }
  [[nodiscard]] std::uint32_t name() const noexcept { return name_; }
  friend struct runtime::impl;  // to trace a message that is handled
  void handle(kernel::context& self, kernel::message& arrived);
  [[nodiscard]] scope where(kernel::context& self, const kernel::message* handled = nullptr) const;
  /// Of the class, that its state is of.
  [[nodiscard]] std::uint64_t version() const;
  [[nodiscard]] std::uint64_t code() const { return inner_->code(); }
  /// See behaviour::leave. Callers that are processes have heard that it moved.
  [[nodiscard]] std::vector<unanswered> leave(kernel::context& self);

 private:
  void take(shared_type& type);
  [[nodiscard]] std::optional<exit_reason> begin(kernel::context& self);
  /// The class has another behaviour: this process starts afresh with it. False where it did not start.
  bool renew(kernel::context& self);
  void ask_again(kernel::context& self, const unanswered& call);
  void settle(kernel::context& self, const kernel::message& handled, outcome led_to);

  supervised_class& klass_;
  shared_type* type_ = nullptr;
  std::unique_ptr<behaviour> inner_;
  std::uint32_t name_;
  std::uint32_t replaced_ = 0;
};

}  // namespace orrery::process
