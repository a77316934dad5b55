#pragma once
#include "mesh/base/hash.hpp"
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"
#include "mesh/membership/membership.hpp"
#include "mesh/node/node.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/wire/messages.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace orrery::node {

using membership::link_id;
using process::reply_token;

inline constexpr std::size_t pending_max = 200'000;   ///< requests that wait for an answer, on one node
inline constexpr std::size_t forwarded_max = 65'536;  ///< of these, sent to one peer
inline constexpr std::size_t parked_max = 10'000;     ///< of these, held until it is known where they belong
/// What their arguments may take together, here, forwarded or parked.
inline constexpr std::size_t pending_bytes_max = 128U << 20U;
inline constexpr std::uint64_t hops_max = 3;  ///< nodes that may forward one request
/// A refusal without effect is tried elsewhere after this, within the caller's deadline.
inline constexpr duration retry_delay = std::chrono::milliseconds{25};
/// The node of a process has so much less time than its caller leaves: at the deadline its answer is here, and says
/// what became of the call, of which this node would know nothing. A fiftieth, and 50 ms at most.
[[nodiscard]] constexpr duration time_there(duration here) noexcept {
  return here - std::min<duration>(here / 50, std::chrono::milliseconds{50});
}
/// A cast has no caller who could try again: beyond hops_max it goes on, after a pause at each node.
inline constexpr std::uint64_t cast_hops_max = 40;

/// Who gets the answer.
struct nobody {};
struct from_client {
  request_id id;
};
struct from_peer {
  link_id link;
  wire::correlation id = 0;
  friend bool operator==(const from_peer&, const from_peer&) = default;
};
/// A process of this node called a name, or has to do with whoever runs under it.
struct from_process {
  process::asker by;
};
struct from_seeker {
  kernel::handle stand_in;
};
using origin = std::variant<nobody, from_client, from_peer, from_process, from_seeker>;

/// What is asked of one process.
struct ask_call {
  std::string method;
  value argument;
};
struct ask_cast {
  std::string method;
  value argument;
};
struct ask_control {
  wire::verb asked = wire::verb::inspect;
  std::string reason;
  value argument;  ///< as in wire::control
};
using ask = std::variant<ask_call, ask_cast, ask_control>;

/// One request about one name, from its arrival here until it is answered. Kept whole so that it can be routed again.
struct pending {
  enum class place : std::uint8_t { here, forwarded, parked };
  origin from;
  process_name name;
  ask what;
  time_point deadline = never;
  std::uint64_t hops = 0;
  place where = place::here;
  link_id peer{};               ///< if forwarded
  std::size_t bytes = 0;        ///< what it is counted as, set by the table
  time_point retry_at = never;  ///< if parked: routed again then at the latest
  std::string refused{};        ///< why it was not taken the last time, where it was tried
  kernel::reference asked{};    ///< a call, if here: what the runtime knows it by
  bool cancelled = false;       ///< a call, if forwarded: its peer has been told
};

struct hash_of_peer {
  [[nodiscard]] std::size_t operator()(const from_peer& peer) const noexcept {
    return mix64(mix64(peer.link.value) ^ peer.id);
  }
};

/// The requests in flight, by the token that names them to the runtime and, as correlation, to peers.
class pending_table {
 public:
  [[nodiscard]] bool full() const noexcept { return entries_.size() >= pending_max || bytes_ >= pending_bytes_max; }
  /// Why no more are taken. REQUIRES: full().
  [[nodiscard]] error overload() const;
  /// REQUIRES: !full().
  reply_token open(pending entry);
  /// A number of the same space, for what is not a request about a name.
  [[nodiscard]] std::uint64_t next_number() noexcept { return ++last_; }
  [[nodiscard]] pending* find(reply_token token);
  /// Null if the token is not known.
  [[nodiscard]] std::optional<pending> close(reply_token token);

  void set_here(reply_token token);
  /// False if the peer's share is full.
  [[nodiscard]] bool set_forwarded(reply_token token, link_id peer);
  /// False if no more can be parked. With `retry_at`, released by time too.
  [[nodiscard]] bool set_parked(reply_token token, time_point retry_at = never);

  /// In the order of their arrival.
  [[nodiscard]] std::vector<reply_token> forwarded_to(link_id peer) const;
  [[nodiscard]] std::vector<reply_token> parked() const;
  [[nodiscard]] std::vector<reply_token> parked_for(const process_name& name) const;
  [[nodiscard]] std::vector<reply_token> due_retries(time_point now);
  /// Forwarded or parked, past their deadline. (The runtime watches those that are here.)
  [[nodiscard]] std::vector<reply_token> expired(time_point now) const;
  [[nodiscard]] time_point next_deadline() const;
  [[nodiscard]] std::vector<reply_token> everything() const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Those that others than processes of this node wait for.
  [[nodiscard]] std::size_t of_others() const noexcept { return entries_.size() - of_processes_; }
  [[nodiscard]] std::optional<reply_token> of_client(request_id id) const;
  [[nodiscard]] std::optional<reply_token> of_peer(const from_peer& peer) const;
  /// Nobody gets the answer. REQUIRES: an open token.
  void disown(reply_token token);

 private:
  void unindex(reply_token token, const pending& entry);
  void forget_origin(reply_token token, const origin& from);

  std::uint64_t last_ = 0;
  std::size_t bytes_ = 0;
  std::size_t of_processes_ = 0;
  std::unordered_map<reply_token, pending> entries_;
  std::map<link_id, std::set<reply_token>> forwarded_;
  std::map<process_name, std::set<reply_token>> parked_names_;
  std::set<reply_token> parked_;
  std::set<std::pair<time_point, reply_token>> deadlines_;
  std::set<std::pair<time_point, reply_token>> retries_;
  std::map<request_id, reply_token> clients_;
  std::unordered_map<from_peer, reply_token, hash_of_peer> peers_;
};

}  // namespace orrery::node
