#pragma once
// What a runtime has to say to other nodes, and through them: effects that its node carries out.
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/wire/process_messages.hpp"
#include "mesh/wire/value.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace orrery::process {

/// Lives of nodes that a runtime numbers; what comes from later ones is not heard.
inline constexpr std::size_t lives_known_max = 1U << 20U;
/// Words that peers may make this node know. Beyond it a signal with a new word is refused or dropped.
inline constexpr std::size_t words_from_elsewhere_max = 65'536;
/// Likewise of clients and apps of this node.
inline constexpr std::size_t words_from_clients_max = 65'536;
/// A call to a name that has no timeout is given up after this.
inline constexpr duration named_call_max = std::chrono::hours{1};

/// Who waits for an answer: a call of a process. Comes back with the answer.
struct asker {
  kernel::handle who{};
  kernel::reference ref{};
  kernel::handle through{};  ///< the stand-in that was called
};

/// For a process of another node that is up (runtime::node_up). In order with all other effects: between two processes
/// nothing may be overtaken.
struct signal_sent {
  node_id to;
  wire::signal what;
};
/// For the members of a group on these nodes.
struct published {
  std::vector<node_id> to;
  wire::publish what;
};
/// For all nodes: what a process of this one joined, holds, or no longer does.
struct fact_changed {
  wire::fact what;
};
/// A process called a name that does not run here: to be routed as a client's call is, and answered exactly once
/// (runtime::name_answered).
struct name_called {
  asker by;
  process_name name;
  std::string method;
  value argument;
  time_point deadline = never;
};
/// Which process runs under this name now? Answered exactly once (runtime::name_found).
struct name_sought {
  kernel::handle stand_in;
  process_name name;
};
/// May this process hold this key, alone in the mesh? Answered exactly once (runtime::key_answered).
struct key_claimed {
  std::uint64_t number = 0;
  std::string key;
  kernel::handle who;
  time_point deadline = never;
  bool handed_over = false;  ///< it held the key where it came from
};

}  // namespace orrery::process
