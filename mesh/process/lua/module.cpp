#include "mesh/process/lua/module.hpp"

#include "mesh/kernel/core.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace orrery::process {
namespace {

constexpr duration delay_min = std::chrono::milliseconds{1};
constexpr std::uint32_t words_max = 10'000;  ///< that the scripts of one class may make the node learn

bool encode(lua_State* state, lua_host& host, int index, const char* function) {
  host.scratch.clear();
  if (host.encoder.encode(state, index, value_bytes_max, host.scratch)) return true;
  host.message = std::string{function} + ": the argument has " + host.encoder.why();
  return false;
}

bool has_info(const lua_host& host, std::string_view word) {
  return host.job->functions->find(lua_functions::kind::info, word) != LUA_NOREF;
}

void say_no_info(lua_host& host, std::string_view word, const char* function) {
  host.message = std::string{function} + ": the script has no info." + std::string{word.substr(0, 80)};
}

bool known_code(lua_host& host, std::string_view name, const char* function) {
  if (to_string(errc_from(name)) == name) return true;
  host.message = std::string{function} + ": '" + std::string{name.substr(0, 60)} +
                 "' is no code; use invalid_argument, not_found, already_exists, conflict, too_large, overloaded, "
                 "unavailable, forbidden or handler_failed";
  return false;
}

/// Wrong arguments are told as libraries tell them: a text with the line.
bool is_wrong_argument(lua_host& host, const char* function) {
  if (host.job->refusal.code != errc::invalid_argument) return false;
  host.message = std::string{function} + ": " + host.job->refusal.context;
  return true;
}

void take_failure(lua_job& job) { job.refusal = kernel::outcome_of(*job.arrived).error(); }

/// The reply is there.
int go_on_with_reply(lua_State* state, int, lua_KContext) {
  lua_job& job = job_of(state);
  if (job.arrived->failed) {
    take_failure(job);
    return raise_refusal(state);
  }
  if (!push_cbor(state, job.arrived->payload.cbor())) {
    return luaL_error(state, "orrery.call: the reply has an integer of more than 64 bits");
  }
  return 1;
}

}  // namespace

text_argument check_text(lua_State* state, int index) {
  text_argument text;
  text.data = luaL_checklstring(state, index, &text.size);
  return text;
}

text_argument check_word(lua_State* state, int index) {
  const auto word = check_text(state, index);
  luaL_argcheck(state, word.size > 0 && word.size <= word_bytes_max, index, "a method has 1 to 256 bytes");
  return word;
}

duration check_seconds(lua_State* state, int index) {
  const double seconds = luaL_checknumber(state, index);
  luaL_argcheck(state, seconds >= 0 && seconds <= seconds_max, index, "a delay has 0 seconds to a year");
  // A process that sets a timer in each of its timers is to let the node sleep between them.
  return std::max(std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds)), delay_min);
}

kernel::reference check_reference(lua_State* state, int index) {
  return kernel::unpacked(static_cast<std::uint64_t>(luaL_checkinteger(state, index)) - 1);
}

void push_reference(lua_State* state, kernel::reference ref) {
  lua_pushinteger(state, static_cast<lua_Integer>(kernel::packed(ref)) + 1);
}

void encode_argument(lua_State* state, int index, const char* function) {
  auto& host = host_of(state);
  if (!encode(state, host, index, function)) raise_message(state);
  host.meter.allocated_elsewhere(host.scratch.size());
}

void check_code(lua_State* state, text_argument code, const char* function) {
  if (!known_code(host_of(state), code.view(), function)) raise_message(state);
}

int raise_refused(lua_State* state, const char* function) {
  unless_over(state);
  return is_wrong_argument(host_of(state), function) ? raise_message(state) : raise_refusal(state);
}

void unless_over(lua_State* state) {
  auto& host = host_of(state);
  const auto& self = host.job->where->self;
  if (self.of().alive(self.self())) return;
  host.meter.trip(lua_meter::limit::over);
  raise_limit(state);
}

void require_info(lua_State* state, std::string_view word, const char* function) {
  auto& host = host_of(state);
  if (has_info(host, word)) return;
  say_no_info(host, word, function);
  raise_message(state);
}

int wait_for_reply(lua_State* state, kernel::reference asked) {
  job_of(state).asked = asked;
  unless_over(state);
  return lua_yieldk(state, 0, 0, go_on_with_reply);
}

void check_can_wait(lua_State* state, const char* function) {
  callback_of(state, function);
  if (lua_isyieldable(state) != 0) return;
  luaL_error(state,
             "%s cannot wait here: not in init (use orrery.continue), terminate or code_change, nor in a function that "
             "a library calls",
             function);
}

bool has_room(lua_host& host) {
  const scope& where = *host.job->where;
  if (where.self.of().queued_bytes() < where.queued_bytes_max) return true;
  return refuse(host, errc::overloaded, "what waits in this node's mailboxes is as much as may; retry later");
}

value take_encoded(lua_host& host) { return value::adopt(host.scratch); }

bool refuse(lua_host& host, errc code, std::string_view why) {
  host.job->refusal = {code, std::string{why}, took_effect::not_executed};
  return false;
}

std::optional<kernel::handle> find_target(lua_host& host, std::string_view target) {
  auto found = host.job->where->around.find(target);
  if (found) return *found;
  host.job->refusal = std::move(found.error());
  return {};
}

std::optional<kernel::atom> find_word(lua_host& host, std::string_view word) {
  auto& atoms = host.job->where->self.of().atoms();
  if (const auto known = atoms.find(word)) return known;
  const auto added = host.words < words_max ? atoms.intern(word) : std::nullopt;
  if (added) {
    ++host.words;
  } else {
    static_cast<void>(refuse(host, errc::overloaded, "as many methods and words are known as may be"));
  }
  return added;
}

}  // namespace orrery::process
