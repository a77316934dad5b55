#include "mesh/process/runtime.hpp"

#include "mesh/process/runtime_impl.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {

runtime::impl::impl(options chosen)
    : settings(std::move(chosen)),
      core({.processes_max = settings.processes_max + supervisors_max,
            .answer_bytes_max = settings.queued_bytes_max / 4 * 5},
           *this) {
  if (!settings.make) {
    settings.make = [clock = settings.processor_time](const class_spec& spec) {
      return process::make_type(spec, clock);
    };
  }
  stand_ins_.number(core.add_stand_ins());
  lives_ = {{settings.node, true, 0}, {}};
  joined_word_ = *core.atoms().intern(group_joined_word);
  left_word_ = *core.atoms().intern(group_left_word);
  key_lost_word_ = *core.atoms().intern(key_lost_word);
  start_word_ = *core.atoms().intern(start_method);
}
runtime::impl::~impl() = default;

supervised_class* runtime::impl::find_class(const class_name& name) {
  if (last_class != nullptr && last_class->spec.name == name) return last_class;
  const auto found = classes.find(name);
  if (found == classes.end()) return nullptr;
  last_class = found->second.get();
  return last_class;
}

std::uint32_t runtime::impl::find(const supervised_class& klass, std::string_view key) const {
  const auto slot = find_any(klass, key);
  return slot == kernel::no_slot || names[slot].down ? kernel::no_slot : slot;
}

std::uint32_t runtime::impl::find_any(const supervised_class& klass, std::string_view key) const {
  return klass.by_key.find(key, [this](std::uint32_t slot) -> std::string_view { return names[slot].key; });
}

std::uint32_t runtime::impl::find(const process_name& name) {
  const auto* klass = find_class(name.klass);
  return klass == nullptr ? kernel::no_slot : find(*klass, name.key.value);
}

error runtime::impl::no_class(const class_name& name) const {
  std::string known;
  for (const auto& [each, unused] : classes)
    known += (known.empty() ? "" : ", ") + each.value;
  return {errc::not_found, "no class '" + name.value + "'; known classes: " + (known.empty() ? "none" : known)};
}

result<runtime::impl::route> runtime::impl::receiver(const process_name& name, message_kind kind,
                                                     std::string_view method) {
  supervised_class* klass = find_class(name.klass);
  if (klass == nullptr) return fail(no_class(name.klass));
  if (auto why = klass->type->of->refusal(now)) return fail(std::move(*why));
  const bool starts = kind == message_kind::call && method == start_method;
  if (!starts && !klass->type->of->answers(kind, method)) {
    const auto known = klass->type->of->methods(kind);
    return fail(errc::not_found,
                "class '" + name.klass.value + "' has no method '" + std::string{method.substr(0, 80)} + "' for a " +
                    (kind == message_kind::call ? "call" : "cast") + "; it has: " + (known.empty() ? "none" : known));
  }
  // Only methods that a class has become words, so their number is bounded by what operators deploy.
  const auto word = core.atoms().intern(method);
  if (!word) return fail(errc::overloaded, "this node has met as many method names as it may");
  const auto to = receiving(*klass, name);
  if (!to) return fail(to.error());
  // One process that is stuck must not keep the others from their work: an empty mailbox has a quarter more.
  const bool idle = core.load_of(*to).waiting == 0;
  const auto bytes_max = settings.queued_bytes_max + (idle ? settings.queued_bytes_max / 4 : 0);
  if (core.queued_bytes() >= bytes_max) {
    return fail(errc::overloaded, "what waits in this node's mailboxes holds " + std::to_string(core.queued_bytes()) +
                                      " bytes, as much as it may; retry later");
  }
  // Of a call the kernel says so itself, or makes room, or lets it wait.
  const auto most = klass->spec.limits.mailbox_max;
  if (kind == message_kind::cast && klass->spec.limits.mailbox_policy != kernel::overflow::drop_oldest &&
      core.load_of(*to).waiting >= most) {
    ++klass->mailboxes.refused;
    return fail(errc::overloaded, "the mailbox of " + to_string(name) + " is full (" + std::to_string(most) +
                                      " messages wait); retry later");
  }
  return route{*to, *word, klass->type->of->takes_traces()};
}

result<kernel::handle> runtime::impl::receiving(supervised_class& klass, const process_name& name) {
  if (auto no = refusal_of(name)) return fail(std::move(*no));
  const auto slot = find_any(klass, name.key.value);
  if (slot == kernel::no_slot) return start(klass, name.key, arrival::called);
  if (names[slot].down) return start_down(slot);
  if (!core.alive(names[slot].who)) return fail(errc::unavailable, to_string(name) + " is about to start again; retry");
  return names[slot].who;
}

// ---- the public face ----

runtime::runtime(options chosen) : impl_(std::make_unique<impl>(std::move(chosen))) {}
runtime::~runtime() = default;
runtime::runtime(runtime&&) noexcept = default;
runtime& runtime::operator=(runtime&&) noexcept = default;

std::vector<class_spec> runtime::classes() const {
  std::vector<class_spec> specs;
  specs.reserve(impl_->classes.size());
  for (const auto& [name, klass] : impl_->classes)
    specs.push_back(klass->spec);
  return specs;
}

const class_spec* runtime::find_class(const class_name& name) const {
  const auto* klass = impl_->find_class(name);
  return klass == nullptr ? nullptr : &klass->spec;
}

error runtime::no_class(const class_name& name) const { return impl_->no_class(name); }

void runtime::set_wall_offset(duration offset) noexcept { impl_->wall_offset = offset; }

kernel::reference runtime::call(time_point now, call_request request, effects& out) {
  const impl::sink into(*impl_, now, out);
  if (request.deadline <= now) {
    out.emplace_back(replied{
        request.token, fail(errc::deadline_exceeded,
                            "the deadline of the call to " + to_string(request.name) + " had passed when it arrived")});
    return kernel::no_reference;
  }
  const auto to = impl_->receiver(request.name, message_kind::call, request.method);
  if (!to) {
    out.emplace_back(replied{request.token, fail(to.error())});
    return kernel::no_reference;
  }
  return impl_->core.call(now, to->to, to->word, to->argument(std::move(request.argument)), request.deadline,
                          kernel::call_token{request.token.value});
}

bool runtime::cancel(kernel::reference asked, reply_token token) {
  return impl_->core.cancel(asked, kernel::call_token{token.value});
}

result<void> runtime::cast(time_point now, const process_name& name, std::string method, value argument, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto to = impl_->receiver(name, message_kind::cast, method);
  if (!to) {
    ++impl_->counted.casts_dropped;
    return fail(to.error());
  }
  impl_->core.cast(now, to->to, to->word, to->argument(std::move(argument)));
  return {};
}

void runtime::inform(time_point now, const process_name& name, std::string_view word, value payload, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto slot = impl_->find(name);
  const auto known = slot == kernel::no_slot ? std::nullopt : impl_->word_from_elsewhere(word);
  if (!known || !impl_->names[slot].live) return static_cast<void>(++impl_->counted.casts_dropped);
  impl_->core.send(now, impl_->names[slot].who, *known, std::move(payload));
}

bool runtime::run(time_point now, std::uint32_t budget, effects& out) {
  const impl::sink into(*impl_, now, out);
  while (const auto due = impl_->given_up.take_due(now))
    impl_->released(*due, "its time is over");
  impl_->watch_apps();
  impl_->end_slow_clients();
  impl_->end_pauses(now);
  static_cast<void>(impl_->core.run(now, budget));
  impl_->tell_what_waits();
  return !impl_->core.idle();
}

std::uint64_t runtime::spent() const noexcept { return impl_->core.spent(); }

time_point runtime::next_deadline() const {
  const auto pause = impl_->paused.empty() ? never : impl_->paused.front().until;
  return std::min({impl_->core.next_deadline(), impl_->apps.next_deadline(), pause, impl_->given_up.next(),
                   impl_->flow.next_look()});
}

std::optional<process_info> runtime::find(const process_name& name) const {
  const auto slot = impl_->find(name);
  return slot == kernel::no_slot ? std::nullopt : std::optional{impl_->describe_name(slot)};
}

std::vector<process_info> runtime::list(const std::optional<class_name>& only, const std::optional<process_name>& after,
                                        std::size_t limit) const {
  std::vector<process_info> found;
  std::vector<std::uint32_t> candidates;
  for (const auto& [name, klass] : impl_->classes) {
    if (found.size() == limit) break;
    if ((only && *only != name) || (after && name < after->klass)) continue;
    candidates.clear();
    for (const auto first : {klass->children.first(), klass->spawned.first()}) {
      for (auto at = first; at != kernel::no_slot; at = impl_->names[at].among_children.next) {
        if (impl_->names[at].down) continue;
        if (!after || name != after->klass || after->key.value < impl_->names[at].key) candidates.push_back(at);
      }
    }
    const auto wanted = std::min(limit - found.size(), candidates.size());
    const auto end_of_wanted = candidates.begin() + static_cast<std::ptrdiff_t>(wanted);
    std::partial_sort(candidates.begin(), end_of_wanted, candidates.end(),
                      [&](std::uint32_t a, std::uint32_t b) { return impl_->names[a].key < impl_->names[b].key; });
    for (auto at = candidates.begin(); at != end_of_wanted; ++at)
      found.push_back(impl_->describe_name(*at));
  }
  return found;
}

runtime::names_slice runtime::names_from(std::uint32_t place, std::uint32_t places_max) const {
  const auto& table = impl_->names;
  names_slice out;
  const auto end = place < table.end() ? place + std::min(places_max, table.end() - place) : place;
  for (; place < end; ++place) {
    const bool is_name = table.taken(place) && table[place].klass != nullptr && !table[place].down;
    if (is_name && table[place].role == named::role::supervised) out.names.push_back(impl_->name_of(table[place]));
  }
  if (place < table.end()) out.next = place;
  return out;
}

std::size_t runtime::count() const noexcept { return impl_->names.size() - impl_->names_down; }

std::vector<supervisor_info> runtime::supervisors() const {
  std::vector<supervisor_info> all;
  all.reserve(impl_->classes.size());
  for (const auto& [name, klass] : impl_->classes) {
    supervisor_info info{.klass = name,
                         .class_version = klass->spec.version,
                         .supervision = klass->spec.supervision,
                         .children = klass->processes(),
                         .restarts = klass->restarts,
                         .gave_up = klass->gave_up_times,
                         .budget_left = klass->spec.supervision.intensity};
    if (impl_->core.alive(klass->supervised_by)) {
      const auto* body = static_cast<const supervisor*>(impl_->core.body_of(klass->supervised_by));
      info.budget_left = body->budget_left(impl_->now);
    }
    info.path = impl_->path_of(klass.get());
    info.finished = klass->has_finished;
    info.children_given_up = klass->children_given_up;
    info.given_up_now = impl_->given_up.count(name);
    for (const auto& [which, what] : impl_->given_up.of(name, supervisor_info::given_up_shown))
      info.given_up.push_back({which, what.why, what.until});
    for (const auto& child : klass->declared)
      info.declared.push_back(impl_->describe_declared(*klass, child));
    info.processes_max = klass->spec.limits.processes_max;
    info.mailboxes = klass->mailboxes;
    all.push_back(std::move(info));
  }
  return all;
}

counters runtime::counted() const noexcept {
  auto all = impl_->counted;
  all.casts_dropped += impl_->core.counted().dropped;
  all.calls_expired = impl_->core.counted().expired;
  const auto& by_apps = impl_->apps.counted();
  all.app_works = by_apps.handed_out;
  all.app_crashes = by_apps.crashed;
  all.app_losses = by_apps.lost;
  all.app_overdue = by_apps.overdue;
  return all;
}

}  // namespace orrery::process
