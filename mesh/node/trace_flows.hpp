#pragma once
#include "mesh/node/pending.hpp"
#include "mesh/wire/messages.hpp"

#include <chrono>

namespace orrery::node {

/// What passes through one node, read here or recorded here.
inline constexpr std::size_t trace_flows_max = 64;
inline constexpr std::size_t trace_limit_max = 100'000;
inline constexpr duration trace_length_max = std::chrono::hours{1};
/// Entries for another node wait until the step ends, or until they take this much.
inline constexpr std::size_t trace_batch_bytes_max = 256U << 10U;
/// A trace of another node that does not end by itself in time is ended here.
inline constexpr duration trace_slack = std::chrono::seconds{5};

/// A trace on its way from the node that records it to the client that reads it: recorded here or told by a peer, told
/// to a client or passed on.
struct trace_flow {
  origin to;
  process_name name;
  std::optional<link_id> source{};  ///< none: recorded here
  std::size_t left = 0;             ///< entries
  time_point until{};
  std::vector<wire::traced::entry> batch{};
  std::size_t batch_bytes = 0;
};

}  // namespace orrery::node
