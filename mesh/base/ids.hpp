#pragma once
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"

#include <cstdint>
#include <string>

namespace orrery {

/// A node's name: the name of its pod, unique among the pods that ever were in a mesh.
using node_name = strong<struct node_name_tag, std::string>;

/// Distinguishes the lives of one pod's sidecar: grows with each start (microseconds since the epoch at boot).
using boot_number = strong<struct boot_number_tag, std::uint64_t>;

/// One life of one node. Part of every pid, so that a stale pid never matches a process of a later life.
struct node_id {
  node_name name;
  boot_number boot;
  friend auto operator<=>(const node_id&, const node_id&) = default;
};

using class_name = strong<struct class_name_tag, std::string>;
using process_key = strong<struct process_key_tag, std::string>;

/// `class/key`: how processes are addressed from anywhere in the mesh. The key may hold any UTF-8, slashes too.
struct process_name {
  class_name klass;
  process_key key;
  friend auto operator<=>(const process_name&, const process_name&) = default;
};

inline constexpr std::size_t class_name_bytes_max = 63;  ///< a DNS label, as Kubernetes names are
inline constexpr std::size_t process_key_bytes_max = 1024;

/// "counter/a"
[[nodiscard]] std::string to_string(const process_name& name);
/// Parses `class/key` (at the first slash). Errors: invalid_argument, with what is wrong and what would be accepted:
/// no slash, an empty part, a class that is no DNS label, a key over process_key_bytes_max or not UTF-8.
[[nodiscard]] result<process_name> parse_process_name(std::string_view text);
[[nodiscard]] result<process_name> make_process_name(std::string_view klass, std::string_view key);
[[nodiscard]] bool is_dns_label(std::string_view text) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
/// At most so many bytes of it, and never a part of a character.
[[nodiscard]] std::string_view cut_text(std::string_view text, std::size_t bytes_max) noexcept;

/// A process, named or not: node life, slot in that node's table, and the slot's generation. Never reused.
struct pid {
  node_id node;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  friend auto operator<=>(const pid&, const pid&) = default;
};

/// "demo-x7k2p@1732150000000000.12.3": node, boot, slot, generation.
[[nodiscard]] std::string to_string(const pid& id);
/// What to_string made. Errors: invalid_argument, with the text and the form that would be accepted.
[[nodiscard]] result<pid> parse_pid(std::string_view text);
/// "demo-x7k2p@1732150000000000"
[[nodiscard]] std::string to_string(const node_id& id);

}  // namespace orrery
