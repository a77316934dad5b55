#include "mesh/process/runtime.hpp"

#include "mesh/base/overloaded.hpp"
#include "mesh/process/runtime_impl.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::uint64_t message_work = 4096;  ///< instructions in a message from which on it counts for more than one
constexpr std::uint32_t turn_max = 16;        ///< messages that one process handles before the next one's turn

}  // namespace

supervised_class* runtime::impl::find_class(const class_name& name) {
  const auto found = classes.find(name);
  return found == classes.end() ? nullptr : found->second.get();
}

std::uint32_t runtime::impl::find(const process_name& name) {
  const auto* klass = find_class(name.klass);
  if (klass == nullptr) return no_slot;
  const auto found = klass->slots_by_key.find(name.key.value);
  return found == klass->slots_by_key.end() ? no_slot : found->second;
}

process_info runtime::impl::describe(std::uint32_t slot) const {
  const process& of = processes[slot];
  return {.name = name_of(of),
          .id = pid_of(slot),
          .mailbox = of.mailbox.size(),
          .restarts = of.restarts,
          .handled = of.handled,
          .class_version = of.klass->spec.version,
          .started_at = of.started_at,
          .last = of.last ? std::optional{*of.last} : std::nullopt};
}

void runtime::impl::set_runnable(std::uint32_t slot, bool wanted) {
  if (std::exchange(processes[slot].runnable, wanted) == wanted) return;
  wanted ? run_queue.push_back(processes, slot) : run_queue.remove(processes, slot);
}

result<std::uint32_t> runtime::impl::receiver(time_point now, const process_name& name, message_kind kind,
                                              std::string_view method, effects& out) {
  supervised_class* klass = find_class(name.klass);
  if (klass == nullptr) {
    std::string known;
    for (const auto& [each, unused] : classes)
      known += (known.empty() ? "" : ", ") + each.value;
    return fail(errc::not_found,
                "no class '" + name.klass.value + "'; known classes: " + (known.empty() ? "none" : known));
  }
  if (!klass->type->answers(kind, method)) {
    const auto known = klass->type->methods(kind);
    return fail(errc::not_found,
                "class '" + name.klass.value + "' has no method '" + std::string{method.substr(0, 80)} + "' for a " +
                    (kind == message_kind::call ? "call" : "cast") + "; it has: " + (known.empty() ? "none" : known));
  }
  if (queued_bytes >= settings.queued_bytes_max) {
    return fail(errc::overloaded, "what waits in this node's mailboxes holds " + std::to_string(queued_bytes) +
                                      " bytes, as much as it may; retry later");
  }
  const auto found = klass->slots_by_key.find(name.key.value);
  if (found == klass->slots_by_key.end()) return start(now, *klass, name.key, out);
  if (processes[found->second].mailbox.size() >= klass->spec.limits.mailbox_max) {
    return fail(errc::overloaded, "the mailbox of " + to_string(name) + " is full (" +
                                      std::to_string(klass->spec.limits.mailbox_max) + " messages wait); retry later");
  }
  return found->second;
}

void runtime::impl::enqueue(std::uint32_t slot, message arrived) {
  const auto at = messages.take();
  arrived.receiver = slot;
  queued_bytes += arrived.bytes();
  if (arrived.deadline != never) deadlines.add({arrived.deadline, at, messages.generation(at)});
  messages[at] = std::move(arrived);
  processes[slot].mailbox.push_back(messages, at);
  set_runnable(slot, true);
}

message runtime::impl::take_message(std::uint32_t slot) {
  processes[messages[slot].receiver].mailbox.remove(messages, slot);
  message taken = std::move(messages[slot]);
  messages.release(slot);
  queued_bytes -= taken.bytes();
  if (taken.deadline != never) deadlines.forget();
  return taken;
}

void runtime::impl::handle_one(time_point now, std::uint32_t slot, effects& out) {
  if (processes[slot].type != processes[slot].klass->type.get()) return renew(now, slot, out);
  process& handling = processes[slot];
  const message taken = take_message(handling.mailbox.first());
  ++handling.handled;
  const auto where = scope_of(now, handling, out);
  if (taken.kind == message_kind::call) {
    ++counted.calls_handled;
    settle(now, slot, taken, handling.body->call(where, taken.method, taken.argument), out);
  } else {
    ++counted.casts_handled;
    settle(now, slot, taken, handling.body->cast(where, taken.method, taken.argument), out);
  }
}

void runtime::impl::settle(time_point now, std::uint32_t slot, const message& handled, outcome led_to, effects& out) {
  const auto reply = [&](result<value> with) {
    if (handled.kind == message_kind::call) out.emplace_back(replied{handled.token, std::move(with)});
  };
  std::visit(overloaded{[&](done& fine) { reply(std::move(fine.reply)); },
                        [&](refused& no) { reply(fail(std::move(no.why))); },
                        [&](exits& end) {
                          process& ending = processes[slot];
                          if (end.reply) {
                            reply(std::move(*end.reply));
                          } else {
                            reply(fail(exited_error(name_of(ending), end.reason, took_effect::unknown)));
                          }
                          // Over a limit, user code gets no further say.
                          if (end.reason.why != exit_reason::kind::limit) {
                            ending.body->terminate(scope_of(now, ending, out), end.reason);
                          }
                          exited(now, slot, std::move(end.reason), out);
                        }},
             led_to);
}

const deadline_queue::entry* runtime::impl::earliest_deadline() {
  return deadlines.earliest(
      [&](std::uint32_t slot, std::uint32_t generation) { return messages.alive(slot, generation); });
}

void runtime::impl::expire(time_point now, effects& out) {
  for (;;) {
    const auto* due = earliest_deadline();
    if (due == nullptr || due->at > now) return;
    const auto receiver = messages[due->slot].receiver;
    const message expired = take_message(due->slot);
    if (processes[receiver].mailbox.empty()) set_runnable(receiver, false);
    ++counted.calls_expired;
    out.emplace_back(replied{
        expired.token, fail(errc::deadline_exceeded, to_string(name_of(processes[receiver])) + " did not get to '" +
                                                         expired.method + "' before its deadline")});
  }
}

// ---- the public face ----

runtime::runtime(options chosen) : impl_(std::make_unique<impl>(std::move(chosen))) {}
runtime::~runtime() = default;
runtime::runtime(runtime&&) noexcept = default;
runtime& runtime::operator=(runtime&&) noexcept = default;

result<void> runtime::define(class_spec spec) {
  if (auto sound = validate(spec); !sound) return sound;
  supervised_class* known = impl_->find_class(spec.name);
  if (known == nullptr) {
    auto type = make_type(spec);
    if (!type) return fail(type.error());
    auto added = std::make_unique<supervised_class>();
    added->type = std::move(*type);
    added->spec = std::move(spec);
    impl_->classes.emplace(added->spec.name, std::move(added));
    return {};
  }
  if (spec == known->spec) return {};
  const auto upgraded = known->type->upgrade(spec);
  if (!upgraded) return fail(upgraded.error());
  if (!*upgraded) {
    auto type = make_type(spec);
    if (!type) return fail(type.error());
    known->replaced.push_back(std::exchange(known->type, std::move(*type)));
    std::erase_if(known->replaced, [&](const auto& old) {
      for (auto at = known->children.first(); at != no_slot; at = impl_->processes[at].among_children.next) {
        if (impl_->processes[at].type == old.get()) return false;
      }
      return true;
    });
  }
  known->spec = std::move(spec);
  return {};
}

void runtime::undefine(time_point now, const class_name& name, effects& out) {
  supervised_class* klass = impl_->find_class(name);
  if (klass == nullptr) return;
  impl_->shut_down_children(now, *klass, {exit_reason::kind::shutdown, "its class is gone"}, out);
  impl_->classes.erase(name);
}

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

void runtime::call(time_point now, call_request request, effects& out) {
  if (request.deadline <= now) {
    out.emplace_back(replied{
        request.token, fail(errc::deadline_exceeded,
                            "the deadline of the call to " + to_string(request.name) + " had passed when it arrived")});
    return;
  }
  const auto slot = impl_->receiver(now, request.name, message_kind::call, request.method, out);
  if (!slot) {
    out.emplace_back(replied{request.token, fail(slot.error())});
    return;
  }
  impl_->enqueue(*slot, {.kind = message_kind::call,
                         .method = std::move(request.method),
                         .argument = std::move(request.argument),
                         .token = request.token,
                         .deadline = request.deadline,
                         .in_mailbox = {}});
}

result<void> runtime::cast(time_point now, const process_name& name, std::string method, value argument, effects& out) {
  const auto slot = impl_->receiver(now, name, message_kind::cast, method, out);
  if (!slot) {
    ++impl_->counted.casts_dropped;
    return fail(slot.error());
  }
  impl_->enqueue(*slot, {.kind = message_kind::cast,
                         .method = std::move(method),
                         .argument = std::move(argument),
                         .token = {},
                         .in_mailbox = {}});
  return {};
}

bool runtime::stop(time_point now, const process_name& name, effects& out) {
  const auto slot = impl_->find(name);
  if (slot == no_slot) return false;
  impl_->shut_down(now, slot, {exit_reason::kind::normal, {}}, out);
  return true;
}

bool runtime::kill(time_point now, const process_name& name, std::string reason, effects& out) {
  const auto slot = impl_->find(name);
  if (slot == no_slot) return false;
  impl_->exited(now, slot, {exit_reason::kind::killed, std::move(reason)}, out);
  return true;
}

bool runtime::run(time_point now, std::uint32_t budget, effects& out) {
  const auto given = budget;
  impl_->expire(now, out);
  auto& queue = impl_->run_queue;
  while (budget > 0 && !queue.empty()) {
    const auto slot = queue.first();
    for (std::uint32_t turn = 0; turn < turn_max && budget > 0 && queue.first() == slot; ++turn, --budget) {
      if (impl_->processes[slot].mailbox.empty()) break;
      const auto& type = *impl_->processes[slot].klass->type;
      const auto before = type.work();
      impl_->handle_one(now, slot, out);
      budget -= static_cast<std::uint32_t>(std::min<std::uint64_t>(budget - 1, (type.work() - before) / message_work));
    }
    // Still first: it is to go to the end of the queue, or out of it. Otherwise it has left the queue by itself.
    if (queue.first() != slot) continue;
    impl_->set_runnable(slot, false);
    if (!impl_->processes[slot].mailbox.empty()) impl_->set_runnable(slot, true);
  }
  impl_->spent += given - budget;
  return !queue.empty();
}

std::uint64_t runtime::spent() const noexcept { return impl_->spent; }

time_point runtime::next_deadline() const {
  const auto* earliest = impl_->earliest_deadline();
  return earliest == nullptr ? never : earliest->at;
}

std::optional<process_info> runtime::find(const process_name& name) const {
  const auto slot = impl_->find(name);
  return slot == no_slot ? std::nullopt : std::optional{impl_->describe(slot)};
}

std::vector<process_info> runtime::list(const std::optional<class_name>& only, const std::optional<process_name>& after,
                                        std::size_t limit) const {
  std::vector<process_info> found;
  std::vector<std::uint32_t> candidates;
  for (const auto& [name, klass] : impl_->classes) {
    if (found.size() == limit) break;
    if ((only && *only != name) || (after && name < after->klass)) continue;
    candidates.clear();
    for (auto at = klass->children.first(); at != no_slot; at = impl_->processes[at].among_children.next) {
      if (!after || name != after->klass || after->key.value < impl_->processes[at].key) candidates.push_back(at);
    }
    const auto wanted = std::min(limit - found.size(), candidates.size());
    const auto end_of_wanted = candidates.begin() + static_cast<std::ptrdiff_t>(wanted);
    std::partial_sort(candidates.begin(), end_of_wanted, candidates.end(), [&](std::uint32_t a, std::uint32_t b) {
      return impl_->processes[a].key < impl_->processes[b].key;
    });
    for (auto at = candidates.begin(); at != end_of_wanted; ++at)
      found.push_back(impl_->describe(*at));
  }
  return found;
}

std::vector<process_name> runtime::names() const {
  std::vector<process_name> all;
  all.reserve(count());
  for (const auto& [name, klass] : impl_->classes) {
    for (auto at = klass->children.first(); at != no_slot; at = impl_->processes[at].among_children.next)
      all.push_back(impl_->name_of(impl_->processes[at]));
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::size_t runtime::count() const noexcept { return impl_->processes.size(); }

std::vector<supervisor_info> runtime::supervisors() const {
  std::vector<supervisor_info> all;
  all.reserve(impl_->classes.size());
  for (const auto& [name, klass] : impl_->classes) {
    all.push_back(
        {name, klass->spec.version, klass->spec.supervision, klass->children.size(), klass->restarts, klass->gave_up});
  }
  return all;
}

counters runtime::counted() const noexcept { return impl_->counted; }

}  // namespace orrery::process
