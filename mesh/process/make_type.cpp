#include "mesh/process/behaviour.hpp"
#include "mesh/process/counter.hpp"

namespace orrery::process {

result<std::unique_ptr<behaviour_type>> make_type(const class_spec& spec) {
  if (const auto* kind = std::get_if<builtin_kind>(&spec.behaviour)) {
    switch (*kind) {
      case builtin_kind::counter:
        return make_counter_type();
      case builtin_kind::kv:
        return fail(errc::internal, "the behaviour kv is not built yet");
    }
  }
  return fail(errc::internal, "Lua behaviours are not built yet");
}

}  // namespace orrery::process
