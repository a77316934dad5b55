// What may be seen of one process, and done to it from outside: OTP's process_info and sys.
#include "mesh/process/runtime_impl.hpp"

#include <utility>

namespace orrery::process {
namespace {

/// What the tables hold of a process, on average: a cell of the kernel, of its supervisor and of the names, and its
/// body.
constexpr std::size_t tables_bytes = 400;
constexpr std::size_t message_bytes = sizeof(kernel::message) + 8;

}  // namespace

std::size_t runtime::impl::memory_of(const named& of, const kernel::process_load& load) const {
  const auto* body = core.body_of(of.who);
  return tables_bytes + of.key.size() + load.waiting * message_bytes + load.queued_bytes + load.timer_bytes +
         (body == nullptr ? 0 : static_cast<const hosted*>(body)->state_bytes());
}

process_info runtime::impl::describe_name(std::uint32_t name) const {
  const named& of = names[name];
  const auto load = core.load_of(of.who);
  const bool living_now = core.alive(of.who);
  return {.name = name_of(of),
          .id = {settings.node, of.who.slot, of.who.generation},
          .state = !living_now      ? process_state::restarting
                   : load.suspended ? process_state::suspended
                                    : process_state::running,
          .mailbox = load.waiting,
          .oldest = load.oldest,
          .mailbox_bytes = load.queued_bytes,
          .memory_bytes = memory_of(of, load),
          .timers = load.timers,
          .reductions = load.work,
          .restarts = of.restarts,
          .handled = load.handled,
          .class_version =
              living_now ? static_cast<const hosted*>(core.body_of(of.who))->version() : of.klass->spec.version,
          .started_at = of.note == kernel::no_slot ? now : of.started_at,  // one that never began has no age
          .last = of.last ? std::optional{*of.last} : std::nullopt,
          .supervisor = path_of(of.klass)};
}

result<std::uint32_t> runtime::impl::living(const process_name& name) {
  const auto slot = find(name);
  if (slot == kernel::no_slot) return fail(errc::not_found, "no process " + to_string(name) + " runs here");
  if (!core.alive(names[slot].who)) {
    return fail(errc::unavailable, to_string(name) + " is about to start again; retry");
  }
  return slot;
}

hosted& runtime::impl::body_of(std::uint32_t name) { return *static_cast<hosted*>(core.body_of(names[name].who)); }

std::string runtime::impl::version_of(std::uint32_t name) {
  const auto changes = core.load_of(names[name].who).handled + body_of(name).replaced();
  return text_of(names[name].who) + "/" + std::to_string(changes);
}

std::string runtime::impl::name_or_pid(kernel::handle who) const {
  if (who.node != kernel::handle::here) return text_of(who);
  if (who == root.who) return path_of(nullptr);
  for (const auto& [name, klass] : classes) {
    if (klass->supervised_by == who) return path_of(klass.get());
  }
  const auto tag = core.tag_of(who);
  const auto slot = static_cast<std::uint32_t>(tag.value_or(kernel::no_slot));
  const bool known = names.taken(slot) && names[slot].klass != nullptr && names[slot].who == who;
  return known ? to_string(name_of(names[slot])) : text_of(who);
}

process_ties runtime::ties_of(const process_name& name) const {
  process_ties told;
  const auto slot = impl_->find(name);
  if (slot == kernel::no_slot) return told;
  const auto all = impl_->core.ties_of(impl_->names[slot].who, process_ties::named_max);
  told.whole = all.whole;
  for (const auto& each : all.found) {
    auto& list = each.what == kernel::tie::kind::linked     ? told.links
                 : each.what == kernel::tie::kind::monitors ? told.monitors
                                                            : told.monitored_by;
    list.push_back(impl_->name_or_pid(each.with));
  }
  return told;
}

result<state_copy> runtime::read_state(const process_name& name) {
  const auto slot = impl_->living(name);
  if (!slot) return fail(slot.error());
  auto& body = impl_->body_of(*slot);
  auto state = body.snapshot();
  if (!state) return fail(errc::internal, "the state of " + to_string(name) + ": " + state.error().context);
  return state_copy{impl_->version_of(*slot), body.inner().unpacked(std::move(*state))};
}

result<std::string> runtime::replace_state(time_point now, const process_name& name, const value& state,
                                           const std::optional<std::string>& expected, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto slot = impl_->living(name);
  if (!slot) return fail(slot.error());
  if (const auto at = impl_->version_of(*slot); expected && *expected != at) {
    return fail(errc::conflict,
                "the state of " + to_string(name) + " is at version " + at + ", not " + *expected + ": read it again");
  }
  const auto most = impl_->names[*slot].klass->spec.limits.state_bytes_max;
  if (state.cbor().size() > most) {
    return fail(errc::too_large, "the state has " + std::to_string(state.cbor().size()) +
                                     " bytes; limits.stateBytes allows " + std::to_string(most));
  }
  result<void> done;
  impl_->core.enter(now, impl_->names[*slot].who, [&](kernel::body& what, kernel::context& self) {
    done = static_cast<hosted&>(what).replace_state(self, state);
  });
  if (!done) return fail(done.error().code, to_string(name) + " keeps its state: " + done.error().context);
  static_cast<void>(impl_->core.unpause(impl_->names[*slot].who));  // what it waited for, it asks for anew
  return impl_->version_of(*slot);
}

result<void> runtime::suspend(const process_name& name) {
  const auto slot = impl_->living(name);
  if (!slot) return fail(slot.error());
  impl_->end_pause(impl_->names[*slot].who);  // which would end this too
  static_cast<void>(impl_->core.suspend(impl_->names[*slot].who));
  return {};
}

result<void> runtime::resume(const process_name& name) {
  const auto slot = impl_->living(name);
  if (!slot) return fail(slot.error());
  static_cast<void>(impl_->core.resume(impl_->names[*slot].who));
  return {};
}

}  // namespace orrery::process
