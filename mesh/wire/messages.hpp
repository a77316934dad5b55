#pragma once
// What nodes say to each other: one frame type and one CBOR map for each message. Unknown fields are ignored, missing
// or wrong ones refused, so that two adjacent protocol versions interoperate.
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/wire/frame.hpp"
#include "mesh/wire/process_messages.hpp"
#include "mesh/wire/value.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orrery::wire {

/// Peers whose version differs by more than one are refused.
inline constexpr std::uint64_t protocol_version = 1;

inline constexpr std::uint64_t feature_cancel = 2;
inline constexpr std::uint64_t feature_unhosted = 4;

inline constexpr std::size_t method_bytes_max = 255;
inline constexpr std::size_t reason_bytes_max = 4096;  ///< texts for people: refusals, exit reasons, errors
inline constexpr std::size_t handoff_waiting_max = 10'000;
inline constexpr std::size_t nodes_named_max = 2000;
inline constexpr std::size_t held_named_max = 2000;
inline constexpr std::size_t unhosted_named_max = 2000;
inline constexpr std::size_t trace_entries_max = 2000;  ///< in one frame
/// What one handoff frame may hold beside the state; the rest of a mailbox follows as ordinary calls and casts.
inline constexpr std::size_t handoff_mailbox_bytes_max = 2U << 20U;

/// Numbers a request on the connection that it is sent on; its reply carries it back.
using correlation = std::uint64_t;

/// The first message on a connection, from both sides.
struct hello {
  std::uint64_t protocol = protocol_version;
  std::uint64_t features = 0;  ///< bits; what both have is used
  std::string mesh_id;
  node_id node;
  std::string uid;
  std::string address;
  std::string software;
  std::uint64_t attempt = 0;  ///< numbers the dialler's connections of this life: the latest one counts
  bool draining = false;
  std::vector<class_name> unhosted{};  ///< see the message
};
/// "Your hello is accepted." A connection is up when both sides have said and heard it.
struct welcome {};
/// The last message on a connection. `refused`: the peer is not accepted, for this reason; else the node leaves.
struct goodbye {
  bool refused = false;
  errc code = errc::cancelled;
  std::string why;
};
struct heartbeat {
  std::uint64_t sent_at = 0;  ///< the sender's clock; only the sender reads it
  std::uint64_t processes = 0;
  bool moving = false;  ///< it has processes to hand over still, to whomever
};
struct heartbeat_ack {
  std::uint64_t sent_at = 0;
};
/// "Place nothing new here; I hand over what I run."
struct draining {};
/// "I have heard it: no call sent after this takes you for an owner."
struct draining_ack {};

/// A call that is to run at its owner. `remaining`: time to the deadline, so that clocks need not agree.
struct call {
  correlation id = 0;
  process_name name;
  std::string method;
  value argument;
  std::chrono::microseconds remaining{0};
  std::uint64_t hops = 0;  ///< nodes that have forwarded it
};
struct cast {
  process_name name;
  std::string method;
  value argument;
  std::uint64_t hops = 0;
};
enum class verb : std::uint8_t {
  inspect,
  stop,
  kill,
  state,
  set_state,
  suspend,
  resume,
  trace,    ///< answered once, and followed by `traced` until either side ends it
  whereis,  ///< its pid, as text
  release,  ///< of a name that is given up
  list,     ///< this and what follows are about a whole node
  tree,
  top,
  crashes,
  unknown,  ///< of a newer peer: answered, not refused
};
[[nodiscard]] constexpr bool is_about_a_node(verb asked) noexcept { return asked >= verb::list; }
/// A question about a process (routed like a call) or about a whole node (never forwarded).
struct control {
  correlation id = 0;
  verb asked = verb::inspect;
  std::optional<process_name> name;
  std::string reason;              ///< kill; set_state: the version that is to be replaced, or none
  std::optional<class_name> only;  ///< list
  std::uint64_t limit = 0;         ///< list
  std::chrono::microseconds remaining{0};
  std::uint64_t hops = 0;
  value argument{};  ///< set_state: the state; trace, tree, top, crashes: how, as a map
};
struct reply {
  correlation id = 0;
  result<value> outcome;
  /// Of an error that could be tried again: its node has waited for what is missing as long as it may. Final.
  bool waited = false;
};

/// One process on its way: see process::handoff.
struct handoff {
  correlation id = 0;
  process_name name;
  std::uint64_t class_version = 0;
  std::uint64_t code = 0;  ///< what the state is of, where the class' version does not tell; 0: it does
  std::uint64_t restarts = 0;
  value state;
  bool contested = false;  ///< the sender had lost the majority: where the name runs already, that one stays
  std::uint64_t hops = 0;
  struct waiting {
    std::string method;
    value argument;
    std::optional<correlation> reply_to;  ///< set for calls: answered with `reply`
    std::optional<std::chrono::microseconds> remaining;
    bool plain = false;  ///< a plain message: `method` is its word
  };
  std::vector<waiting> mailbox;
  bool suspended = false;
  std::vector<fact> facts{};  ///< the groups that it was in and the keys that it held; of no place
};
/// The process is where it belongs (or was superseded by one that ran already): the sender may forget it.
struct handoff_ack {
  correlation id = 0;
  std::optional<error> refused;
  bool superseded = false;
};
/// "I run nothing any more that you own, but what I name here." With the nodes among which the sender places names: one
/// that the receiver does not see yet may have been given some of its names. `held`: names that it runs though it does
/// not own them, as they could not go: their owner forwards to it.
struct handoff_done {
  std::vector<node_id> nodes{};
  std::vector<process_name> held{};
  std::uint64_t heard = 0;  ///< the receiver's latest `unhosted` that it places by
  /// The same of each of `nodes`, in their order; 0 beyond its end.
  std::vector<std::uint64_t> words{};
};
/// "No app that hosts these classes is here: of their names I own none, while another node has one." All of them, in
/// place of what was said before.
struct unhosted {
  std::uint64_t number = 0;  ///< from 1, in each life of the node
  std::vector<class_name> classes;
};
/// What a trace that was asked for with control::id `id` has recorded.
struct traced {
  struct entry {
    std::string type;
    value document;
  };
  correlation id = 0;
  std::vector<entry> entries;
  std::string over;  ///< why there will be no more: "limit", "time", "moved", "left"; empty: there may be
};
/// "I want no more of that trace."
struct untrace {
  correlation id = 0;
};
/// "Nobody waits for that call any more." Its reply follows in any case, with `cancelled` or what came before it. Only
/// to a peer that has feature_cancel.
struct cancel {
  correlation id = 0;
};
/// A type that this version does not know: ignored.
struct unknown_message {
  std::uint16_t type = 0;
};

using message = std::variant<hello, welcome, goodbye, heartbeat, heartbeat_ack, draining, draining_ack, call, cast,
                             control, reply, handoff, handoff_ack, handoff_done, unhosted, signal, announce, publish,
                             claim, unclaim, placed, traced, untrace, cancel, unknown_message>;

/// The whole frame. REQUIRES: within the maxima above; not unknown_message.
[[nodiscard]] bytes encode(const message& sent);
/// Errors: protocol, naming the message and the field.
[[nodiscard]] result<message> decode(const frame& received);
[[nodiscard]] std::string_view to_string(verb asked) noexcept;

/// What a waiting message adds to a handoff frame, at most.
[[nodiscard]] std::size_t encoded_size(const handoff::waiting& entry) noexcept;

}  // namespace orrery::wire
