#include "mesh/process/behaviour.hpp"
#include "mesh/process/lua/engine.hpp"

namespace orrery::process {

result<std::unique_ptr<behaviour_type>> make_type(const class_spec& spec, duration (*processor_time)()) {
  if (const auto* kind = std::get_if<builtin_kind>(&spec.behaviour)) return make_builtin_type(*kind, spec);
  return make_lua_type(spec, processor_time);
}

}  // namespace orrery::process
