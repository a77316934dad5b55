#pragma once
// For this room's fuzz targets: a runtime with small limits, and an account of all that it said and did.
#include "mesh/base/assert.hpp"
#include "mesh/process/runtime.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace orrery::process::fuzzing {

using namespace std::chrono_literals;

/// Small, so that a hostile script ends soon; large enough for what a script has to do.
inline constexpr limits_spec tight{
    .mailbox_max = 100, .instructions_max = 20'000, .memory_bytes_max = 256U << 10U, .state_bytes_max = 16U << 10U};
/// Turns of the runtime until everything that follows from an input is done, timers included.
inline constexpr int turns_max = 200;

class world {
 public:
  result<void> define(std::string name, behaviour_spec behaviour) {
    class_spec spec;
    spec.name = class_name{std::move(name)};
    spec.behaviour = std::move(behaviour);
    spec.limits = tight;
    spec.supervision.period = 1ms;
    return rt_.define(std::move(spec));
  }
  /// The reply as JSON text, or the error as text. REQUIRES: name is `class/key`.
  std::string call(std::string_view name, std::string method, const value& argument) {
    const auto before = replies_;
    rt_.call(now_,
             {.name = parse_process_name(name).value(),
              .method = std::move(method),
              .argument = argument,
              .deadline = after(now_, 5s),
              .token = reply_token{++asked_}},
             out_);
    settle();
    ORRERY_ASSERT(replies_ == before + 1);  // each call is answered once
    return last_;
  }
  /// The value of the last reply, where there was one.
  [[nodiscard]] const std::optional<value>& last_value() const { return last_value_; }
  /// Everything so far: replies, events, casts. The same input makes the same account.
  [[nodiscard]] const std::string& account() const { return account_; }

 private:
  void settle() {
    for (int turn = 0; turn < turns_max; ++turn) {
      const bool more = rt_.run(now_, 100, out_);
      collect();
      const auto next = rt_.next_deadline();
      if (!more && next == never) return;
      now_ = std::max(now_ + 1ms, more ? now_ : std::min(next, now_ + 1h));
    }
  }
  void collect() {
    for (const auto& each : out_) {
      if (const auto* reply = std::get_if<replied>(&each)) {
        ++replies_;
        last_ = reply->reply ? reply->reply->json_text() : to_string(reply->reply.error());
        last_value_ = reply->reply ? std::optional{*reply->reply} : std::nullopt;
        account_ += "reply " + last_ + '\n';
      } else if (const auto* event = std::get_if<process_event>(&each)) {
        account_ += "event " + std::to_string(static_cast<int>(event->what)) + ' ' + to_string(event->reason) + '\n';
      } else if (const auto* cast = std::get_if<cast_sent>(&each)) {
        account_ += "cast " + to_string(cast->to) + ' ' + cast->method + ' ' + cast->argument.json_text() + '\n';
      }
    }
    out_.clear();
  }

  runtime rt_{{.node = {node_name{"fuzz-0"}, boot_number{1}}}};
  time_point now_{1s};
  effects out_;
  std::string last_;
  std::optional<value> last_value_;
  std::string account_;
  std::size_t replies_ = 0;
  std::uint64_t asked_ = 0;
};

}  // namespace orrery::process::fuzzing
