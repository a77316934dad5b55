// Whatever a caller sends, a script can hold, walk, print and send on. Input: the argument, as a peer would send it.
#include "mesh/base/bytes.hpp"
#include "mesh/process/fuzzing.hpp"

namespace {

constexpr const char* script = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init(key) return {kept = {}} end
function c.call.echo(state, argument) return argument end
function c.call.keep(state, argument) state.kept = argument return state.kept end
function c.call.replace(state, argument) return nil, argument end
function c.call.get(state) return state end
local function walk(at, depth)
  if type(at) ~= "table" then return string.format("%s:%s", type(at), tostring(at)) end
  local parts = {}
  for key, each in pairs(at) do parts[#parts + 1] = tostring(key) .. "=" .. walk(each, depth + 1) end
  table.sort(parts)
  return depth .. "{" .. table.concat(parts, ",") .. "}"
end
function c.call.walk(state, argument) return walk(argument, 0) end
function c.call.send(state, argument)
  orrery.cast("script/b", "hear", argument)
  orrery.send_after(1, "hear", argument)
end
function c.cast.hear(state, argument) state.heard = argument end
function c.info.hear(state, argument) state.heard = argument end
return c
)";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  const auto argument = value::from_cbor(byte_view(data, size));
  if (!argument) return 0;
  process::fuzzing::world world;
  ORRERY_ASSERT(world.define("script", process::lua_source{script}));
  // What comes back is in the form that scripts give data, and no longer changes.
  const auto said = world.call("script/a", "echo", *argument);
  if (const auto once = world.last_value()) {
    ORRERY_ASSERT(value::from_cbor(once->cbor()));
    ORRERY_ASSERT(world.call("script/a", "echo", *once) == said);
    ORRERY_ASSERT(*world.last_value() == *once);
  }
  for (const char* method : {"keep", "get", "walk", "send", "replace", "get", "walk"})
    world.call("script/a", method, *argument);
  return 0;
}
