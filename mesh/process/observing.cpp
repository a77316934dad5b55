// Traces of single processes, and the census of all.
#include "mesh/process/runtime_impl.hpp"
#include "mesh/wire/excerpt.hpp"

#include <utility>

namespace orrery::process {

// ---- traces ----

void runtime::impl::trace_message(hosted& receiver, kernel::context& self, kernel::message& arrived) {
  using kind = kernel::message::kind;
  trace_entry entry{.at = now,
                    .id = {settings.node, self.self().slot, self.self().generation},
                    .kind = std::string{process::to_string(arrived.what)},
                    .argument = excerpt(arrived.payload, trace_value_bytes_max),
                    .argument_bytes = arrived.payload.cbor().size(),
                    .waited = now - arrived.arrived,
                    .reductions = core.load_of(self.self()).work};
  if (arrived.what <= kind::call || arrived.what == kind::timer) entry.method = core.atoms().text(arrived.word);
  if (arrived.from != kernel::nobody && arrived.from.node != kernel::handle::outside) {
    entry.from = name_or_pid(arrived.from);
  }
  const auto name = receiver.name();
  const auto began = settings.stopwatch == nullptr ? duration{} : settings.stopwatch();
  traces.open = &entry;
  receiver.handle(self, arrived);
  traces.open = nullptr;
  if (settings.stopwatch != nullptr) entry.took = settings.stopwatch() - began;
  entry.reductions = core.load_of(self.self()).work - entry.reductions;
  traces.record(name, entry);
}

void runtime::impl::trace_life(process_event::kind what, std::uint32_t name, const exit_reason& reason) {
  using kind = process_event::kind;
  const named& of = names[name];
  const char* told = nullptr;
  if (what == kind::started) told = "started";
  if (what == kind::exited) told = "exited";
  if (what == kind::restarted) told = "restarted";
  if (what == kind::moved_in) told = "moved_in";
  if (what == kind::moved_out) told = "moved_out";
  if (told == nullptr) return;
  traces.appeared(name_of(of), name);
  if (!traces.watches(name)) return;
  traces.record(name, {.at = now,
                       .id = {settings.node, of.who.slot, of.who.generation},
                       .kind = told,
                       .answer = what == kind::started || what == kind::moved_in ? "" : process::to_string(reason)});
}

result<void> runtime::begin_trace(trace_id id, const process_name& name, std::size_t limit) {
  if (impl_->find_class(name.klass) == nullptr) return fail(no_class(name.klass));
  return impl_->traces.begin(id, name, impl_->find(name), limit);
}

std::optional<std::uint64_t> runtime::end_trace(trace_id id) { return impl_->traces.end(id); }
std::vector<traced> runtime::take_traced() { return impl_->traces.take(); }
std::size_t runtime::traces() const noexcept { return impl_->traces.count(); }

// ---- the census ----

seen_process runtime::impl::look_at(std::uint32_t name) const {
  const named& of = names[name];
  const auto load = core.load_of(of.who);
  return {.slot = name,
          .who = of.who,
          .started_at = of.started_at,
          .waiting = load.waiting,
          .oldest = load.oldest,
          .memory_bytes = memory_of(of, load),
          .handled = load.handled,
          .reductions = load.work};
}

void runtime::impl::take_census_of(std::uint32_t name) {
  const auto what = look_at(name);
  counting.see(now, what);
  auto& load = names[name].klass->counting;
  ++load.processes;
  load.suspended += core.load_of(what.who).suspended ? 1U : 0U;
  load.waiting += what.waiting;
  load.waiting_max = std::max(load.waiting_max, what.waiting);
  load.waiting_bytes += core.load_of(what.who).queued_bytes;
  load.memory_bytes += what.memory_bytes;
  if (what.oldest) load.oldest = std::min(load.oldest.value_or(never), *what.oldest);
}

void runtime::begin_census(time_point now) {
  ORRERY_ASSERT(!impl_->census_at);
  impl_->now = now;
  impl_->census_at = 0;
  impl_->counting.begin(now);
  for (auto& [name, klass] : impl_->classes)
    klass->counting = {};
}

bool runtime::continue_census(time_point now, std::uint32_t places_max) {
  ORRERY_ASSERT(impl_->census_at);
  impl_->now = now;
  const auto& names = impl_->names;
  auto& at = *impl_->census_at;
  const auto end = at < names.end() ? at + std::min(places_max, names.end() - at) : at;
  for (; at < end; ++at) {
    if (names.taken(at) && names[at].klass != nullptr && !names[at].down) impl_->take_census_of(at);
  }
  if (at < names.end()) return true;
  impl_->census_at.reset();
  impl_->counting.end(now);
  for (auto& [name, klass] : impl_->classes)
    klass->load = klass->counting;
  return false;
}

void runtime::forget_baseline() { impl_->counting.forget_baseline(); }
const census& runtime::seen() const noexcept { return impl_->counting; }

std::vector<std::pair<class_name, class_load>> runtime::class_loads() const {
  std::vector<std::pair<class_name, class_load>> all;
  for (const auto& [name, klass] : impl_->classes)
    all.emplace_back(name, klass->load);
  return all;
}

std::vector<runtime::great> runtime::top(measure by, std::size_t limit) const {
  std::vector<great> all;
  for (const auto& each : impl_->counting.greatest(by)) {
    if (all.size() == limit) break;
    const auto& names = impl_->names;
    const bool runs = names.taken(each.slot) && names[each.slot].klass != nullptr && names[each.slot].who == each.who;
    if (runs) all.push_back({impl_->describe_name(each.slot), each.per_second});
  }
  return all;
}

std::size_t runtime::run_queue() const noexcept { return impl_->core.runnable(); }
std::size_t runtime::queued_bytes() const noexcept { return impl_->core.queued_bytes(); }

}  // namespace orrery::process
