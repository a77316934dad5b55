#pragma once
// What nodes say for processes: signals, groups, the registry. Only between peers that both have feature_processes.
#include "mesh/base/ids.hpp"
#include "mesh/base/result.hpp"
#include "mesh/wire/value.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orrery::wire {

/// A bit of hello::features: the peer knows the messages of this file and the verb `whereis`.
inline constexpr std::uint64_t feature_processes = 1;

inline constexpr std::size_t word_bytes_max = 255;
inline constexpr std::size_t group_bytes_max = 255;
inline constexpr std::size_t key_bytes_max = 1024;
inline constexpr std::size_t announced_max = 4000;               ///< facts in one frame
inline constexpr std::size_t announced_bytes_max = 256U << 10U;  ///< of these, as encoded_size counts them

/// A process of the node that sends, or of the one that receives. Which life of it is meant is said by the connection:
/// it is between two lives, so no message can reach a process of a later one.
struct place {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  friend auto operator<=>(const place&, const place&) = default;
};

/// kernel::signal on its way. What a kind does not use is left out.
struct signal {
  enum class kind : std::uint8_t {
    plain,
    cast,
    call,
    reply,
    exit,
    link,
    unlink,
    unlinked,
    link_broke,
    monitor,
    demonitor,
    down,
  };
  kind what = kind::plain;
  std::optional<place> from{};  ///< missing: nobody. Needed by all but plain, cast, reply and exit
  place to{};
  std::optional<std::uint64_t> ref{};  ///< needed by call, reply, unlink, unlinked, monitor, demonitor and down
  std::string word{};                  ///< plain, cast, call
  value payload{};                     ///< plain, cast, call, reply
  std::string reason{};                ///< exit, link_broke, down: the kind of exit
  std::string detail{};                ///< of the reason, for people
  std::optional<error> failed{};       ///< reply: in place of a payload
  std::optional<std::chrono::microseconds> remaining{};  ///< call: missing where its caller waits for ever
};

/// One thing that a node says of a process of its own: the state, not what changed, so that saying it twice does no
/// harm.
struct fact {
  enum class kind : std::uint8_t { member, unique, duplicate };
  kind what = kind::member;
  std::string name{};  ///< the group or the key
  place who{};
  std::uint64_t count = 0;  ///< member: how often it has joined. Keys: 1. Of all: 0 where it is over
  value held{};             ///< keys
};
/// A node says what its processes joined and hold: all of it when a connection comes up, then what changes. In order,
/// on the one connection of a pair, so nothing is lost or overtaken as long as it lasts; `number` counts the messages
/// from 1, and the first of them forgets what was said on an earlier connection.
struct announce {
  std::uint64_t number = 0;
  std::vector<fact> facts{};
};
/// For the members of a group that are the receiver's: a plain message.
struct publish {
  std::optional<place> from{};
  std::string group{};
  std::string word{};
  value payload{};
};
/// May this process of the sender's hold this key, alone in the mesh? The key's owner answers with a `reply`: true,
/// already_exists with the pid that holds it, or an error that may be worth another try.
struct claim {
  std::uint64_t id = 0;
  std::string key{};
  place who{};
  std::chrono::microseconds remaining{0};
};
/// The sender does not make use of what it was granted.
struct unclaim {
  std::string key{};
  place who{};
};
/// The sender places names and keys among these nodes from now on: a digest of their ids, to compare with one's own.
struct placed {
  std::uint64_t digest = 0;
};

[[nodiscard]] std::string_view to_string(signal::kind what) noexcept;
/// What a fact adds to an announcement, at most.
[[nodiscard]] std::size_t encoded_size(const fact& said) noexcept;

}  // namespace orrery::wire
