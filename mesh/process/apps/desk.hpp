#pragma once
// Which apps work for which class, what they have in their hands, and who waits for room.
#include "mesh/kernel/handle.hpp"
#include "mesh/process/apps/app.hpp"
#include "mesh/process/behaviour.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery::process {

class app_desk;

/// The apps of one class. Work goes to those of the newest state version, to the least busy first; processes that find
/// no room wait in the order in which they came.
class app_pool {
 public:
  app_pool(app_desk& desk, class_name klass) : desk_(desk), klass_(std::move(klass)) {}

  // ---- the class ----
  /// As a class spec has it; from now on.
  struct settings {
    std::uint64_t version = 0;
    duration handler_timeout{};
    duration wait_for_app{};
    std::uint64_t state_bytes_max = 0;
  };
  void declare(const settings& chosen);
  [[nodiscard]] const settings& declared() const noexcept { return settings_; }
  [[nodiscard]] const class_name& klass() const noexcept { return klass_; }

  // ---- what apps offer ----
  [[nodiscard]] bool anyone_there() const noexcept { return newest_.has_value(); }
  /// Until the first registration any method may turn out to be one.
  [[nodiscard]] bool answers(message_kind kind, std::string_view method) const;
  [[nodiscard]] std::string methods(message_kind kind) const;
  /// Of those that get work. REQUIRES: anyone_there().
  [[nodiscard]] bool has(app_callback one) const;
  [[nodiscard]] std::uint32_t state_version() const;
  /// Why new messages are not taken: no app has been there for too long.
  [[nodiscard]] std::optional<error> refusal(time_point now) const;
  /// An app is there, or was a moment ago: the class' names may be placed here.
  [[nodiscard]] bool hosted() const noexcept { return hosted_; }
  /// For people: "30 s (handlerTimeout)".
  [[nodiscard]] std::string time_allowed() const;

  // ---- work, for the processes of the class ----
  /// Is there room for it at an app that has the method or callback, and is it this process' turn?
  [[nodiscard]] bool admits(kernel::handle who, const app_work& what);
  /// Once there is room, it gets its turn. REQUIRES: it does not wait yet. The number is for `leave`.
  [[nodiscard]] std::uint64_t wait(kernel::handle who);
  /// It waits no more. Nothing where it has had its turn.
  void leave(std::uint64_t place) { waiting_.erase(place); }
  /// `what` without app, id and timeout. REQUIRES: admits().
  work_id begin(time_point now, kernel::handle who, app_work what);
  /// The process is no more, or wants no answer.
  void abandon(work_id work, std::string why);
  /// A last callback of a process that is already gone: when there is room, and an app that has it.
  void say_farewell(time_point now, app_work what);

  // ---- for the runtime ----
  [[nodiscard]] bool has_room() { return pick(0, nullptr) != nullptr; }
  /// Who is to have a turn next; `turn_over` follows.
  [[nodiscard]] std::optional<kernel::handle> next_turn();
  /// False where it still found no room: it is the first again.
  bool turn_over();
  void send_farewells(time_point now);
  /// Who waits, first come first.
  [[nodiscard]] const std::map<std::uint64_t, kernel::handle>& waiting() const noexcept { return waiting_; }
  /// They wait no more.
  [[nodiscard]] std::map<std::uint64_t, kernel::handle> let_go() { return std::exchange(waiting_, {}); }

  void add_user();
  void drop_user();

 private:
  friend class app_desk;
  struct member {
    app_offer offer;
    std::uint32_t at_work = 0;
    bool draining = false;
  };

  /// With room for so much; of those that have what is asked for, where something is.
  [[nodiscard]] member* pick(std::size_t bytes, const app_work* what);
  void look_again(time_point now);
  void settle(time_point now);  ///< whether it is hosted
  [[nodiscard]] time_point settles_at() const;
  [[nodiscard]] bool unused() const noexcept { return members_.empty() && users_ == 0; }

  app_desk& desk_;
  class_name klass_;
  bool declared_ = false;  ///< as app-hosted
  settings settings_;
  std::map<app_id, member> members_;
  std::optional<std::uint32_t> newest_;       ///< state version of those that get work
  std::set<std::string, std::less<>> calls_;  ///< of these; kept while nobody is there
  std::set<std::string, std::less<>> casts_;
  bool known_ = false;                    ///< there was a registration
  std::optional<time_point> away_since_;  ///< none: since it is looked at next
  bool refused_ = false;                  ///< those that waited when it had been too long
  time_point there_since_{};
  std::optional<time_point> unsettled_since_;  ///< since then none has stayed for waitForApp
  bool hosted_ = false;
  bool was_hosted_ = false;  ///< one that comes back must stay a while
  bool elsewhere_ = false;   ///< another node hosts it, and takes what waits here
  std::map<std::uint64_t, kernel::handle> waiting_;
  std::uint64_t last_place_ = 0;
  std::pair<std::uint64_t, kernel::handle> at_turn_{0, kernel::nobody};
  bool no_room_ = false;
  std::deque<app_work> farewells_;
  std::size_t farewell_bytes_ = 0;
  std::size_t users_ = 0;  ///< behaviour types
};

/// All apps of a node.
class app_desk {
 public:
  struct counters {
    std::uint64_t handed_out = 0;
    std::uint64_t crashed = 0;  ///< the app said so, or its answer made no sense
    std::uint64_t lost = 0;     ///< the app went away with it
    std::uint64_t overdue = 0;  ///< over the class' handler timeout
    std::uint64_t farewells_dropped = 0;
  };
  /// A piece of work in an app's hands.
  struct work {
    app_pool* pool = nullptr;
    app_id app;
    kernel::handle who = kernel::nobody;  ///< nobody: its answer is for nobody
    app_callback what = app_callback::call;
    std::string method;
    std::size_t bytes = 0;
    time_point deadline = never;
  };
  struct taken {
    work_id id;
    work what;
  };

  [[nodiscard]] app_pool& pool(const class_name& klass);
  [[nodiscard]] app_pool* find(const class_name& klass);
  /// Those of classes that are declared: registrations of any number of others cost nothing while nobody asks for them.
  [[nodiscard]] const std::map<class_name, app_pool*>& used() noexcept { return used_; }
  /// In order of names, beginning behind the one with which the last began: where room is scarce, each is first in
  /// turn.
  [[nodiscard]] std::vector<app_pool*> used_in_turn();

  // ---- what apps say ----
  /// `state`: of the class, as the runtime knows it. Tells the app.
  void add(time_point now, app_offer offer, app_class_state state, std::uint64_t version);
  /// Tells the app when it has finished, which may be at once.
  void drain(time_point now, app_id app, const std::optional<class_name>& only);
  /// The work with this number is done, by this app: it has room again. Nothing where it has no such work.
  [[nodiscard]] std::optional<work> finish(app_id app, work_id id);
  void remove(time_point now, app_id app);
  /// What the app has in hand, in the order in which it got it; it has it no more.
  [[nodiscard]] std::vector<taken> take_all(app_id app);
  /// Past its deadline; nobody waits for it any more, and its app has been told.
  [[nodiscard]] std::vector<taken> take_overdue(time_point now);
  /// Of classes whose app has been away for too long since the last time that this was asked.
  [[nodiscard]] std::vector<app_pool*> newly_refused(time_point now);

  /// Since the last time some process found no room as its app has so many bytes in hand, for whichever class.
  [[nodiscard]] bool take_starved() noexcept { return std::exchange(starved_, false); }

  /// Whether it may have changed since the last time which classes are hosted.
  [[nodiscard]] bool settle(time_point now);
  /// Those whose waiting messages are not refused, as they are about to go.
  void set_hosted_elsewhere(const std::set<class_name>& classes);

  void class_changed(const class_name& klass, app_class_state state, std::uint64_t version);
  /// Forgets what nothing refers to.
  void prune();

  [[nodiscard]] time_point next_deadline() const;
  [[nodiscard]] std::size_t at_work() const noexcept { return works_.size(); }
  [[nodiscard]] std::size_t registrations() const noexcept { return registrations_; }
  [[nodiscard]] counters& counted() noexcept { return counted_; }
  [[nodiscard]] const counters& counted() const noexcept { return counted_; }

  std::vector<app_effect> outbox;  ///< for the runtime to pass on

 private:
  friend class app_pool;
  void settle_drains(app_id app);

  std::map<class_name, std::unique_ptr<app_pool>> pools_;
  std::map<class_name, app_pool*> used_;
  std::map<work_id, work> works_;
  std::unordered_map<app_id, std::size_t> bytes_;  ///< of the works that each has in hand
  bool starved_ = false;
  class_name first_in_turn_;
  std::set<std::pair<time_point, work_id>> deadlines_;               ///< of those that somebody waits for
  std::map<app_id, std::vector<std::optional<class_name>>> drains_;  ///< still to be told
  std::size_t registrations_ = 0;
  bool came_or_went_ = false;
  time_point settles_at_ = never;
  std::uint64_t last_work_ = 0;
  counters counted_;
};

}  // namespace orrery::process
