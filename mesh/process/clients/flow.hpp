#pragma once
// How much of what comes to clients' processes may be on its way to their connections, how much may wait, and who ends
// where one who does not read is in the way of others who do.
#include "mesh/process/apps/app.hpp"
#include "mesh/process/clients/client.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace orrery::process {

/// What may wait, shared by many: none takes more than it leaves to all others, so that those who do not read are
/// little in the way of one who does.
struct client_room {
  std::size_t most = 0;
  std::size_t taken = 0;

  /// For one who has taken `own` of it.
  [[nodiscard]] bool has(std::size_t own, std::size_t more) const noexcept {
    return taken + more <= most && own + more <= most - taken - more;
  }
};

/// As what a message that waits is counted: `ends` are exits, downs with a text, and what the system tells of groups
/// and keys. What is `small` has room always: downs without a text, as `watch` has seen to that, and what says that
/// others were dropped, as there are no two of those without another between them.
enum class client_account : std::uint8_t { messages, ends, small };
[[nodiscard]] client_account account_of(const client_message& what) noexcept;

/// `client_message::weight`: no frame of it is longer. To reckon it as JSON takes as long as to read it.
[[nodiscard]] std::size_t weight_of(const client_message& what, bool as_json);

/// Of one connection that has, or had, processes.
struct client_window {
  bool as_json = false;
  std::size_t unwritten = 0;             ///< bytes of messages that it was told, and that have not left
  time_point moved{};                    ///< when some of those left last, or they began to be many
  std::array<std::size_t, 3> waiting{};  ///< bytes that wait for credit or for those to leave, by client_account
  std::size_t watching = 0;              ///< monitors, and downs that wait
  std::set<client_process_id> ready{};   ///< processes that have credit for what waits
  client_process_id next{};              ///< that of them, or one after it, that has its turn when there is room again
};

/// The client processes of one node share it.
class client_flow {
 public:
  using windows = std::map<app_id, client_window>;
  using account = client_account;

  /// Effects go to `outbox`; `now` is read whenever it is used.
  client_flow(std::vector<app_effect>& outbox, const time_point& now, const client_bounds& bounds)
      : outbox_(outbox), now_(now), bounds_(bounds) {}

  /// The one that it has, if it has one.
  client_window& open(app_id client, bool as_json);
  [[nodiscard]] client_window* find(app_id client) noexcept;
  [[nodiscard]] windows& all() noexcept { return windows_; }
  /// Of all, the one that has its turn now. REQUIRES: there is one.
  [[nodiscard]] windows::iterator take_turn();
  /// The connection has gone, with all that waited for it.
  void close(app_id client);

  /// As much is on its way to all together as may be.
  [[nodiscard]] bool is_full() const noexcept { return unwritten_ >= bounds_.window_in_all; }
  /// Where it is not, nothing may be told to it.
  [[nodiscard]] bool is_open(const client_window& of) const noexcept {
    return of.unwritten < (is_full() || is_stuck(of) ? bounds_.floor : share());
  }
  [[nodiscard]] bool may_tell(const client_window& to, const client_message& what) const noexcept {
    return is_open(to) && (!is_full() || to.unwritten + what.weight <= bounds_.floor);
  }
  void tell(client_window& to, client_message what);
  /// REQUIRES: it was told as much, and this was not said of it before.
  void written(client_window& of, std::size_t bytes);

  [[nodiscard]] bool has_room(const client_window& of, account in, std::size_t bytes) const noexcept;
  void wait(client_window& of, account in, std::size_t bytes) noexcept;
  void wait_no_more(client_window& of, account in, std::size_t bytes) noexcept;
  void drop() noexcept { ++dropped_; }

  [[nodiscard]] bool may_watch(const client_window& of) const noexcept { return watching_.has(of.watching, 1); }
  void watch(client_window& of) noexcept;
  void unwatch(client_window& of, std::size_t many = 1) noexcept;

  /// When it is to be seen whether who does not read is in the way of others.
  [[nodiscard]] time_point next_look() const noexcept { return full_since_ ? *full_since_ + client_patience : never; }
  /// Where somebody waits for others: ends the connection that has taken nothing for longest, if for client_patience.
  void end_the_slowest();
  void look_later() noexcept { full_since_ = now_; }
  /// Nothing to speak of is on its way to it: what is less than half may have left without being told.
  [[nodiscard]] bool keeps_up(const client_window& of) const noexcept { return of.unwritten < bounds_.floor / 2; }
  /// It waits for others.
  [[nodiscard]] bool is_held_up(const client_window& of, const client_message& first) const noexcept {
    return keeps_up(of) && !may_tell(of, first);
  }

  [[nodiscard]] client_load load() const noexcept;

 private:
  [[nodiscard]] std::size_t share() const noexcept;
  /// It takes nothing of much: more would be of no use to it, and in the way of others. When it does, that is told.
  [[nodiscard]] bool is_stuck(const client_window& of) const noexcept {
    return of.unwritten >= bounds_.floor && now_ - of.moved >= client_stuck_after;
  }
  void take(std::size_t bytes) noexcept;
  void give_back(std::size_t bytes) noexcept;
  [[nodiscard]] client_room* room_of(account in) noexcept;

  std::vector<app_effect>& outbox_;
  const time_point& now_;
  const client_bounds bounds_;
  windows windows_;
  app_id next_{};              ///< whose turn it is, or of one after it
  std::size_t unwritten_ = 0;  ///< of all windows
  std::optional<time_point> full_since_;
  client_room messages_{.most = bounds_.waiting};
  client_room ends_{.most = bounds_.waiting_ends};
  client_room watching_{.most = bounds_.watches};
  std::size_t small_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace orrery::process
