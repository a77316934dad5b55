#pragma once
#include "mesh/process/apps/desk.hpp"
#include "mesh/process/behaviour.hpp"
#include "mesh/wire/cbor.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace orrery::process {

/// One life of a process whose callbacks run in an app: state and timers are here, the work is there. While an app has
/// work of it, its process is paused; where none has room, what it was to handle goes back to its mailbox.
class app_behaviour final : public behaviour {
 public:
  explicit app_behaviour(app_pool& pool) : pool_(pool) {}
  ~app_behaviour() override;

  std::optional<exit_reason> init(const scope& where, std::uint64_t seed) override;
  outcome call(const scope& where, std::string_view method, const value& argument) override;
  outcome cast(const scope& where, std::string_view method, const value& argument) override;
  outcome info(const scope& where, const kernel::message& arrived) override;
  void terminate(const scope& where, const exit_reason& reason) override;
  result<value> snapshot(const moment& at) override;
  result<void> restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) override;
  void timer_restored(const value& payload, kernel::reference set) override;
  std::size_t state_bytes() const noexcept override { return state_.cbor().size(); }
  value unpacked(value snapshot) const override;
  value packed(value state) const override;
  void take_over(behaviour& before) override;
  void moved(const scope& where) override;

  // ---- for the runtime ----
  /// In the middle of a message: an app has its work, or a `continue` is to follow.
  /// Where no app is there, a `continue` goes with the process to where there is one.
  [[nodiscard]] bool busy() const noexcept override {
    return at_work_.has_value() || (continues_ && pool_.anyone_there());
  }
  /// Init has been done.
  [[nodiscard]] bool begun() const noexcept { return begun_; }
  /// What follows from the answer to its work; its process may have ended then. An error: the answer was not taken, and
  /// the process has ended for it. REQUIRES: an app has its work, and did it.
  [[nodiscard]] result<void> finish(const scope& where, app_answer answer);
  /// The work is not with any app any more.
  void lost_work() noexcept { at_work_.reset(); }

 private:
  struct timer {
    std::uint64_t number = 0;
    kernel::reference set{};
  };
  using named_references = std::map<std::string, kernel::reference, std::less<>>;
  /// An info that no message of others brings.
  struct notice {
    std::string name;
    app_source source = app_source::reply;
    value argument;
  };
  /// What most processes never have.
  struct extras {
    std::map<std::string, timer, std::less<>> timers;
    std::map<std::uint64_t, kernel::caller> kept;
    named_references requests;  ///< calls of its own, that are to be answered
    named_references monitors;
    std::unordered_map<std::uint64_t, std::string> names;  ///< of both, by packed references
    std::deque<notice> notices;                            ///< a message in the mailbox brings the next of them
    value next;                                            ///< of the `continue`
  };

  [[nodiscard]] outcome ask(const scope& where, app_work what);
  outcome wait(const scope& where);
  [[nodiscard]] app_work work_of(const scope& where, app_callback what) const;
  [[nodiscard]] value pack(bool begun, const value& state, const std::deque<notice>& notices,
                           const std::optional<value>& next) const;
  [[nodiscard]] static std::optional<std::deque<notice>> read_notices(cbor::reader& in);
  [[nodiscard]] outcome fired(const scope& where, const value& payload);
  [[nodiscard]] outcome resumed(const scope& where, const value& payload);
  [[nodiscard]] outcome heard(const scope& where, const kernel::message& arrived);
  [[nodiscard]] outcome noticed(const scope& where);
  /// Hands over an info; `forget` is called once it is not to come again.
  template <class Forget>
  [[nodiscard]] outcome inform(const scope& where, app_work what, const Forget& forget);
  [[nodiscard]] result<std::optional<value>> state_after(const app_answer& answer) const;
  [[nodiscard]] std::size_t timers_after(const app_answer& answer) const;
  [[nodiscard]] std::size_t asked_after(const app_answer& answer) const;
  [[nodiscard]] result<void> check(const scope& where, const app_answer& answer) const;

  // ---- deeds.cpp ----
  void carry_out(const scope& where, app_deed& deed);
  void set_timer(const scope& where, app_timer& wanted);
  void cancel_timer(const scope& where, const std::string& name);
  void send(const scope& where, app_send& what);
  void publish(const scope& where, const app_publish& what);
  void join(const scope& where, const app_join& what);
  void request(const scope& where, app_request& what);
  void monitor(const scope& where, app_monitor& what);
  void demonitor(const scope& where, const std::string& name);
  void forget(named_references& of, std::string_view name);
  void remember(named_references& of, const std::string& name, kernel::reference made);
  void notify(const scope& where, notice what);
  [[nodiscard]] std::size_t baggage_after(const app_answer& answer) const;
  void forget_notices(std::string_view name, app_source source);
  [[nodiscard]] extras& more() {
    if (!more_) more_ = std::make_unique<extras>();
    return *more_;
  }

  app_pool& pool_;
  value state_;  ///< before init: what it was spawned with
  std::optional<work_id> at_work_;
  kernel::caller asking_{};          ///< of the call that is being handled
  std::uint64_t asked_number_ = 0;   ///< its number
  std::uint32_t asked_version_ = 0;  ///< of the app that has the work
  std::uint64_t place_ = 0;          ///< where it waits for room
  std::uint64_t numbers_ = 0;        ///< given to callers and timers; never the same twice for one name
  std::uint32_t state_version_ = 0;
  app_callback doing_ = app_callback::init;
  bool begun_ = false;
  bool continues_ = false;  ///< the message that was handled last goes on with a `continue`
  std::unique_ptr<extras> more_;
};

/// Of the message by which a process reminds itself of a notice.
inline constexpr std::string_view app_notice_word = "app: notice";
/// Can it be carried out, as far as its own words and targets go? Errors: invalid_argument, overloaded.
[[nodiscard]] result<void> check_deed(directory& around, const app_deed& deed);
/// Does it fit into what is handed over when its process moves? Errors: limit_exceeded.
[[nodiscard]] result<void> check_depth(std::string_view what, const value& of);
/// What an info of source `reply` says: {"ok": VALUE} or {"error": {"code", "text", "effect"}}.
[[nodiscard]] value reply_argument(const result<value>& came);
/// Of source `down`: {"pid", "reason": {"kind", "text"}}.
[[nodiscard]] value down_argument(std::string_view pid, const exit_reason& why);

/// The pool outlives the type, and follows the class spec by itself.
[[nodiscard]] std::unique_ptr<behaviour_type> make_app_type(app_pool& pool);

}  // namespace orrery::process
