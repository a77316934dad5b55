// The mesh's classes, as its configuration has them now.
#include "mesh/node/impl.hpp"

#include <map>

namespace orrery::node {

namespace {

using classes_by_name = std::map<class_name, const process::class_spec*>;

/// Each after its parent, where that is among them.
std::vector<const process::class_spec*> parents_first(classes_by_name waiting) {
  const auto count = waiting.size();
  std::vector<const process::class_spec*> order;
  while (!waiting.empty()) {
    auto next = waiting.begin();
    // Up to one whose parent does not wait; in a circle, any: it is refused.
    for (std::size_t steps = 0; steps < count; ++steps) {
      const auto& parent = next->second->supervision.parent;
      const auto above = parent ? waiting.find(*parent) : waiting.end();
      if (above == waiting.end()) break;
      next = above;
    }
    order.push_back(next->second);
    waiting.erase(next);
  }
  return order;
}

/// "a -> b -> a", or nothing.
std::string circle_from(const process::class_spec& spec, const classes_by_name& classes) {
  std::string way = spec.name.value;
  auto above = spec.supervision.parent;
  for (std::size_t steps = 0; above && steps < classes.size(); ++steps) {
    way += " -> " + above->value;
    if (*above == spec.name) return way;
    const auto found = classes.find(*above);
    if (found == classes.end()) break;
    above = found->second->supervision.parent;
  }
  return {};
}

}  // namespace

void core::impl::define_classes(const std::vector<process::class_spec>& classes) {
  classes_by_name named;
  for (const auto& spec : classes)
    named.emplace(spec.name, &spec);
  for (const auto* spec : parents_first(named)) {
    const auto circle = circle_from(*spec, named);
    define_class(*spec, circle.empty() ? "" : "supervision.parent: goes in a circle: " + circle);
  }
  for (auto each = classes_.begin(); each != classes_.end();) {
    if (named.contains(each->first)) {
      ++each;
      continue;
    }
    runtime_.undefine(now_, each->first, ran_);
    each = classes_.erase(each);
  }
  if (!runtime_.arrange(now_, ran_)) declared_at_ = now_ + declared_retry;
  rescan_at_ = now_;  // peers may have refused processes of classes that they did not know yet
  declared_stale_ = true;
}

/// `fault`: what is wrong with it beside what the runtime will find.
void core::impl::define_class(const process::class_spec& spec, const std::string& fault) {
  const auto known = classes_.find(spec.name);
  if (known != classes_.end() && known->second.spec == spec && known->second.refused.empty()) return;
  const auto defined = fault.empty()
                           ? runtime_.define(spec)
                           : result<void>{fail(errc::invalid_argument, "class '" + spec.name.value + "': " + fault)};
  declared_class& declared = classes_[spec.name];
  if (declared.spec == spec && !defined && declared.refused == defined.error().context) return;  // it is told already
  declared.spec = spec;
  declared.refused = defined ? "" : defined.error().context;
  if (defined) {
    emit("class_updated", {{"class", spec.name.value}, {"version", spec.version}});
  } else {
    emit("class_refused", {{"class", spec.name.value}, {"version", spec.version}, {"reason", declared.refused}});
  }
}

duration core::impl::call_timeout(const class_name& klass) const {
  const auto* spec = runtime_.find_class(klass);
  return spec == nullptr ? call_timeout_default : spec->call_timeout;
}

}  // namespace orrery::node
