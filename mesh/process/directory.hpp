#pragma once
// How processes find each other: pids as data, names, groups, the registry.
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"
#include "mesh/kernel/body.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/wire/value.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

/// Words of plain messages that only the system sends: who joined and left a group that one watches, and that one does
/// not hold a key any more.
inline constexpr std::string_view group_joined_word = "group_joined";
inline constexpr std::string_view group_left_word = "group_left";
inline constexpr std::string_view key_lost_word = "key_lost";
[[nodiscard]] constexpr bool is_notice(std::string_view word) noexcept {
  return word == group_joined_word || word == group_left_word || word == key_lost_word;
}

/// Whose processes are meant: those of this node, or those of the mesh as far as this node has heard.
enum class reach : std::uint8_t { node, mesh };

/// Four registries beside each other (Elixir's Registry: keys are unique or duplicate). The same key may be in several.
enum class key_space : std::uint8_t {
  node_unique,     ///< one holder on this node
  node_duplicate,  ///< any number of holders on this node
  mesh_unique,     ///< one holder in the mesh: granted by the key's owner, so it is claimed (`claim_key`)
  mesh_duplicate,  ///< any number of holders in the mesh
};

/// A key that a process holds.
struct registration {
  std::string key;
  kernel::handle who;
  value held;
};

/// A process without a name: of a class, on this node, nobody's child but its links'. It is not handed over.
struct spawn_request {
  std::string_view klass;
  value argument{};  ///< scope::given of its init
  bool link = false;
  bool monitor = false;
};

/// What a callback may ask of what lies around its kernel. Handles go to kernel::context, which calls, monitors and
/// links them. Valid during the callback only.
///
/// Groups and registries hold pids of this node, each for as long as its process lives: when a process ends, nobody
/// hears of its end before its entries are gone. What holds for the mesh is eventually consistent: each node tells its
/// peers what its own processes joined and hold.
class directory {
 public:
  directory() = default;
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;
  virtual ~directory() = default;

  /// The process behind "class/key", or behind a pid's text as `text_of` gives it. A pid of a process that has ended is
  /// no error: a monitor of its handle says so. A name that does not run here has a handle that stands for it, good for
  /// this callback: a call or a cast through it goes to the name's owner and starts the process there; a monitor, a
  /// link, a plain message or an exit signal goes to the process behind it, `noproc` if none runs. Errors:
  /// invalid_argument (neither form), not_found (no such class, or a node that never was in the mesh), overloaded (as
  /// many names are waited for as may).
  [[nodiscard]] virtual result<kernel::handle> find(std::string_view target) = 0;
  /// "demo-x7k2p@1732150000000000.12.3": what `find` takes, on any node of the mesh; "class/key" of a handle that
  /// stands for a name.
  [[nodiscard]] virtual std::string text_of(kernel::handle who) const = 0;

  /// Of a message that code outside sends: how many are learnt is bounded. `what`: "a word", for errors. Errors:
  /// invalid_argument (empty, over wire::word_bytes_max, or the system's own), overloaded.
  [[nodiscard]] virtual result<kernel::atom> word_of(std::string_view text, std::string_view what) = 0;

  // ---- groups (OTP's pg; a scope is a prefix of the name, as in "chat/room-1") ----

  /// Any process of this node joins, also several times: it is a member until it has left as often. Errors:
  /// invalid_argument (name empty, over group_name_bytes_max, not UTF-8), not_found (no process of this node),
  /// overloaded.
  [[nodiscard]] virtual result<void> join(std::string_view group, kernel::handle who) = 0;
  /// Once. False if it was no member.
  virtual bool leave(std::string_view group, kernel::handle who) = 0;
  /// Each member once, those of this node first.
  [[nodiscard]] virtual std::vector<kernel::handle> members(std::string_view group,
                                                            reach among = reach::mesh) const = 0;
  /// Groups with members, in order, whose names begin with `prefix`.
  [[nodiscard]] virtual std::vector<std::string> groups(std::string_view prefix, std::size_t limit) const = 0;
  /// A plain message from `self` to every member, itself included if it is one. How many members are known.
  virtual std::size_t publish(kernel::context& self, std::string_view group, kernel::atom word, const value& payload,
                              reach among = reach::mesh) = 0;
  /// From now on each first join and last leave of a process comes to `watcher`, of this node, as a plain message
  /// `group_joined` or `group_left` with {"group": NAME, "pids": [PID TEXT...]}. Once for each watcher and group; ends
  /// with the watcher. Returns the members now. Errors: as join.
  [[nodiscard]] virtual result<std::vector<kernel::handle>> monitor_group(std::string_view group,
                                                                          kernel::handle watcher) = 0;
  virtual void demonitor_group(std::string_view group, kernel::handle watcher) = 0;

  // ---- registry ----

  /// Errors: invalid_argument (key empty, over registry_key_bytes_max, not UTF-8; value over registry_value_bytes_max;
  /// mesh_unique), not_found (no process of this node), already_exists with the pid that holds it (also where `who`
  /// does), overloaded.
  [[nodiscard]] virtual result<void> register_key(key_space in, std::string_view key, kernel::handle who,
                                                  value held) = 0;
  /// Claims a mesh_unique key for `self`. As with context::call, a `reply` with this reference comes exactly once:
  /// true, or why not: as register_key; also unavailable, isolated, deadline_exceeded. A claim that is answered with an
  /// error holds nothing.
  virtual kernel::reference claim_key(kernel::context& self, std::string_view key, value held, duration timeout) = 0;
  /// False if `who`, of this node, does not hold it.
  virtual bool unregister_key(key_space in, std::string_view key, kernel::handle who) = 0;
  /// Another value for a key that `who`, of this node, holds. Errors: not_found, invalid_argument, overloaded.
  [[nodiscard]] virtual result<void> update_value(key_space in, std::string_view key, kernel::handle who,
                                                  value held) = 0;
  /// Holders in order of their handles; of a unique key at most one.
  [[nodiscard]] virtual std::vector<registration> lookup(key_space in, std::string_view key) const = 0;
  /// Keys that a process holds, in order.
  [[nodiscard]] virtual std::vector<std::string> keys_of(key_space in, kernel::handle who) const = 0;
  /// All whose key begins with `prefix`, in order of keys, at most `limit`.
  [[nodiscard]] virtual std::vector<registration> match_keys(key_space in, std::string_view prefix,
                                                             std::size_t limit) const = 0;
  /// Entries in one registry.
  [[nodiscard]] virtual std::size_t count_keys(key_space in) const = 0;
  /// Starts it; its init has run when this returns. Errors: not_found (class), overloaded, process_exited with the
  /// reason where it did not start.
  [[nodiscard]] virtual result<kernel::spawned> spawn(kernel::context& parent, const spawn_request& what) {
    static_cast<void>(parent);
    return fail(errc::unavailable, "no process of class '" + std::string{what.klass} + "' can be spawned here");
  }
};

inline constexpr std::size_t group_name_bytes_max = 255;
inline constexpr std::size_t registry_key_bytes_max = 1024;
inline constexpr std::size_t registry_value_bytes_max = 4096;  ///< encoded

}  // namespace orrery::process
