// The mesh's classes, as its configuration has them now.
#include "mesh/node/impl.hpp"

#include <set>

namespace orrery::node {

void core::impl::define_classes(const std::vector<process::class_spec>& classes) {
  std::set<class_name> named;
  for (const auto& spec : classes) {
    named.insert(spec.name);
    const auto known = classes_.find(spec.name);
    if (known != classes_.end() && known->second.spec == spec) continue;
    const auto defined = runtime_.define(spec);
    declared_class& declared = classes_[spec.name];
    declared.spec = spec;
    declared.refused = defined ? "" : defined.error().context;
    if (defined) {
      emit("class_updated", {{"class", spec.name.value}, {"version", spec.version}});
    } else {
      emit("class_refused", {{"class", spec.name.value}, {"version", spec.version}, {"reason", declared.refused}});
    }
  }
  for (auto each = classes_.begin(); each != classes_.end();) {
    if (named.contains(each->first)) {
      ++each;
      continue;
    }
    runtime_.undefine(now_, each->first, ran_);
    each = classes_.erase(each);
  }
  rescan_at_ = now_;  // peers may have refused processes of classes that they did not know yet
}

duration core::impl::call_timeout(const class_name& klass) const {
  const auto* spec = runtime_.find_class(klass);
  return spec == nullptr ? call_timeout_default : spec->call_timeout;
}

}  // namespace orrery::node
