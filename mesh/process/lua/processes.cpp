// The module `orrery`: pids, monitors, links, exits, processes without a name.
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/module.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::size_t monitors_max = 10'000;  ///< that one process holds
constexpr std::size_t reason_max = 1000;      ///< bytes
constexpr std::uint64_t spawn_cost = 5000;    ///< in instructions: bounds how many a callback starts

void describe_pid(lua_host& host, kernel::handle who) { host.message = host.job->where->around.text_of(who); }

int push_described(lua_State* state) {
  const auto& text = host_of(state).message;
  lua_pushlstring(state, text.data(), text.size());
  return 1;
}

/// pid() -> this process' pid; pid(target) -> that of a process, as far as this node knows it.
int pid(lua_State* state) {
  const auto& job = callback_of(state, "orrery.pid");
  describe_pid(host_of(state), job.where->self.self());
  return push_described(state);
}

bool watch(lua_host& host, std::string_view target, kernel::reference& made) {
  auto& held = host.job->process->tied().monitors;
  if (held.size() >= monitors_max) {
    return refuse(host, errc::overloaded, "this process holds " + std::to_string(monitors_max) + " monitors");
  }
  const auto to = find_target(host, target);
  if (!to) return false;
  made = host.job->where->self.monitor(*to);
  if (made != kernel::no_reference) held.insert(made);
  return true;
}

/// monitor(target) -> reference; its end comes as info.down.
int monitor(lua_State* state) {
  callback_of(state, "orrery.monitor");
  charge(state, effect_cost);
  require_info(state, info_of_down, "orrery.monitor");
  const auto target = check_text(state, 1);
  kernel::reference made;
  if (!watch(host_of(state), target.view(), made)) return raise_refused(state, "orrery.monitor");
  unless_over(state);
  push_reference(state, made);
  return 1;
}

bool unwatch(const lua_job& job, kernel::reference watched) {
  if (job.process->tied().monitors.erase(watched) == 0) return false;
  job.where->self.demonitor(watched);
  return true;
}

/// demonitor(reference) -> was it one of this process? No info.down comes of it any more, not even one that waits.
int demonitor(lua_State* state) {
  const auto& job = callback_of(state, "orrery.demonitor");
  lua_pushboolean(state, unwatch(job, check_reference(state, 1)) ? 1 : 0);
  return 1;
}

bool tie(lua_host& host, std::string_view target, bool linked) {
  const auto to = find_target(host, target);
  if (!to) return false;
  auto& self = host.job->where->self;
  linked ? self.link(*to) : self.unlink(*to);
  return true;
}

int change_link(lua_State* state, const char* function, bool linked) {
  callback_of(state, function);
  charge(state, effect_cost);
  if (!tie(host_of(state), check_text(state, 1).view(), linked)) return raise_refused(state, function);
  unless_over(state);
  return 0;
}
/// link(target): each ends with the other, unless it traps exits or the other ends as `normal`.
int link(lua_State* state) { return change_link(state, "orrery.link", true); }
int unlink(lua_State* state) { return change_link(state, "orrery.unlink", false); }

exit_reason reason_from(std::string_view text) {
  using kind = exit_reason::kind;
  if (text == "normal") return {kind::normal, {}};
  if (text == "kill") return {kind::kill, {}};
  if (text == "shutdown") return {kind::shutdown, {}};
  constexpr std::string_view with_detail = "shutdown: ";
  if (text.starts_with(with_detail)) return {kind::shutdown, std::string{text.substr(with_detail.size())}};
  return {kind::error, std::string{text}};
}

bool send_exit(lua_host& host, std::string_view target, std::string_view reason) {
  const auto to = find_target(host, target);
  if (to) host.job->where->self.exit(*to, reason_from(reason));
  return to.has_value();
}

/// exit(target, reason): asks it to end. "kill" cannot be trapped; what is none of OTP's reasons counts as a crash.
int exit(lua_State* state) {
  callback_of(state, "orrery.exit");
  charge(state, effect_cost);
  const auto target = check_text(state, 1);
  const auto reason = check_text(state, 2);
  luaL_argcheck(state, reason.size > 0 && reason.size <= reason_max, 2, "a reason has 1 to 1000 bytes");
  if (!send_exit(host_of(state), target.view(), reason.view())) return raise_refused(state, "orrery.exit");
  unless_over(state);
  return 0;
}

/// trap_exit(on) -> what it was: exits of linked processes come as info.exit.
int trap_exit(lua_State* state) {
  const auto& job = callback_of(state, "orrery.trap_exit");
  luaL_checktype(state, 1, LUA_TBOOLEAN);
  lua_pushboolean(state, job.where->self.trap_exits(lua_toboolean(state, 1) != 0) ? 1 : 0);
  return 1;
}

struct wanted {
  text_argument klass;
  bool link = false;
  bool monitor = false;
};

bool flag(lua_State* state, const char* name) {
  if (lua_isnoneornil(state, 3)) return false;
  luaL_checktype(state, 3, LUA_TTABLE);
  lua_pushstring(state, name);
  lua_rawget(state, 3);
  const bool set = lua_toboolean(state, -1) != 0;
  lua_pop(state, 1);
  return set;
}

bool start(lua_host& host, const wanted& asked, kernel::spawned& made) {
  const scope& where = *host.job->where;
  auto begun = where.around.spawn(where.self, {asked.klass.view(), take_encoded(host), asked.link, asked.monitor});
  if (!begun) {
    host.job->refusal = std::move(begun.error());
    return false;
  }
  made = *begun;
  describe_pid(host, made.who);
  if (asked.monitor) host.job->process->tied().monitors.insert(made.monitor);
  return true;
}

/// spawn(class [, argument [, {link = true, monitor = true}]]) -> pid [, reference]: a process of a class that has no
/// name, on this node, started when this returns.
int spawn(lua_State* state) {
  callback_of(state, "orrery.spawn");
  charge(state, spawn_cost);
  const wanted asked{check_text(state, 1), flag(state, "link"), flag(state, "monitor")};
  if (asked.monitor) require_info(state, info_of_down, "orrery.spawn");
  lua_settop(state, 2);
  encode_argument(state, 2, "orrery.spawn");
  kernel::spawned made;
  if (!start(host_of(state), asked, made)) return raise_refused(state, "orrery.spawn");
  unless_over(state);
  push_described(state);
  if (!asked.monitor) return 1;
  push_reference(state, made.monitor);
  return 2;
}

}  // namespace

void add_process_functions(lua_State* state) {
  static constexpr luaL_Reg functions[] = {{"demonitor", demonitor}, {"exit", exit},     {"link", link},
                                           {"monitor", monitor},     {"pid", pid},       {"spawn", spawn},
                                           {"trap_exit", trap_exit}, {"unlink", unlink}, {nullptr, nullptr}};
  luaL_setfuncs(state, functions, 0);
}

}  // namespace orrery::process
