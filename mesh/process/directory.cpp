// Pids and names of this node, as processes see them.
#include "mesh/process/directory.hpp"

#include "mesh/process/runtime_impl.hpp"

namespace orrery::process {

result<kernel::handle> runtime::impl::find(std::string_view target) {
  if (target.find('/') == std::string_view::npos) {
    const auto id = parse_pid(target);
    if (!id) return fail(id.error());
    if (id->node == settings.node) return kernel::handle{kernel::handle::here, id->slot, id->generation};
    return fail(errc::not_found, "no node " + to_string(id->node) + " is known here");
  }
  const auto name = parse_process_name(target);
  if (!name) return fail(name.error());
  if (find_class(name->klass) == nullptr) return fail(no_class(name->klass));
  const auto slot = find(*name);
  if (slot == kernel::no_slot) return fail(errc::not_found, "no process " + to_string(*name) + " runs here");
  return names[slot].who;
}

std::string runtime::impl::text_of(kernel::handle who) const {
  return to_string(pid{settings.node, who.slot, who.generation});
}

}  // namespace orrery::process
