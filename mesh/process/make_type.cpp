#include "mesh/process/behaviour.hpp"
#include "mesh/process/counter.hpp"
#include "mesh/process/kv.hpp"
#include "mesh/process/lua_engine.hpp"

namespace orrery::process {

result<std::unique_ptr<behaviour_type>> make_type(const class_spec& spec) {
  if (const auto* kind = std::get_if<builtin_kind>(&spec.behaviour)) {
    switch (*kind) {
      case builtin_kind::counter:
        return make_counter_type();
      case builtin_kind::kv:
        return make_kv_type(spec.limits.state_bytes_max);
    }
  }
  return make_lua_type(spec);
}

}  // namespace orrery::process
