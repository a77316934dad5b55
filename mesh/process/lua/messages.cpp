// The module `orrery`: calls, casts, plain messages, replies.
#include "mesh/kernel/core.hpp"
#include "mesh/process/caller_seal.hpp"
#include "mesh/process/lua/module.hpp"

#include <chrono>
#include <utility>

namespace orrery::process {
namespace {

constexpr duration timeout_default = std::chrono::seconds{5};  // gen_server's
constexpr std::uint32_t asks_max = 1000;                       ///< of one process, unanswered

struct request {
  text_argument target;
  text_argument method;
  duration timeout{};
};

/// (target, method, argument [, seconds]), with the argument encoded.
request check_request(lua_State* state, const char* function) {
  charge(state, effect_cost);
  request asked{check_text(state, 1), check_word(state, 2), timeout_default};
  if (!lua_isnoneornil(state, 4)) asked.timeout = check_seconds(state, 4);
  lua_settop(state, 3);
  encode_argument(state, 3, function);
  return asked;
}

/// False: the refusal says why.
bool make_call(lua_host& host, const request& asked, kernel::reference& made) {
  const auto to = find_target(host, asked.target.view());
  if (!to || !has_room(host)) return false;
  const auto word = find_word(host, asked.method.view());
  if (!word) return false;
  made = host.job->where->self.call(*to, *word, take_encoded(host), asked.timeout);
  return made != kernel::no_reference || refuse(host, errc::overloaded, "as many calls wait as may; retry later");
}

/// call(target, method, argument [, seconds]) -> reply; an error object with code and text.
int call(lua_State* state) {
  check_can_wait(state, "orrery.call");
  const auto asked = check_request(state, "orrery.call");
  kernel::reference made;
  if (!make_call(host_of(state), asked, made)) return raise_refused(state, "orrery.call");
  return wait_for_reply(state, made);
}

/// ask(target, method, argument [, seconds]) -> reference; the answer comes as info.reply.
int ask(lua_State* state) {
  lua_job& job = callback_of(state, "orrery.ask");
  require_info(state, info_of_reply, "orrery.ask");
  if (job.process->tied().asks >= asks_max)
    return luaL_error(state, "orrery.ask: %d asked calls are unanswered", asks_max);
  const auto asked = check_request(state, "orrery.ask");
  kernel::reference made;
  if (!make_call(host_of(state), asked, made)) return raise_refused(state, "orrery.ask");
  ++job.process->ties->asks;
  unless_over(state);
  push_reference(state, made);
  return 1;
}

bool is_pid(std::string_view target) { return target.find('/') == target.npos && target.find('@') != target.npos; }

/// To a process that is known here, in order with what else is sent to it; else by way of the node, which finds it or
/// starts it.
bool send_cast(lua_host& host, std::string_view target, std::string_view method) {
  const scope& where = *host.job->where;
  auto to = where.around.find(target);
  if (to && !has_room(host)) return false;
  if (to) {
    const auto word = find_word(host, method);
    if (word) where.self.cast(*to, *word, take_encoded(host));
    return word.has_value();
  }
  auto name = is_pid(target) ? fail(to.error()) : parse_process_name(target);
  if (!name) return refuse(host, name.error().code, name.error().context);
  host.meter.allocated_elsewhere(target.size() + method.size());
  where.out.emplace_back(cast_sent{std::move(*name), std::string{method}, take_encoded(host)});
  return true;
}

/// cast(target, method, argument)
int cast(lua_State* state) {
  callback_of(state, "orrery.cast");
  const auto asked = check_request(state, "orrery.cast");
  if (!send_cast(host_of(state), asked.target.view(), asked.method.view())) return raise_refused(state, "orrery.cast");
  return 0;
}

bool send_plain(lua_host& host, std::string_view target, std::string_view word) {
  const auto to = find_target(host, target);
  if (!to || !has_room(host)) return false;
  const auto as = find_word(host, word);
  if (as) host.job->where->self.send(*to, *as, take_encoded(host));
  return as.has_value();
}

/// send(target, word, argument): info.WORD(state, argument) runs there, if the process has it.
int send(lua_State* state) {
  callback_of(state, "orrery.send");
  const auto asked = check_request(state, "orrery.send");
  luaL_argcheck(state, !is_reserved(asked.method.view()), 2, "that word is the system's");
  if (!send_plain(host_of(state), asked.target.view(), asked.method.view())) return raise_refused(state, "orrery.send");
  return 0;
}

// ---- replies ----

void describe_caller(lua_host& host) { host.message = host.job->where->callers->text_of(host.job->caller); }

/// caller() -> whom this call is to be answered, as a text for orrery.reply; nil outside of calls.
int caller(lua_State* state) {
  if (!callback_of(state, "orrery.caller").called) return 0;
  auto& host = host_of(state);
  describe_caller(host);
  lua_pushlstring(state, host.message.data(), host.message.size());
  return 1;
}

/// later(): returned by a call's function, it means that orrery.reply answers.
int later(lua_State* state) {
  callback_of(state, "orrery.later");
  lua_pushlightuserdata(state, &host_of(state).later);
  return 1;
}

/// Did somebody still wait for it? What nobody waits for is counted.
bool answer(lua_host& host, std::string_view token, result<value> with) {
  const scope& where = *host.job->where;
  const auto late = where.self.of().counted().late;
  where.self.reply(where.callers->open(token).value_or(kernel::caller{}), std::move(with));
  return where.self.of().counted().late == late;
}

bool answer_with_encoded(lua_host& host, std::string_view token) { return answer(host, token, take_encoded(host)); }

bool answer_with_error(lua_host& host, std::string_view token, std::string_view code, std::string_view text) {
  return answer(host, token, fail(errc_from(code), std::string{text}, took_effect::executed));
}

/// reply(caller, value) -> was it waited for?
int reply(lua_State* state) {
  callback_of(state, "orrery.reply");
  charge(state, effect_cost);
  const auto token = check_text(state, 1);
  lua_settop(state, 2);
  encode_argument(state, 2, "orrery.reply");
  lua_pushboolean(state, answer_with_encoded(host_of(state), token.view()) ? 1 : 0);
  return 1;
}

/// reply_error(caller, code, text) -> was it waited for?
int reply_error(lua_State* state) {
  callback_of(state, "orrery.reply_error");
  charge(state, effect_cost);
  const auto token = check_text(state, 1);
  const auto code = check_text(state, 2);
  const auto text = check_text(state, 3);
  auto& host = host_of(state);
  check_code(state, code, "orrery.reply_error");
  host.meter.allocated_elsewhere(text.size);
  lua_pushboolean(state, answer_with_error(host, token.view(), code.view(), text.view()) ? 1 : 0);
  return 1;
}

}  // namespace

void add_message_functions(lua_State* state) {
  static constexpr luaL_Reg functions[] = {
      {"ask", ask},     {"call", call}, {"caller", caller},           {"cast", cast},    {"later", later},
      {"reply", reply}, {"send", send}, {"reply_error", reply_error}, {nullptr, nullptr}};
  luaL_setfuncs(state, functions, 0);
}

}  // namespace orrery::process
