#pragma once
#include "mesh/kernel/body.hpp"
#include "mesh/process/apps/app.hpp"
#include "mesh/process/clients/client.hpp"
#include "mesh/process/clients/flow.hpp"
#include "mesh/process/directory.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery::process {

/// What the client processes of a node share.
struct client_surroundings {
  directory& around;
  std::vector<app_effect>& outbox;
  client_flow& flow;
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
  /// the next `tell_waiting` does. REQUIRES: may_watch().
  [[nodiscard]] std::uint64_t watch_in_vain(std::string_view pid);
  /// False where so much waits that it could not be told.
  [[nodiscard]] bool link_in_vain(std::string_view pid);
  /// The monitor of this number, which is forgotten.
  [[nodiscard]] std::optional<kernel::reference> unwatch(std::uint64_t number);
  /// The down of this monitor is not to be told, if it waits.
  void forget_down(std::uint64_t number);
  /// All that it watches can be told to have ended, whether it is read or not.
  [[nodiscard]] bool may_watch() const noexcept;
  /// One link more. False where it has as many as may be.
  [[nodiscard]] bool add_link(kernel::context& self);
  /// What waits has credit and room of its own, and waits for other connections alone.
  [[nodiscard]] bool is_held_up() const noexcept;

 private:
  struct asked_for {
    client_request by;
    bool claims = false;
  };
  struct waiting {
    client_message what;
    client_account in = client_account::messages;
    std::size_t bytes = 0;
  };
  void answered(const kernel::message& reply);
  void take(kernel::context& self, client_message what);
  void lose(kernel::context& self, const client_message& what);
  void tell_of_drop();
  /// False where it has no room.
  [[nodiscard]] bool keep(client_message& what);
  /// Counts it as what it would be told as now.
  void weigh(client_message& what) const;
  /// Shows the connection whether it has credit for what waits.
  void show_ready();
  client_message let_go(std::deque<waiting>::iterator of);
  [[nodiscard]] client_message lost_sight_of(client_message::kind what, std::string_view pid) const;
  [[nodiscard]] bool may_tell(const client_message& what) const noexcept;
  /// None once the connection is gone.
  [[nodiscard]] client_window* window() const noexcept { return shared_.flow.find(client_); }
  void tell(client_message what);

  client_surroundings& shared_;
  app_id client_;
  client_process_id id_;
  std::uint32_t credit_;
  std::deque<waiting> waiting_;
  std::size_t downs_waiting_ = 0;  ///< of these, whatever their account
  std::uint64_t monitors_made_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> monitors_;  ///< packed references; numbers
  std::unordered_map<std::uint64_t, std::uint64_t> numbers_;   ///< the other way round
  std::size_t links_ = 0;                                      ///< that it made since they were counted, and those
  std::unordered_map<std::uint64_t, asked_for> asked_;         ///< by packed references
};

}  // namespace orrery::process
