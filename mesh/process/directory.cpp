// Pids and names, as processes see them.
#include "mesh/process/directory.hpp"

#include "mesh/process/runtime_impl.hpp"

namespace orrery::process {

result<kernel::handle> runtime::impl::find(std::string_view target) {
  if (target.find('/') == std::string_view::npos) {
    const auto id = parse_pid(target);
    if (!id) return fail(id.error());
    if (const auto who = handle_of(*id)) return *who;
    return fail(errc::not_found, "no node " + to_string(id->node) + " is known here");
  }
  const auto name = parse_process_name(target);
  if (!name) return fail(name.error());
  if (find_class(name->klass) == nullptr) return fail(no_class(name->klass));
  const auto slot = find(*name);
  if (slot != kernel::no_slot && core.alive(names[slot].who)) return names[slot].who;
  if (const auto stand_in = stand_ins_.of(*name)) return *stand_in;
  return fail(errc::overloaded, "processes of this node wait for as many names as they may; retry later");
}

std::string runtime::impl::text_of(kernel::handle who) const {
  if (who == kernel::nobody || who.node >= lives_.size()) return "nobody";
  if (who.node != stand_ins_.node()) return to_string(pid_of(who));
  const auto* named_so = stand_ins_.find(who);
  return named_so == nullptr ? "nobody" : to_string(named_so->name);
}

}  // namespace orrery::process
