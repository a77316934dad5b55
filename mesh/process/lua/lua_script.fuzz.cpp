// A script from a user, whatever it is, ends within its limits, hurts nobody whom it does not call, and does the same
// every time. Input: Lua, taken for a whole script, and for the body of a method.
#include "mesh/base/bytes.hpp"
#include "mesh/process/fuzzing.hpp"

namespace orrery::process {
namespace {

const value argument = value::from_json(R"({"list": [1, 2.5, "three", null], "text": "a b c", "flag": true})").value();

std::string run(const std::string& script) {
  fuzzing::world world;
  ORRERY_ASSERT(world.define("sibling", builtin_kind::counter));
  const auto defined = world.define("script", lua_source{script});
  ORRERY_ASSERT(world.call("sibling/a", "add", value::from_json("1").value()) == "1");
  if (!defined) return to_string(defined.error());
  world.call("script/a", "m", argument);
  world.call("script/a", "get", value{});
  const auto count = world.call("sibling/a", "get", value{});
  ORRERY_ASSERT(count == "1" || script.find("sibling") != std::string::npos);
  return world.account();
}

void check(const std::string& script) { ORRERY_ASSERT(run(script) == run(script)); }

}  // namespace
}  // namespace orrery::process

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{orrery::as_text(orrery::byte_view(data, size))};
  orrery::process::check(text);
  orrery::process::check(
      "local function note(state, what) state.seen = what end "
      "return {call = {m = function(state, argument) " +
      text +
      "\nend, get = function(state) return state end}, info = {tick = note, down = note, exit = note, "
      "reply = note, timeout = note, continue = note}}");
  return 0;
}
