#pragma once
#include "mesh/base/ids.hpp"
#include "mesh/membership/membership.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/wire/messages.hpp"

#include <algorithm>
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
    listed_ = false;
    passed_over_ = false;
  }
  /// A name could not be sent now as its owner is quiet: worth another scan when it is heard.
  void pass_over() noexcept { passed_over_ = true; }
  [[nodiscard]] bool passed_over() const noexcept { return passed_over_; }
  [[nodiscard]] bool scanning() const noexcept { return scanning_; }
  [[nodiscard]] bool may_send() const noexcept {
    return in_flight_.size() < handoffs_in_flight_max && bytes_ < handoff_bytes_in_flight_max;
  }
  /// A scan begins with the names of now: none can come to run at a node that does not own it without a new scan.
  [[nodiscard]] bool needs_names() const noexcept { return scanning_ && !listed_; }
  void scan(std::vector<process_name> names) {
    names_ = std::move(names);
    std::reverse(names_.begin(), names_.end());
    listed_ = true;
  }
  /// The next name to look at; nothing when the scan is complete.
  [[nodiscard]] std::optional<process_name> next() {
    if (names_.empty()) {
      scanning_ = false;
      names_.shrink_to_fit();
      return std::nullopt;
    }
    std::optional<process_name> out{std::move(names_.back())};
    names_.pop_back();
    return out;
  }

  void sent(wire::correlation id, move what) {
    bytes_ += what.bytes;
    names_in_flight_.insert(what.what.name);
    in_flight_.emplace(id, std::move(what));
  }
  [[nodiscard]] std::optional<move> arrived(wire::correlation id, membership::link_id from) {
    const auto found = in_flight_.find(id);
    if (found == in_flight_.end() || found->second.to != from) return std::nullopt;
    forget(found->second);
    std::optional<move> out{std::move(found->second)};
    in_flight_.erase(found);
    return out;
  }
  [[nodiscard]] std::vector<move> lost(membership::link_id peer) {
    std::vector<move> out;
    for (auto each = in_flight_.begin(); each != in_flight_.end();) {
      if (each->second.to == peer) {
        forget(each->second);
        out.push_back(std::move(each->second));
        each = in_flight_.erase(each);
      } else {
        ++each;
      }
    }
    return out;
  }
  /// Neither here nor surely there: it must not be started afresh.
  [[nodiscard]] bool in_flight(const process_name& name) const { return names_in_flight_.contains(name); }
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
  void forget(const move& gone) {
    bytes_ -= gone.bytes;
    names_in_flight_.erase(names_in_flight_.find(gone.what.name));
  }

  bool scanning_ = false;
  bool listed_ = false;
  bool passed_over_ = false;
  std::vector<process_name> names_;  ///< still to look at, last first
  std::map<wire::correlation, move> in_flight_;
  std::multiset<process_name> names_in_flight_;
  std::size_t bytes_ = 0;
  std::set<membership::link_id> owed_;
};

}  // namespace orrery::node
