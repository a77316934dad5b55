#include "mesh/process/lua/meter.hpp"

#include "mesh/process/lua/host.hpp"

#include <algorithm>
#include <cstdlib>

namespace orrery::process {

void* lua_meter::allocate(void* meter, void* block, std::size_t old_size, std::size_t new_size) {
  if (new_size == 0) {
    std::free(block);
    return nullptr;
  }
  auto& self = *static_cast<lua_meter*>(meter);
  const std::size_t had = block == nullptr ? 0 : old_size;
  if (block != nullptr && block == self.string_table_) {
    void* const moved = std::realloc(block, new_size);
    if (moved != nullptr) self.string_table_ = moved;
    return moved;
  }
  if (!self.created_ && self.string_table_ == nullptr && new_size == string_table_first_size) {
    return self.string_table_ = std::malloc(new_size);
  }
  if (block == nullptr && old_size == 0 && has_too_many_keys(new_size)) {
    if (!self.active_) return nullptr;
    self.trip(limit::keys);
    raise_limit(self.now_.state);
  }
  if (self.active_ && new_size > had) {
    // A little beyond the limit is granted, and the next instruction raises: refusing here would make Lua collect the
    // garbage of the whole class first. What is far beyond is refused.
    if (new_size - had > self.memory_left() + self.now_.allowed.memory_bytes + (1U << 20U)) {
      self.trip(limit::memory);
      return nullptr;
    }
    self.count(new_size - had, block == nullptr && old_size == LUA_TSTRING);
  }
  return std::realloc(block, new_size);
}

void lua_meter::count(std::size_t grown, bool is_string) noexcept {
  now_.allocated += grown;
  if (now_.allocated > now_.allowed.memory_bytes) trip(limit::memory);
  if (is_string) now_.largest_string = std::max(now_.largest_string, grown);
}

void lua_meter::allocated_elsewhere(std::size_t size) noexcept { count(size, false); }

void lua_meter::begin(lua_State* state, allowance allowed, std::size_t largest_string) noexcept {
  const auto interval = static_cast<int>(std::min<std::uint64_t>(interval_max, allowed.instructions));
  now_ = {.state = state, .allowed = allowed, .largest_string = largest_string, .interval = interval};
  created_ = true;
  active_ = true;
  lua_sethook(state, on_count, LUA_MASKCOUNT, interval);
}

bool lua_meter::spend(std::uint64_t instructions) noexcept {
  if (now_.hit != limit::none) return false;
  if (instructions > instructions_left()) {
    now_.spent = now_.allowed.instructions;
    trip(limit::instructions);
    return false;
  }
  now_.spent += instructions;
  return true;
}

void lua_meter::trip(limit which) noexcept {
  if (now_.hit != limit::none) return;
  now_.hit = which;
  lua_sethook(now_.state, on_count, LUA_MASKCOUNT, 1);
}

namespace {

/// Each use of `...` copies all of it in one instruction.
std::uint64_t weight_of_extra_arguments(lua_State* state, lua_Debug* at) {
  constexpr int unit = 512;
  std::uint64_t weight = 0;
  for (int count = 2 * unit; lua_getlocal(state, at, -count) != nullptr; count *= 2) {
    lua_pop(state, 1);
    weight = static_cast<std::uint64_t>(count / unit);
  }
  return weight;
}

}  // namespace

bool lua_meter::takes_too_long() noexcept {
  if (clock_ == nullptr || ++now_.looks % looks_per_reading != 0) return false;
  const auto read = clock_();
  if (now_.since != duration{}) now_.took += read - now_.since;
  now_.since = read;
  return now_.took > time_max;
}

void lua_meter::on_count(lua_State* state, lua_Debug* at) {
  lua_meter& self = host_of(state).meter;
  if (!self.active_) return;
  if (self.takes_too_long()) {
    self.trip(limit::time);
    raise_limit(state);
  }
  const std::uint64_t weight = 1 + self.now_.largest_string / string_unit + weight_of_extra_arguments(state, at);
  if (!self.spend(static_cast<std::uint64_t>(self.now_.interval) * weight)) raise_limit(state);
}

int raise_limit(lua_State* state) {
  note_place(state);
  lua_pushlightuserdata(state, &host_of(state).meter);
  return lua_error(state);
}

void charge(lua_State* state, std::uint64_t instructions) {
  if (!host_of(state).meter.spend(instructions)) raise_limit(state);
}

}  // namespace orrery::process
