// What the processes of a client do.
#include "mesh/sdk/readers.hpp"

#include <array>
#include <utility>

namespace orrery::sdk {
namespace {

using process::key_space;
using exit_kind = kernel::exit_reason::kind;

key_space read_space(fields& in) {
  static constexpr std::array<std::pair<std::string_view, key_space>, 4> known{{
      {"mesh_unique", key_space::mesh_unique},
      {"mesh_duplicate", key_space::mesh_duplicate},
      {"node_unique", key_space::node_unique},
      {"node_duplicate", key_space::node_duplicate},
  }};
  const auto given = in.text("in", 64).value_or("mesh_unique");
  for (const auto& [name, space] : known) {
    if (given == name) return space;
  }
  in.refuse("in", "must be mesh_unique, mesh_duplicate, node_unique or node_duplicate, not '" + given + "'");
  return key_space::mesh_unique;
}

std::string read_target(fields& in) { return in.needed_text("to", target_bytes_max); }
std::string read_group(fields& in) { return in.needed_text("group", process::group_name_bytes_max); }
std::string read_key(fields& in) { return in.needed_text("key", process::registry_key_bytes_max); }

std::optional<process::client_deed> read_message(std::string_view type, fields& in) {
  auto argument = in.item("argument").value_or(value{});
  if (type == "call") {
    return process::client_calls{read_target(in), in.needed_text("method", method_bytes_max), std::move(argument),
                                 read_timeout(in)};
  }
  if (type == "cast") {
    return process::client_casts{read_target(in), in.needed_text("method", method_bytes_max), std::move(argument)};
  }
  if (type == "send") {
    return process::client_sends{read_target(in), in.needed_text("word", method_bytes_max), std::move(argument)};
  }
  if (type == "publish") {
    return process::client_publishes{read_group(in), in.needed_text("word", method_bytes_max), std::move(argument)};
  }
  return {};
}

std::optional<process::client_deed> read_tie(std::string_view type, fields& in) {
  if (type == "spawn") {
    if (!in.has("class")) in.refuse("class", "is missing");
    return process::client_spawns{read_class(in).value_or(class_name{}), in.item("argument").value_or(value{}),
                                  in.flag("link").value_or(false), in.flag("monitor").value_or(false)};
  }
  if (type == "monitor") return process::client_monitors{read_target(in)};
  if (type == "demonitor") {
    return process::client_demonitors{static_cast<std::uint64_t>(in.needed_integer("monitor", 1, number_max))};
  }
  if (type == "link" || type == "unlink") return process::client_links{read_target(in), type == "link"};
  if (type == "exit") {
    auto why = read_reason(in, "reason", {exit_kind::normal, exit_kind::shutdown, exit_kind::error, exit_kind::kill});
    if (!why) in.refuse("reason", "is missing");
    return process::client_exits{read_target(in), why.value_or(kernel::exit_reason{})};
  }
  return {};
}

std::optional<process::client_deed> read_shared(std::string_view type, fields& in) {
  using group_act = process::client_groups::kind;
  static constexpr std::array<std::pair<std::string_view, group_act>, 4> group_acts{{
      {"join", group_act::join},
      {"leave", group_act::leave},
      {"watch", group_act::watch},
      {"unwatch", group_act::unwatch},
  }};
  for (const auto& [name, what] : group_acts) {
    if (type == name) return process::client_groups{what, read_group(in)};
  }
  if (type == "claim") {
    return process::client_claims{read_space(in), read_key(in), in.item("value").value_or(value{}),
                                  read_timeout(in).value_or(process::client_call_timeout)};
  }
  if (type == "update")
    return process::client_updates{read_space(in), read_key(in), in.item("value").value_or(value{})};
  if (type == "release") return process::client_releases{read_space(in), read_key(in)};
  return {};
}

std::optional<process::client_deed> read_deed_of(std::string_view type, fields& in) {
  if (type == "open") {
    return process::client_open{static_cast<std::uint32_t>(in.needed_integer("credit", 0, process::client_credit_max))};
  }
  if (type == "close") {
    return process::client_close{read_reason(in, "reason", {exit_kind::normal, exit_kind::shutdown, exit_kind::error})
                                     .value_or(kernel::exit_reason{})};
  }
  if (auto message = read_message(type, in)) return message;
  if (auto tie = read_tie(type, in)) return tie;
  return read_shared(type, in);
}

}  // namespace

std::optional<incoming> read_act(std::string_view type, request_number id, fields& in) {
  if (type == "lookup") return look_up{id, read_space(in), read_key(in)};
  const bool optional = type == "call" || type == "cast" || type == "publish";  // they need no process
  if (optional && !in.has("process")) return {};
  auto deed = read_deed_of(type, in);
  if (!deed) return {};
  const process::client_process_id process{static_cast<std::uint64_t>(in.needed_integer("process", 1, number_max))};
  return act{id, process, *std::move(deed)};
}

}  // namespace orrery::sdk
