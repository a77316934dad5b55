// The module `orrery`: timers, and what comes after the callback.
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/module.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::size_t timers_max = 1000;  ///< of one process
constexpr std::size_t reason_max = 1000;  ///< bytes

/// Nothing: `host.message` says what is wrong.
kernel::reference set_timer(lua_host& host, duration delay, std::string_view word) {
  auto& self = host.job->where->self;
  if (self.of().load_of(self.self()).timers >= timers_max) {
    host.message = "orrery.send_after: this process has " + std::to_string(timers_max) + " timers, as many as it may";
    return kernel::no_reference;
  }
  const auto bytes = self.of().load_of(self.self()).timer_bytes + host.scratch.size();
  if (host.scratch.size() > value::small_max && bytes > host.job->state_bytes_max) {
    host.message = "orrery.send_after: the arguments of this process' timers would have " + std::to_string(bytes) +
                   " bytes; limits.stateBytes allows " + std::to_string(host.job->state_bytes_max);
    return kernel::no_reference;
  }
  const auto as = find_word(host, word);
  const auto set = as ? self.send_after(delay, self.self(), *as, take_encoded(host)) : kernel::no_reference;
  if (set == kernel::no_reference) host.message = "orrery.send_after: this node has as many timers as it may";
  return set;
}

/// send_after(seconds, word [, argument]) -> timer; info.WORD(state, argument) runs then, if the process still lives.
int send_after(lua_State* state) {
  callback_of(state, "orrery.send_after");
  auto& host = host_of(state);
  charge(state, effect_cost);
  const auto delay = check_seconds(state, 1);
  const auto word = check_text(state, 2);
  lua_settop(state, 3);
  require_info(state, word.view(), "orrery.send_after");
  encode_argument(state, 3, "orrery.send_after");
  const auto timer = set_timer(host, delay, word.view());
  unless_over(state);
  if (timer == kernel::no_reference) return raise_message(state);
  push_reference(state, timer);
  return 1;
}

/// cancel(timer) -> seconds that were left, or nil
int cancel(lua_State* state) {
  const auto& job = callback_of(state, "orrery.cancel");
  const auto left = job.where->self.cancel_own(check_reference(state, 1));
  if (!left) return 0;
  lua_pushnumber(state, std::chrono::duration<double>(*left).count());
  return 1;
}

void wish_stop(lua_job& job, std::string_view reason) {
  using kind = exit_reason::kind;
  job.wishes.stop = reason.empty() ? exit_reason{kind::normal, {}} : exit_reason{kind::shutdown, std::string{reason}};
}

/// stop([reason]): the process ends after this callback, orderly. What the callback returns is still answered.
int stop(lua_State* state) {
  auto& job = callback_of(state, "orrery.stop");
  std::size_t size = 0;
  const char* reason = luaL_optlstring(state, 1, "", &size);
  wish_stop(job, {reason, std::min(size, reason_max)});
  return 0;
}

void wish_to_go_on(lua_host& host) { host.job->wishes.go_on = take_encoded(host); }

/// continue([argument]): info.continue(state, argument) runs after this callback, before anything else.
int go_on(lua_State* state) {
  callback_of(state, "orrery.continue");
  charge(state, effect_cost);
  require_info(state, info_of_continue, "orrery.continue");
  lua_settop(state, 1);
  encode_argument(state, 1, "orrery.continue");
  wish_to_go_on(host_of(state));
  return 0;
}

/// timeout(seconds): info.timeout(state) runs then, unless anything arrives before.
int timeout(lua_State* state) {
  auto& job = callback_of(state, "orrery.timeout");
  require_info(state, info_of_timeout, "orrery.timeout");
  job.wishes.timeout = check_seconds(state, 1);
  return 0;
}

/// hibernate(): after this callback, memory that nobody uses any more is given back.
int hibernate(lua_State* state) {
  callback_of(state, "orrery.hibernate").wishes.hibernate = true;
  return 0;
}

}  // namespace

void add_timing_functions(lua_State* state) {
  static constexpr luaL_Reg functions[] = {{"cancel", cancel},         {"continue", go_on}, {"hibernate", hibernate},
                                           {"send_after", send_after}, {"stop", stop},      {"timeout", timeout},
                                           {nullptr, nullptr}};
  luaL_setfuncs(state, functions, 0);
}

}  // namespace orrery::process
