#include "mesh/process/hosted.hpp"

#include "mesh/base/overloaded.hpp"
#include "mesh/process/runtime_impl.hpp"
#include "mesh/wire/cbor.hpp"
#include "mesh/wire/excerpt.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::uint64_t message_work = 4096;  ///< instructions from which on a message counts for more than one
constexpr std::uint64_t charge_max = 1U << 20U;

/// What came of a message, for a trace.
void note(trace_entry& entry, const outcome& led_to, bool called) {
  std::visit(overloaded{[&](const done& fine) {
                          if (!called) return;
                          entry.outcome = "reply";
                          entry.answer = excerpt(fine.reply, trace_value_bytes_max);
                        },
                        [&](const refused& no) {
                          entry.outcome = "error";
                          entry.answer = excerpt(to_string(no.why), trace_value_bytes_max);
                        },
                        [&](const deferred&) { entry.outcome = "later"; },
                        [&](const exits& end) {
                          entry.outcome = "exit";
                          entry.answer = excerpt(to_string(end.reason), trace_value_bytes_max);
                        }},
             led_to);
}

value pid_document(std::string_view pid) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, 1);
  cbor::put_text(encoded, "pid");
  cbor::put_text(encoded, pid);
  return value::adopt(encoded);
}

}  // namespace

hosted::hosted(supervised_class& klass, std::uint32_t name) : klass_(klass), name_(name) { take(*klass.type); }

hosted::~hosted() {
  inner_.reset();
  --type_->users;
}

void hosted::take(shared_type& type) {
  inner_.reset();
  if (type_ != nullptr) --type_->users;
  type_ = &type;
  ++type_->users;
  inner_ = type_->of->make();
}

scope hosted::where(kernel::context& self, const kernel::message* handled) const {
  auto& runtime = klass_.owner;
  return {.now = self.now(),
          .klass = klass_.spec.name.value,
          .key = runtime.names[name_].key,
          .out = runtime.out(),
          .self = self,
          .around = runtime,
          .handled = handled,
          .callers = &runtime.callers,
          .queued_bytes_max = runtime.settings.queued_bytes_max,
          .wall_offset = runtime.wall_offset};
}

result<value> hosted::snapshot() { return inner_->snapshot({klass_.owner.now, klass_.owner.wall_offset}); }

std::vector<unanswered> hosted::leave(kernel::context& self) {
  auto kept = inner_->leave(where(self));
  std::erase_if(kept, [&](const unanswered& each) {
    if (each.from.from.node == kernel::handle::outside) return false;
    self.reply(each.from, fail(errc::unavailable, klass_.owner.describe(name_) + " moves to another node; retry"));
    return true;
  });
  return kept;
}

std::uint64_t hosted::version() const { return inner_->version().value_or(klass_.spec.version); }

std::optional<exit_reason> hosted::begin(kernel::context& self) {
  auto& runtime = klass_.owner;
  named& of = runtime.names[name_];
  if (of.role != named::role::supervised) of.key = runtime.text_of(self.self());
  const auto seed = runtime.next_seed(klass_, name_);
  const auto state = std::exchange(runtime.installing, std::nullopt);
  if (!state) {
    const value spawned_with = std::move(runtime.giving);
    const auto* child = of.declared ? klass_.find_declared(of.key) : nullptr;
    auto at = where(self);
    at.given = child == nullptr ? &spawned_with : &child->spec.argument;
    return inner_->init(at, seed);
  }
  const bool same_code = runtime.installing_code != 0 && runtime.installing_code == inner_->code();
  const auto version =
      same_code ? std::max(klass_.spec.version, runtime.installing_version) : runtime.installing_version;
  const auto restored = inner_->restore(where(self), seed, *state, version);
  if (restored) {
    inner_->moved(where(self));
    return {};
  }
  runtime.not_restored = restored.error();
  return exit_reason{exit_reason::kind::error, restored.error().context};
}

void hosted::started(kernel::context& self) {
  auto failed = begin(self);
  if (!failed) return;
  klass_.owner.note_init_scene(name_, *failed);
  self.stop(std::move(*failed));
}

bool hosted::renew(kernel::context& self) {
  const exit_reason why{exit_reason::kind::shutdown, "its class has another behaviour now"};
  inner_->terminate(where(self), why);
  klass_.owner.emit(process_event::kind::exited, name_, why);
  take(*klass_.type);
  auto failed = begin(self);
  if (failed) {
    self.abort(std::move(*failed));
    return false;
  }
  klass_.owner.emit(process_event::kind::started, name_, {});
  return true;
}

void hosted::received(kernel::context& self, kernel::message& arrived) {
  auto& runtime = klass_.owner;
  if (runtime.traces.any() && runtime.traces.watches(name_)) return runtime.trace_message(*this, self, arrived);
  handle(self, arrived);
}

void hosted::handle(kernel::context& self, kernel::message& arrived) {
  if (type_ != klass_.type.get() && !renew(self)) return;
  auto& counted = klass_.owner.counted;
  const auto before = type_->of->work();
  const auto word = [&] { return self.of().atoms().text(arrived.word); };  // of what has one
  switch (arrived.what) {
    case kernel::message::kind::call:
      settle(self, arrived,
             arrived.word == klass_.owner.start_word_ ? outcome{done{pid_document(klass_.owner.text_of(self.self()))}}
                                                      : inner_->call(where(self, &arrived), word(), arrived.payload));
      counted.calls_handled += self.puts_back() ? 0 : 1;
      break;
    case kernel::message::kind::cast:
      settle(self, arrived, inner_->cast(where(self, &arrived), word(), arrived.payload));
      counted.casts_handled += self.puts_back() ? 0 : 1;
      break;
    case kernel::message::kind::exit:
      // The word of its supervisor, or of who spawned it with a link, is no message for user code: the process ends,
      // and `terminate` runs.
      if (arrived.from == self.parent() && klass_.owner.names[name_].role != named::role::alone)
        return self.stop(kernel::reason_of(arrived));
      [[fallthrough]];
    case kernel::message::kind::plain:
    case kernel::message::kind::reply:
    case kernel::message::kind::down:
    case kernel::message::kind::timer:
    case kernel::message::kind::timeout:
    case kernel::message::kind::resume:
      settle(self, arrived, inner_->info(where(self, &arrived), arrived));
      break;
  }
  if (!klass_.owner.to_tell.empty() && !inner_->busy()) klass_.owner.tell_movable(name_, self.self());
  const auto work = type_->of->work() - before;
  self.worked(work + 1);
  if (work < message_work) return;
  self.charge(static_cast<std::uint32_t>(std::min(work / message_work, charge_max)));
}

void hosted::settle(kernel::context& self, const kernel::message& handled, outcome led_to) {
  const bool called = handled.what == kernel::message::kind::call;
  auto& runtime = klass_.owner;
  if (runtime.traces.open != nullptr) note(*runtime.traces.open, led_to, called);
  if (const auto* end = std::get_if<exits>(&led_to); end != nullptr && is_crash(end->reason)) {
    runtime.note_scene(name_, &handled, inner_.get());
  }
  std::visit(overloaded{[&](done& fine) {
                          if (called) self.reply(kernel::caller_of(handled), std::move(fine.reply));
                        },
                        [&](refused& no) {
                          if (called) self.reply(kernel::caller_of(handled), fail(std::move(no.why)));
                        },
                        [](deferred&) {},
                        [&](exits& end) {
                          if (called && end.reply) self.reply(kernel::caller_of(handled), std::move(*end.reply));
                          // Over a limit, user code gets no further say.
                          end.reason.why == exit_reason::kind::limit ? self.abort(std::move(end.reason))
                                                                     : self.stop(std::move(end.reason));
                        }},
             led_to);
}

result<void> hosted::replace_state(kernel::context& self, const value& state) {
  if (type_ != klass_.type.get()) {
    return fail(errc::conflict, "its class has another behaviour: it starts afresh with its next message");
  }
  auto fresh = type_->of->make();
  const auto seed = klass_.owner.next_seed(klass_, name_);
  if (inner_->busy()) return fail(errc::unavailable, "it is in the middle of a message; retry");
  const auto packed = inner_->packed(state);
  if (auto fits = fresh->restore(where(self), seed, packed, klass_.spec.version); !fits) return fits;
  const auto kept = inner_->leave(where(self));
  fresh->take_over(*inner_);
  inner_ = std::move(fresh);
  for (const auto& [set, payload] : self.of().timers_of(self.self()))
    inner_->timer_restored(payload, set);
  for (const auto& each : kept)
    ask_again(self, each);
  ++replaced_;
  return {};
}

void hosted::ask_again(kernel::context& self, const unanswered& call) {
  const kernel::message asked{
      .what = kernel::message::kind::call, .from = call.from.from, .ref = call.from.ref, .payload = call.argument};
  settle(self, asked, inner_->call(where(self, &asked), call.method, call.argument));
}

void hosted::ended(kernel::context& self, const exit_reason& why) { inner_->terminate(where(self), why); }

}  // namespace orrery::process
