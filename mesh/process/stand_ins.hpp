#pragma once
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/message.hpp"
#include "mesh/kernel/slab.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace orrery::process {

/// Names that processes of this node have asked for and that do not run here. Each has a pid of a node that is none,
/// and a queue of what waits until it is known who runs under it. A name that nothing waits for may be forgotten; its
/// pid then stands for nobody. A pure table; not thread-safe.
class stand_ins {
 public:
  struct limits {
    std::size_t names_max = 131'072;
    std::size_t idle_max = 65'536;   ///< of these, kept though nothing waits
    std::size_t queued_max = 1'000;  ///< signals that wait for one name
  };
  struct waiting {
    kernel::signal what;
    time_point deadline = never;  ///< of a call
  };
  struct entry {
    process_name name{};
    std::deque<waiting> queue{};
    std::size_t calls = 0;  ///< that wait for their answer
    bool sought = false;    ///< somebody looks for it
    std::uint64_t used = 0;
    [[nodiscard]] bool idle() const noexcept { return queue.empty() && calls == 0 && !sought; }
  };

  stand_ins() = default;
  explicit stand_ins(limits chosen) : limits_(chosen) {}

  /// Of which node their pids are.
  void number(std::uint32_t node) noexcept { node_ = node; }
  [[nodiscard]] std::uint32_t node() const noexcept { return node_; }
  /// Nothing where as many names as may be are waited for.
  [[nodiscard]] std::optional<kernel::handle> of(const process_name& name);
  /// Null where the pid stands for nobody any more.
  [[nodiscard]] entry* find(kernel::handle who);
  [[nodiscard]] const entry* find(kernel::handle who) const;
  [[nodiscard]] bool full(const entry& of) const noexcept { return of.queue.size() >= limits_.queued_max; }
  /// It was used: of those that nothing waits for, the longest unused are forgotten first.
  void touch(kernel::handle who);
  /// Forgets what is more than may be idle. No pid of a name that has just been used changes.
  void trim();
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  void forget(std::uint32_t slot);

  limits limits_;
  std::uint32_t node_ = kernel::no_slot;
  kernel::slab<entry> entries_;
  std::map<process_name, std::uint32_t> by_name_;
  std::deque<std::pair<kernel::handle, std::uint64_t>>
      uses_;  ///< oldest first; one that is not its name's last is void
  std::uint64_t clock_ = 0;
};

}  // namespace orrery::process
