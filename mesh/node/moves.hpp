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
inline constexpr std::size_t scan_names_max = 128;  ///< names looked at in one step
/// A process that a peer refused to take stays here and is offered again after this.
inline constexpr duration refused_handoff_retry = std::chrono::seconds{1};

/// A process that left and whose arrival is not yet known. Kept whole: if the peer dies, it goes on from here.
struct move {
  membership::link_id to;
  process::handoff what;  ///< its mailbox holds casts only: calls are forwarded requests
  std::size_t bytes = 0;
  bool contested = false;
  struct upstream {
    membership::link_id link;
    wire::correlation id = 0;
  };
  std::optional<upstream> acknowledge;  ///< whoever handed it to us: acknowledged when it has arrived for good
};

/// The book-keeping of handing over: where the scan of the local names stands, what is in flight, and to whom it must
/// still be said that nothing is left.
class moves {
 public:
  /// The placement changed: look at every name again.
  void rescan() noexcept {
    scanning_ = true;
    after_.reset();
  }
  [[nodiscard]] bool scanning() const noexcept { return scanning_; }
  [[nodiscard]] bool may_send() const noexcept {
    return in_flight_.size() < handoffs_in_flight_max && bytes_ < handoff_bytes_in_flight_max;
  }
  [[nodiscard]] const std::optional<process_name>& after() const noexcept { return after_; }
  void scanned_to(const process_name& name) { after_ = name; }
  void scanned_all() noexcept { scanning_ = false; }

  void sent(wire::correlation id, move what) {
    bytes_ += what.bytes;
    in_flight_.emplace(id, std::move(what));
  }
  [[nodiscard]] std::optional<move> arrived(wire::correlation id, membership::link_id from) {
    const auto found = in_flight_.find(id);
    if (found == in_flight_.end() || found->second.to != from) return std::nullopt;
    bytes_ -= found->second.bytes;
    std::optional<move> out{std::move(found->second)};
    in_flight_.erase(found);
    return out;
  }
  [[nodiscard]] std::vector<move> lost(membership::link_id peer) {
    std::vector<move> out;
    for (auto each = in_flight_.begin(); each != in_flight_.end();) {
      if (each->second.to == peer) {
        bytes_ -= each->second.bytes;
        out.push_back(std::move(each->second));
        each = in_flight_.erase(each);
      } else {
        ++each;
      }
    }
    return out;
  }
  void owe_done(membership::link_id peer) { owed_.insert(peer); }
  void forget(membership::link_id peer) { owed_.erase(peer); }
  /// Everything has been looked at and everything sent has arrived.
  [[nodiscard]] bool settled() const noexcept { return !scanning_ && in_flight_.empty(); }
  /// To whom handoff_done is due. REQUIRES: settled().
  [[nodiscard]] std::vector<membership::link_id> take_owed() {
    std::vector<membership::link_id> out{owed_.begin(), owed_.end()};
    owed_.clear();
    return out;
  }

 private:
  bool scanning_ = false;
  std::optional<process_name> after_;
  std::map<wire::correlation, move> in_flight_;
  std::size_t bytes_ = 0;
  std::set<membership::link_id> owed_;
};

}  // namespace orrery::node
