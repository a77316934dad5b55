#pragma once
#include "mesh/kernel/body.hpp"
#include "mesh/process/apps/app.hpp"
#include "mesh/process/clients/client.hpp"
#include "mesh/process/directory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery::process {

/// What may wait, in bytes, shared by many: none takes more than it leaves to all others, so that those who do not read
/// are little in the way of one who does.
struct client_room {
  std::size_t most = 0;
  std::size_t taken = 0;

  /// For one who has taken `own` of it.
  [[nodiscard]] bool has(std::size_t own, std::size_t bytes) const noexcept {
    return taken + bytes <= most && own + bytes <= most - taken - bytes;
  }
};
/// Of one connection that has, or had, processes.
struct client_window {
  bool as_json = false;
  std::size_t unwritten = 0;  ///< bytes of messages that it was told, and that have not left
  std::size_t waiting = 0;    ///< bytes of messages that wait for credit, or for those to leave
  std::size_t ends = 0;       ///< the same of exits and what the system tells
  std::size_t downs = 0;      ///< the same of downs without a text, which have room always
  client_process_id next{};   ///< the process whose messages have their turn when there is room again
};
/// What the client processes of a node share.
struct client_surroundings {
  directory& around;
  std::vector<app_effect>& outbox;
  std::map<app_id, client_window> windows{};
  std::size_t unwritten = 0;  ///< of all windows
  client_room waiting{.most = client_waiting_bytes};
  client_room ends{.most = client_waiting_ends_bytes};
  std::uint64_t dropped = 0;  ///< messages that found no room, ever
  app_id next{};              ///< the connection whose messages have their turn when all have room again

  [[nodiscard]] bool is_full() const noexcept { return unwritten >= client_window_bytes_in_all; }
  /// Whether messages may be told to it now.
  [[nodiscard]] bool is_open(const client_window& of) const noexcept {
    const auto share = client_window_bytes_in_all / windows.size();
    return of.unwritten < std::min(client_window_bytes, share) && !is_full();
  }
};

/// A process whose code is a client's: it does what the client says, and what comes to it goes to the client, as far as
/// that has given credit and its connection has room. What waits waits here, and not in the mailbox, as answers to the
/// client's own calls need no credit.
class client_process final : public kernel::body {
 public:
  client_process(client_surroundings& shared, app_id client, client_process_id id, std::uint32_t credit)
      : shared_(shared), client_(client), id_(id), credit_(credit) {}
  ~client_process() override;

  void received(kernel::context& self, kernel::message& arrived) override;

  void add_credit(std::uint32_t more);
  /// What waits, as far as credit and the connection's window go.
  void tell_waiting();
  /// The answer to this call is the answer to what the client asked. A claim's tells no more than that it is granted.
  void expect(kernel::reference asked, client_request by, bool claims) {
    asked_.emplace(kernel::packed(asked), asked_for{by, claims});
  }
  /// The call that this asks for is given up, and answered. False where there is no such call.
  bool cancel(kernel::context& self, client_request which);
  /// The client's number for a monitor. REQUIRES: may_watch().
  [[nodiscard]] std::uint64_t watch(kernel::reference monitor);
  /// As a monitor of, and a link with, a process of a node that cannot be reached: the client is to be told so, which
  /// the next `tell_waiting` does.
  [[nodiscard]] std::uint64_t watch_in_vain(std::string_view pid);
  /// False where so much waits that it could not be told.
  [[nodiscard]] bool link_in_vain(std::string_view pid);
  /// The monitor of this number, which is forgotten.
  [[nodiscard]] std::optional<kernel::reference> unwatch(std::uint64_t number);
  /// The down of this monitor is not to be told, if it waits.
  void forget_down(std::uint64_t number);
  /// All that it watches can be told to have ended, whether it is read or not.
  [[nodiscard]] bool may_watch() const noexcept { return monitors_.size() + downs_waiting_ < client_ties_max; }
  /// One link more. False where it has as many as may be.
  [[nodiscard]] bool add_link(kernel::context& self);

 private:
  struct asked_for {
    client_request by;
    bool claims = false;
  };
  void answered(const kernel::message& reply);
  void take(kernel::context& self, client_message what);
  void keep(client_message what);
  client_message let_go(std::deque<client_message>::iterator of);
  void lost_sight_of(client_message::kind what, std::string_view pid, std::uint64_t monitor);
  [[nodiscard]] bool has_room(const client_message& what) const noexcept;
  [[nodiscard]] bool may_tell() const noexcept;
  /// None once the connection is gone.
  [[nodiscard]] client_window* window() const noexcept;
  void count_waiting(const client_message& what, bool more) noexcept;
  void tell(client_message what);

  client_surroundings& shared_;
  app_id client_;
  client_process_id id_;
  std::uint32_t credit_;
  std::deque<client_message> waiting_;
  std::size_t downs_waiting_ = 0;  ///< of these
  std::uint64_t monitors_made_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> monitors_;  ///< packed references; numbers
  std::unordered_map<std::uint64_t, std::uint64_t> numbers_;   ///< the other way round
  std::size_t links_ = 0;                                      ///< that it made since they were counted, and those
  std::unordered_map<std::uint64_t, asked_for> asked_;         ///< by packed references
};

}  // namespace orrery::process
