#pragma once
#include "mesh/base/result.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/process/directory.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

/// Process groups as one node knows them (OTP's pg): who joined what and how often, and who wants to hear of it. A pure
/// table: who a handle is, and what other nodes hear, is its owner's business. Not thread-safe.
class groups {
 public:
  struct limits {
    std::size_t here_max = 100'000;     ///< memberships of processes of this node
    std::size_t known_max = 2'000'000;  ///< of all nodes; what peers tell beyond it is not kept
    std::size_t watches_max = 100'000;
  };
  /// A process is a member now that was none, or no longer one.
  struct change {
    std::string group;
    kernel::handle who;
    bool joined = false;
  };

  groups() = default;
  explicit groups(limits chosen) : limits_(chosen) {}

  /// How often it is a member now: 1 makes it one. Errors: invalid_argument, overloaded.
  [[nodiscard]] result<std::uint32_t> join(std::string_view group, kernel::handle who);
  /// How often it still is a member; nothing where it was none.
  std::optional<std::uint32_t> leave(std::string_view group, kernel::handle who);
  /// What another node says of its process. False where that changes nobody's membership, or cannot be kept.
  bool set(std::string_view group, kernel::handle who, std::uint32_t joins);
  /// A process has ended, watcher or member: what it was a member of.
  std::vector<std::string> forget(kernel::handle who);
  /// A node has: what changes by that, in order.
  std::vector<change> forget_node(std::uint32_t node);

  [[nodiscard]] std::vector<kernel::handle> members(std::string_view group, reach among) const;
  [[nodiscard]] std::vector<std::string> names(std::string_view prefix, std::size_t limit) const;
  [[nodiscard]] std::size_t count(std::string_view group) const;  ///< members, each once
  [[nodiscard]] std::size_t size() const noexcept { return known_; }
  struct membership {
    std::string group;
    kernel::handle who;
    std::uint32_t joins = 0;
  };
  /// Of one process, or of all of this node.
  [[nodiscard]] std::vector<membership> of(kernel::handle who) const;
  [[nodiscard]] std::vector<membership> of_this_node() const;

  /// Errors: overloaded.
  [[nodiscard]] result<void> watch(std::string_view group, kernel::handle watcher);
  void unwatch(std::string_view group, kernel::handle watcher);
  void unwatch_all(kernel::handle watcher);
  [[nodiscard]] std::vector<kernel::handle> watchers(std::string_view group) const;

 private:
  struct entry {
    std::map<kernel::handle, std::uint32_t> members;
    std::set<kernel::handle> watchers;
  };
  using table = std::map<std::string, entry, std::less<>>;

  [[nodiscard]] std::map<kernel::handle, std::uint32_t>::const_iterator end_of_here(const entry& of) const {
    return of.members.lower_bound({kernel::handle::here + 1, 0, 0});
  }
  void remove(table::iterator group, kernel::handle who);
  void tidy(table::iterator group);

  limits limits_;
  table groups_;
  std::map<kernel::handle, std::set<std::string, std::less<>>> joined_;   ///< by process
  std::map<kernel::handle, std::set<std::string, std::less<>>> watched_;  ///< by watcher
  std::size_t known_ = 0;
  std::size_t here_ = 0;
  std::size_t watches_ = 0;
};

/// Errors: invalid_argument, with what is wrong with the name and what would be accepted.
[[nodiscard]] result<void> check_group_name(std::string_view group);

}  // namespace orrery::process
