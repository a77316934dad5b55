// The module `orrery`: groups and the registry.
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/module.hpp"

#include <array>
#include <chrono>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::uint64_t listed_cost = 50;  ///< in instructions, of each entry that is listed or sent to
constexpr std::size_t listed_max = 1000;   ///< of a prefix
constexpr duration claim_timeout = std::chrono::seconds{5};

constexpr const char* spaces[] = {"mesh_unique", "mesh_duplicate", "node_unique", "node_duplicate", nullptr};
constexpr std::array space_of = {key_space::mesh_unique, key_space::mesh_duplicate, key_space::node_unique,
                                 key_space::node_duplicate};
key_space check_space(lua_State* state, int index) {
  return space_of[static_cast<std::size_t>(luaL_checkoption(state, index, spaces[0], spaces))];
}
bool is_unique(key_space in) { return in == key_space::mesh_unique || in == key_space::node_unique; }

constexpr const char* reaches[] = {"mesh", "node", nullptr};
reach check_reach(lua_State* state, int index) {
  return luaL_checkoption(state, index, reaches[0], reaches) == 0 ? reach::mesh : reach::node;
}

bool take(lua_host& host, result<void> done) {
  if (!done) host.job->refusal = std::move(done.error());
  return done.has_value();
}

void list_handles(lua_host& host, const std::vector<kernel::handle>& found) {
  host.listed.clear();
  for (const auto who : found)
    host.listed.push_back({{}, host.job->where->around.text_of(who), {}});
}
void list_entries(lua_host& host, const std::vector<registration>& found) {
  host.listed.clear();
  for (const auto& each : found)
    host.listed.push_back({each.key, host.job->where->around.text_of(each.who), each.held});
}

/// host.listed as an array of pids.
int push_pids(lua_State* state) {
  auto& host = host_of(state);
  charge(state, host.listed.size() * listed_cost);
  lua_createtable(state, static_cast<int>(host.listed.size()), 0);
  mark_array(state);
  for (std::size_t i = 0; i < host.listed.size(); ++i) {
    lua_pushlstring(state, host.listed[i].pid.data(), host.listed[i].pid.size());
    lua_rawseti(state, -2, static_cast<lua_Integer>(i) + 1);
  }
  return 1;
}

/// One of host.listed as {pid, value, key}.
void push_entry(lua_State* state, std::size_t at) {
  const auto& entry = host_of(state).listed[at];
  lua_createtable(state, 0, 3);
  lua_pushlstring(state, entry.pid.data(), entry.pid.size());
  lua_setfield(state, -2, "pid");
  lua_pushlstring(state, entry.key.data(), entry.key.size());
  lua_setfield(state, -2, "key");
  if (!push_cbor(state, entry.held.cbor())) luaL_error(state, "the value has an integer of more than 64 bits");
  lua_setfield(state, -2, "value");
}

int push_entries(lua_State* state) {
  const auto count = host_of(state).listed.size();
  charge(state, count * listed_cost);
  lua_createtable(state, static_cast<int>(count), 0);
  mark_array(state);
  for (std::size_t i = 0; i < count; ++i) {
    push_entry(state, i);
    lua_rawseti(state, -2, static_cast<lua_Integer>(i) + 1);
  }
  return 1;
}

// ---- groups ----

bool join_group(lua_host& host, std::string_view group) {
  const scope& where = *host.job->where;
  return take(host, where.around.join(group, where.self.self()));
}

/// join(group): also several times; a process is a member until it has left as often, or ends.
int join(lua_State* state) {
  callback_of(state, "orrery.join");
  charge(state, effect_cost);
  if (!join_group(host_of(state), check_text(state, 1).view())) return raise_refused(state, "orrery.join");
  return 0;
}

/// leave(group) -> was it a member?
int leave(lua_State* state) {
  const auto& where = *callback_of(state, "orrery.leave").where;
  charge(state, effect_cost);
  lua_pushboolean(state, where.around.leave(check_text(state, 1).view(), where.self.self()) ? 1 : 0);
  return 1;
}

void list_members(lua_host& host, std::string_view group, reach among) {
  list_handles(host, host.job->where->around.members(group, among));
}

/// members(group [, "mesh" | "node"]) -> pids
int members(lua_State* state) {
  callback_of(state, "orrery.members");
  charge(state, effect_cost);
  list_members(host_of(state), check_text(state, 1).view(), check_reach(state, 2));
  return push_pids(state);
}

/// Members, or nothing: the refusal says why.
std::optional<std::size_t> send_to_group(lua_host& host, std::string_view group, std::string_view word, reach among) {
  const scope& where = *host.job->where;
  if (!has_room(host)) return {};
  const auto as = find_word(host, word);
  if (!as) return {};
  return where.around.publish(where.self, group, *as, take_encoded(host), among);
}

/// publish(group, word, argument [, "mesh" | "node"]) -> members: info.WORD(state, argument) runs at each of them.
int publish(lua_State* state) {
  callback_of(state, "orrery.publish");
  charge(state, effect_cost);
  const auto group = check_text(state, 1);
  const auto word = check_word(state, 2);
  const auto among = check_reach(state, 4);
  luaL_argcheck(state, !is_reserved(word.view()), 2, "that word is the system's");
  lua_settop(state, 3);
  encode_argument(state, 3, "orrery.publish");
  const auto sent = send_to_group(host_of(state), group.view(), word.view(), among);
  if (!sent) return raise_refused(state, "orrery.publish");
  charge(state, *sent * listed_cost);
  lua_pushinteger(state, static_cast<lua_Integer>(*sent));
  return 1;
}

bool watch_group(lua_host& host, std::string_view group) {
  const scope& where = *host.job->where;
  auto now = where.around.monitor_group(group, where.self.self());
  if (now) {
    list_handles(host, *now);
  } else {
    host.job->refusal = std::move(now.error());
  }
  return now.has_value();
}

/// monitor_group(group) -> pids: who joins and leaves from now on comes as info.group_joined and info.group_left.
int monitor_group(lua_State* state) {
  callback_of(state, "orrery.monitor_group");
  charge(state, effect_cost);
  require_info(state, info_of_group_joined, "orrery.monitor_group");
  require_info(state, info_of_group_left, "orrery.monitor_group");
  if (!watch_group(host_of(state), check_text(state, 1).view())) return raise_refused(state, "orrery.monitor_group");
  return push_pids(state);
}

int demonitor_group(lua_State* state) {
  const auto& where = *callback_of(state, "orrery.demonitor_group").where;
  where.around.demonitor_group(check_text(state, 1).view(), where.self.self());
  return 0;
}

// ---- the registry ----

bool register_here(lua_host& host, key_space in, std::string_view key) {
  const scope& where = *host.job->where;
  return take(host, where.around.register_key(in, key, where.self.self(), take_encoded(host)));
}

bool claim(lua_host& host, std::string_view key, kernel::reference& asked) {
  const scope& where = *host.job->where;
  asked = where.around.claim_key(where.self, key, take_encoded(host), claim_timeout);
  return asked != kernel::no_reference || refuse(host, errc::overloaded, "as many calls wait as may; retry later");
}

/// register(key [, value [, space]]) -> true: this process holds the key from now on. The mesh is asked for a key that
/// is unique in it, as orrery.call asks.
int register_key(lua_State* state) {
  callback_of(state, "orrery.register");
  charge(state, effect_cost);
  const auto key = check_text(state, 1);
  const auto in = check_space(state, 3);
  if (in == key_space::mesh_unique) check_can_wait(state, "orrery.register");
  lua_settop(state, 2);
  encode_argument(state, 2, "orrery.register");
  auto& host = host_of(state);
  if (in == key_space::mesh_unique) {
    kernel::reference asked;
    if (!claim(host, key.view(), asked)) return raise_refused(state, "orrery.register");
    return wait_for_reply(state, asked);
  }
  if (!register_here(host, in, key.view())) return raise_refused(state, "orrery.register");
  lua_pushboolean(state, 1);
  return 1;
}

/// unregister(key [, space]) -> did this process hold it?
int unregister_key(lua_State* state) {
  const auto& where = *callback_of(state, "orrery.unregister").where;
  charge(state, effect_cost);
  const auto key = check_text(state, 1);
  const bool held = where.around.unregister_key(check_space(state, 2), key.view(), where.self.self());
  lua_pushboolean(state, held ? 1 : 0);
  return 1;
}

bool change_value(lua_host& host, key_space in, std::string_view key) {
  const scope& where = *host.job->where;
  return take(host, where.around.update_value(in, key, where.self.self(), take_encoded(host)));
}

/// update(key, value [, space]): of a key that this process holds.
int update(lua_State* state) {
  callback_of(state, "orrery.update");
  charge(state, effect_cost);
  const auto key = check_text(state, 1);
  const auto in = check_space(state, 3);
  lua_settop(state, 2);
  encode_argument(state, 2, "orrery.update");
  if (!change_value(host_of(state), in, key.view())) return raise_refused(state, "orrery.update");
  return 0;
}

void look_up(lua_host& host, key_space in, std::string_view key) {
  list_entries(host, host.job->where->around.lookup(in, key));
}

/// lookup(key [, space]) -> {pid, key, value} or nil; of a duplicate space: all of them
int lookup(lua_State* state) {
  callback_of(state, "orrery.lookup");
  charge(state, effect_cost);
  const auto key = check_text(state, 1);
  const auto in = check_space(state, 2);
  auto& host = host_of(state);
  look_up(host, in, key.view());
  if (!is_unique(in)) return push_entries(state);
  if (host.listed.empty()) return 0;
  push_entry(state, 0);
  return 1;
}

void match(lua_host& host, key_space in, std::string_view prefix) {
  list_entries(host, host.job->where->around.match_keys(in, prefix, listed_max));
}

/// keys(prefix [, space]) -> {pid, key, value} of each key that begins so, in order, at most 1000
int keys(lua_State* state) {
  callback_of(state, "orrery.keys");
  charge(state, effect_cost);
  const auto prefix = check_text(state, 1);
  match(host_of(state), check_space(state, 2), prefix.view());
  return push_entries(state);
}

}  // namespace

void add_group_functions(lua_State* state) {
  static constexpr luaL_Reg functions[] = {{"demonitor_group", demonitor_group},
                                           {"join", join},
                                           {"keys", keys},
                                           {"leave", leave},
                                           {"lookup", lookup},
                                           {"members", members},
                                           {"monitor_group", monitor_group},
                                           {"publish", publish},
                                           {"register", register_key},
                                           {"unregister", unregister_key},
                                           {"update", update},
                                           {nullptr, nullptr}};
  luaL_setfuncs(state, functions, 0);
}

}  // namespace orrery::process
