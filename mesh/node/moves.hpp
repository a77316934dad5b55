#pragma once
#include "mesh/base/ids.hpp"
#include "mesh/membership/membership.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/wire/messages.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace orrery::node {

inline constexpr std::size_t handoffs_in_flight_max = 64;
inline constexpr std::size_t handoff_bytes_in_flight_max = 16U << 20U;
inline constexpr std::uint32_t scan_names_max = 512;  ///< names looked at in one step
/// A process that belongs elsewhere and could not go there is offered again after this.
inline constexpr duration handoff_retry = std::chrono::seconds{1};

/// A process that left and whose arrival is not yet known. Kept whole: if the peer dies, it goes on from here.
struct move {
  membership::link_id to;
  process::handoff what;  ///< its mailbox holds no calls: those are forwarded requests
  std::size_t bytes = 0;
  bool contested = false;
  struct upstream {
    membership::link_id link;
    wire::correlation id = 0;
  };
  std::optional<upstream> acknowledge;  ///< whoever handed it to us: acknowledged when it has arrived for good
};

/// The book-keeping of handing over: where the scan of the local names stands, what is in flight, what could not go,
/// and to whom it must still be said that nothing else is left.
class moves {
 public:
  // ---- the scan ----

  /// Look at every name again: the placement changed, or what could not go may go now.
  void rescan();
  [[nodiscard]] bool scanning() const noexcept { return scanning_; }
  /// The names come in slices, as the runtime may have a million. Those that come to run meanwhile need not be in any:
  /// none comes to run at a node that does not own it without a new scan.
  [[nodiscard]] bool needs_names() const noexcept { return scanning_ && names_.empty() && place_; }
  /// Where the next slice begins. REQUIRES: needs_names().
  [[nodiscard]] std::uint32_t place() const noexcept { return *place_; }
  void take_names(process::runtime::names_slice slice);
  /// The next name to look at; nothing when the slice is at its end, and with the last one the scan is.
  [[nodiscard]] std::optional<process_name> next();
  /// A name could not be sent now as its owner is quiet: worth another scan when it is heard.
  void pass_over() noexcept { passed_over_ = true; }
  [[nodiscard]] bool passed_over() const noexcept { return passed_over_; }
  /// A name stays here though another node owns it: refused there, or its state cannot travel. Until the next scan.
  void hold(const process_name& name) { held_.insert(name); }
  void release(const process_name& name) { held_.erase(name); }
  [[nodiscard]] bool holds(const process_name& name) const { return held_.contains(name) || told_.contains(name); }
  [[nodiscard]] const std::set<process_name>& held() const noexcept { return held_; }

  // ---- in flight ----

  [[nodiscard]] bool may_send() const noexcept {
    return in_flight_.size() < handoffs_in_flight_max && bytes_ < handoff_bytes_in_flight_max;
  }
  void sent(wire::correlation id, move what);
  [[nodiscard]] std::optional<move> arrived(wire::correlation id, membership::link_id from);
  [[nodiscard]] std::vector<move> lost(membership::link_id peer);
  /// Neither here nor surely there: it must not be started afresh.
  [[nodiscard]] bool in_flight(const process_name& name) const { return names_in_flight_.contains(name); }

  // ---- what peers are told ----

  void owe_done(membership::link_id peer) { owed_.insert(peer); }
  void stop_owing(membership::link_id peer) { owed_.erase(peer); }
  /// Everything has been looked at, everything sent has arrived, and what did not go is known to be held.
  [[nodiscard]] bool settled() const noexcept { return !scanning_ && !passed_over_ && in_flight_.empty(); }
  /// Settled, and nothing is held: this node may leave and nothing is lost.
  [[nodiscard]] bool nothing_left() const noexcept { return settled() && held_.empty(); }
  /// Whether what is held differs from what peers were told. REQUIRES: settled().
  [[nodiscard]] bool take_news();
  /// To whom handoff_done is due. REQUIRES: settled().
  [[nodiscard]] std::vector<membership::link_id> take_owed();

 private:
  void land(const move& gone);

  bool scanning_ = false;
  bool passed_over_ = false;
  std::vector<process_name> names_;     ///< of this slice, still to look at, last first
  std::optional<std::uint32_t> place_;  ///< of the next slice
  std::set<process_name> held_;
  std::set<process_name> told_;
  std::map<wire::correlation, move> in_flight_;
  std::multiset<process_name> names_in_flight_;
  std::size_t bytes_ = 0;
  std::set<membership::link_id> owed_;
};

}  // namespace orrery::node
