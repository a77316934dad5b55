// A script's versions: loaded, adopted by each process at its next message, let go.
#include "mesh/base/hash.hpp"
#include "mesh/process/lua/engine.hpp"
#include "mesh/process/lua/host.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

using ending = lua_job::ending;

constexpr std::uint64_t load_memory = 32U << 20U;  ///< a compiled script is there once per class

}  // namespace

result<void> lua_engine::replace(const lua_source& source, const limits_spec& limits, std::uint64_t version) {
  if (auto loaded = load(source, limits, version); !loaded) return loaded;
  drop_old_versions();
  return {};
}

result<void> lua_engine::load(const lua_source& source, const limits_spec& limits, std::uint64_t version) {
  if (source.script.size() > script_bytes_max) {
    return fail(errc::too_large, "the script has " + std::to_string(source.script.size()) + " bytes; at most " +
                                     std::to_string(script_bytes_max) + " are accepted");
  }
  auto functions = std::make_unique<lua_functions>();
  functions->version = version;
  functions->code = stable_hash(source.script) | 1U;
  lua_job job;
  job.kind = "load";
  job.script = source.script;
  job.loaded = functions.get();
  job.allowed = {UINT64_MAX, load_memory};
  job.allowed_at_top_level = {limits.instructions_max, limits.memory_bytes_max};
  enter(run_load, job, 0);
  if (job.ended != ending::fine) {
    release(*functions);
    return fail(job.ended == ending::limit ? errc::limit_exceeded : errc::invalid_argument,
                with_line(job.ended == ending::failed ? job.refusal.context : job.detail, job.line));
  }
  functions->serial = ++loads_;
  versions_.push_back(std::move(functions));
  limits_ = limits;
  return {};
}

void lua_engine::adopt(lua_process& of, lua_functions* functions) noexcept {
  if (of.functions != nullptr) --of.functions->users;
  of.functions = functions;
  if (functions != nullptr) ++functions->users;
}

void lua_engine::drop_old_versions() {
  std::erase_if(versions_, [&](const auto& each) {
    const bool unused = each->users == 0 && each != versions_.back();
    if (unused) release(*each);
    return unused;
  });
  for (std::size_t old = 0; old + script_versions_max < versions_.size(); ++old)
    release(*versions_[old]);
}

void lua_engine::release(lua_functions& functions) noexcept {
  if (std::exchange(functions.released, true)) return;
  const auto drop = [&](int reference) { luaL_unref(host_->state, LUA_REGISTRYINDEX, reference); };
  drop(functions.init);
  drop(functions.terminate);
  drop(functions.code_change);
  for (const auto& kind : functions.named) {
    for (const auto& [name, reference] : kind)
      drop(reference);
  }
}

std::optional<exit_reason> lua_engine::migrate(lua_process& of, const scope& where) {
  lua_functions& latest = this->latest();
  const auto old_version = of.version;
  if (of.functions == &latest && old_version >= latest.version) return {};
  const bool has_old = of.functions != &latest && !of.functions->released;
  if (has_old && of.ties != nullptr && of.ties->refused == latest.serial) return {};
  // Of the same script when the class changed otherwise, in its limits, say: its state is as it should be.
  const bool same_code = of.functions != &latest && of.functions->code == latest.code;
  if (old_version >= latest.version || same_code || latest.code_change == LUA_NOREF) {
    adopt(of, &latest);
    of.version = std::max(old_version, latest.version);
    return {};
  }
  auto before = snapshot(of);
  auto job = job_for(of, &where);
  job.kind = "code_change";
  job.functions = &latest;
  job.function = latest.code_change;
  job.old_version = old_version;
  if (!before) {
    job.ended = ending::error;
    job.detail = before.error().context;
  } else {
    enter(run_code_change, job, of.largest_string);
  }
  if (job.ended == ending::fine) {
    keep_account(of, job);
    adopt(of, &latest);
    of.version = latest.version;
    grant(of, job);
    return {};
  }
  if (job.ended == ending::over) return exit_reason{exit_reason::kind::killed, {}};
  auto why = reason_of(job);
  why.detail = "code_change from version " + std::to_string(old_version) + ": " + why.detail;
  const bool stays = before && has_old && take_back(of, *before);
  report(job, to_string(why) + (stays ? "; the process goes on with version " + std::to_string(old_version) : ""));
  if (!stays) return why;
  of.tied().refused = latest.serial;
  return {};
}

/// What code_change may have made of the state is undone.
bool lua_engine::take_back(lua_process& of, const value& state) {
  auto job = job_for(of, nullptr);
  job.argument = &state;
  job.allowed.memory_bytes = load_memory;
  enter(run_restore, job, 0);
  if (job.ended != ending::fine) return false;
  keep_account(of, job);
  return true;
}

}  // namespace orrery::process
