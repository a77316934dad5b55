#pragma once
#include "mesh/base/result.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/process/directory.hpp"
#include "mesh/wire/value.hpp"

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::process {

[[nodiscard]] constexpr bool is_unique(key_space in) noexcept {
  return in == key_space::node_unique || in == key_space::mesh_unique;
}
[[nodiscard]] constexpr bool is_of_mesh(key_space in) noexcept {
  return in == key_space::mesh_unique || in == key_space::mesh_duplicate;
}

/// The registries as one node knows them (Elixir's Registry): keys, who holds them, and with what value. A pure table:
/// who a handle is, what other nodes hear, and who may hold a mesh_unique key is its owner's business. Not thread-safe.
class registry {
 public:
  struct limits {
    std::size_t here_max = 100'000;           ///< entries of processes of this node
    std::size_t here_bytes_max = 16U << 20U;  ///< their keys and values: what a peer that comes up is told at once
    std::size_t known_max = 1'000'000;        ///< of all nodes; what peers tell beyond it is not kept
  };
  struct place {
    key_space in = key_space::node_unique;
    std::string key;
    friend auto operator<=>(const place&, const place&) = default;
  };

  registry() = default;
  explicit registry(limits chosen) : limits_(chosen) {}

  /// Whether a process of this node may hold it. Errors: invalid_argument, already_exists where `who` does, overloaded.
  [[nodiscard]] result<void> may_hold(key_space in, std::string_view key, kernel::handle who, const value& held) const;
  /// REQUIRES: may_hold, for a process of this node. Of a node_unique key nobody else holds it.
  void put(key_space in, std::string_view key, kernel::handle who, value held);
  /// What another node says of its process. False if it cannot be kept.
  bool put_from_elsewhere(key_space in, std::string_view key, kernel::handle who, value held);
  /// Errors: not_found, invalid_argument, overloaded.
  [[nodiscard]] result<void> update(key_space in, std::string_view key, kernel::handle who, value held);
  bool remove(key_space in, std::string_view key, kernel::handle who);
  /// A process has ended: what it held.
  std::vector<place> forget(kernel::handle who);
  void forget_node(std::uint32_t node);

  [[nodiscard]] std::vector<registration> lookup(key_space in, std::string_view key) const;
  [[nodiscard]] bool holds(key_space in, std::string_view key, kernel::handle who) const {
    const auto* known = find(in, key);
    return known != nullptr && known->contains(who);
  }
  /// In order of their handles. Of a unique key there may be several after the mesh was split.
  [[nodiscard]] std::vector<kernel::handle> holders(key_space in, std::string_view key) const;
  [[nodiscard]] std::vector<registration> match(key_space in, std::string_view prefix, std::size_t limit) const;
  struct entry {
    place at;
    kernel::handle who;
    value held;
  };
  /// What one process holds, in order.
  [[nodiscard]] std::vector<entry> of(kernel::handle who) const;
  [[nodiscard]] std::vector<entry> of_this_node() const;
  [[nodiscard]] std::size_t count(key_space in) const { return counts_.at(static_cast<std::size_t>(in)); }
  [[nodiscard]] std::size_t size() const noexcept { return known_; }

 private:
  using holders_of_key = std::map<kernel::handle, value>;
  using keys = std::map<std::string, holders_of_key, std::less<>>;

  [[nodiscard]] const keys& table(key_space in) const { return tables_.at(static_cast<std::size_t>(in)); }
  [[nodiscard]] keys& table(key_space in) { return tables_.at(static_cast<std::size_t>(in)); }
  [[nodiscard]] const holders_of_key* find(key_space in, std::string_view key) const;
  [[nodiscard]] result<void> has_room(std::size_t bytes_more) const;
  void add(key_space in, std::string_view key, kernel::handle who, value held);

  limits limits_;
  std::array<keys, 4> tables_;
  std::array<std::size_t, 4> counts_{};
  std::map<kernel::handle, std::set<place>> held_;  ///< by process
  std::size_t known_ = 0;
  std::size_t here_ = 0;
  std::size_t here_bytes_ = 0;
};

}  // namespace orrery::process
