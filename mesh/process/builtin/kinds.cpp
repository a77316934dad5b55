#include "mesh/process/builtin/kinds.hpp"

#include "mesh/process/builtin/counter.hpp"
#include "mesh/process/builtin/kv.hpp"
#include "mesh/process/builtin/limiter.hpp"
#include "mesh/process/builtin/lock.hpp"
#include "mesh/process/builtin/log.hpp"
#include "mesh/process/builtin/queue.hpp"
#include "mesh/process/builtin/timer.hpp"

namespace orrery::process {

result<std::unique_ptr<behaviour_type>> make_builtin_type(builtin_kind kind, const class_spec& spec) {
  switch (kind) {
    case builtin_kind::counter:
      if (const auto none = read_no_options(spec.options); !none) return fail(none.error());
      return make_counter_type();
    case builtin_kind::kv:
      return builtin_type<kv>::create(spec);
    case builtin_kind::queue:
      return builtin_type<queue>::create(spec);
    case builtin_kind::lock:
      return builtin_type<lock>::create(spec);
    case builtin_kind::semaphore:
      return builtin_type<semaphore>::create(spec);
    case builtin_kind::limiter:
      return builtin_type<limiter>::create(spec);
    case builtin_kind::timer:
      return builtin_type<timer>::create(spec);
    case builtin_kind::log:
      return builtin_type<log>::create(spec);
  }
  return fail(errc::internal, "no such built-in behaviour");
}

result<void> check_options(builtin_kind kind, const value& options) {
  class_spec spec;
  spec.options = options;
  const auto made = make_builtin_type(kind, spec);
  if (!made) return fail(made.error());
  return {};
}

}  // namespace orrery::process
