// What runs in a thread: from a job to a call of the script, and back.
#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/host.hpp"
#include "mesh/wire/cbor.hpp"

namespace orrery::process {
namespace {

void push_argument(lua_State* state, lua_job& job) {
  if (push_cbor(state, job.argument->cbor())) return;
  job.ended = lua_job::ending::bad_argument;
  lua_pushnil(state);
  lua_error(state);
}

void describe_pid(lua_host& host, kernel::handle who) { host.message = host.job->where->around.text_of(who); }
void describe_kind(lua_host& host, exit_reason::kind why) { host.message = to_string(exit_reason{why, {}}); }

/// `host.message` as a field of the table on top.
void set_message(lua_State* state, const char* field) {
  const auto& text = host_of(state).message;
  lua_pushlstring(state, text.data(), text.size());
  lua_setfield(state, -2, field);
}

void set_reference(lua_State* state, kernel::reference ref) {
  lua_pushinteger(state, static_cast<lua_Integer>(kernel::packed(ref)) + 1);
  lua_setfield(state, -2, "ref");
}

void set_text(lua_State* state, const char* field, const value& text) {
  const auto content = cbor::text_of(text);
  if (!content || content->empty()) return;
  lua_pushlstring(state, content->data(), content->size());
  lua_setfield(state, -2, field);
}

/// {pid, reason, detail}, of a down also ref
void push_end(lua_State* state, const kernel::message& ended) {
  auto& host = host_of(state);
  lua_createtable(state, 0, 4);
  if (ended.from != kernel::nobody) {
    describe_pid(host, ended.from);
    set_message(state, "pid");
  }
  describe_kind(host, ended.why);
  set_message(state, "reason");
  set_text(state, "detail", ended.payload);
  if (ended.what == kernel::message::kind::down) set_reference(state, ended.ref);
}

/// {ref, ok = true, value} or {ref, ok = false, code, text, effect}
void push_answer(lua_State* state, const kernel::message& reply) {
  lua_createtable(state, 0, 5);
  set_reference(state, reply.ref);
  lua_pushboolean(state, reply.failed ? 0 : 1);
  lua_setfield(state, -2, "ok");
  if (!reply.failed) {
    if (!push_cbor(state, reply.payload.cbor())) luaL_error(state, "the reply has an integer of more than 64 bits");
    lua_setfield(state, -2, "value");
    return;
  }
  const auto code = to_string(static_cast<errc>(reply.word.value));
  lua_pushlstring(state, code.data(), code.size());
  lua_setfield(state, -2, "code");
  set_text(state, "text", reply.payload);
  const auto took_place = to_string(reply.effect);
  lua_pushlstring(state, took_place.data(), took_place.size());
  lua_setfield(state, -2, "effect");
}

void push_told(lua_State* state, const kernel::message& arrived) {
  switch (arrived.what) {
    case kernel::message::kind::down:
    case kernel::message::kind::exit:
      return push_end(state, arrived);
    case kernel::message::kind::reply:
      return push_answer(state, arrived);
    case kernel::message::kind::resume:
      if (push_cbor(state, arrived.payload.cbor())) return;
      break;
    case kernel::message::kind::plain:
    case kernel::message::kind::cast:
    case kernel::message::kind::call:
    case kernel::message::kind::timer:
    case kernel::message::kind::timeout:
      break;
  }
  lua_pushnil(state);
}

void empty_if_nil(lua_State* state, int index) {
  if (!lua_isnil(state, index)) return;
  lua_newtable(state);
  lua_replace(state, index);
}

/// All that the script's function returned, below the continuation's frame or this one's.
int pass_results(lua_State* state, int, lua_KContext) { return lua_gettop(state); }

}  // namespace

int keep(lua_State* state) {
  host_of(state).meter.end();
  return luaL_ref(state, LUA_REGISTRYINDEX);
}

bool measure_state(lua_State* state, lua_job& job, int index) {
  auto& host = host_of(state);
  job.measured = true;
  host.scratch.clear();
  if (!host.encoder.encode(state, index, job.state_bytes_max, host.scratch)) {
    job.ended = host.encoder.too_large() ? lua_job::ending::state_limit : lua_job::ending::bad_state;
    job.detail = host.encoder.why();
    return false;
  }
  job.state_size = host.scratch.size();
  job.largest_string = host.encoder.largest_string();
  return true;
}

int run_init(lua_State* state) {
  lua_job& job = job_of(state);
  if (job.function == LUA_NOREF) {
    lua_newtable(state);
  } else {
    lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
    lua_pushlstring(state, job.text.data(), job.text.size());
    push_argument(state, job);
    lua_call(state, 2, 1);
  }
  empty_if_nil(state, 1);
  if (measure_state(state, job, 1)) job.state = keep(state);
  return 0;
}

int run_restore(lua_State* state) {
  lua_job& job = job_of(state);
  push_argument(state, job);
  empty_if_nil(state, 1);
  if (!measure_state(state, job, 1)) return 0;
  if (job.state == LUA_NOREF) {
    job.state = keep(state);
  } else {
    lua_rawseti(state, LUA_REGISTRYINDEX, job.state);
  }
  return 0;
}

int run_terminate(lua_State* state) {
  lua_job& job = job_of(state);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  lua_pushlstring(state, job.text.data(), job.text.size());
  lua_call(state, 2, 0);
  return 0;
}

/// code_change(old version, state) [-> new state]
int run_code_change(lua_State* state) {
  lua_job& job = job_of(state);
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.function);
  lua_pushinteger(state, static_cast<lua_Integer>(job.old_version));
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  lua_call(state, 2, 1);
  if (!lua_isnil(state, 1)) {
    lua_pushvalue(state, 1);
    lua_rawseti(state, LUA_REGISTRYINDEX, job.state);
  }
  lua_rawgeti(state, LUA_REGISTRYINDEX, job.state);
  static_cast<void>(measure_state(state, job, -1));
  return 0;
}

int run_with_argument(lua_State* state) {
  lua_job& job = job_of(state);
  if (job.arrived != nullptr) {
    push_told(state, *job.arrived);
  } else {
    job.takes_argument = true;
    push_argument(state, job);
    if (host_of(state).meter.hit() != lua_meter::limit::none) {  // else the script's first instruction would be blamed
      lua_pushnil(state);
      lua_error(state);
    }
    job.takes_argument = false;
  }
  lua_callk(state, 2, LUA_MULTRET, 0, pass_results);
  return pass_results(state, LUA_OK, 0);
}

}  // namespace orrery::process
