#include "mesh/process/hosted.hpp"

#include "mesh/base/overloaded.hpp"
#include "mesh/process/runtime_impl.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::uint64_t message_work = 4096;  ///< instructions from which on a message counts for more than one
constexpr std::uint64_t charge_max = 1U << 20U;

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
  return {self.now(), klass_.spec.name.value, runtime.names[name_].key, runtime.out(), self, runtime, handled};
}

std::optional<exit_reason> hosted::begin(kernel::context& self) {
  auto& runtime = klass_.owner;
  const auto seed = runtime.next_seed(klass_, name_);
  const auto state = std::exchange(runtime.installing, std::nullopt);
  if (!state) return inner_->init(where(self), seed);
  const auto restored = inner_->restore(where(self), seed, *state, runtime.installing_version);
  if (restored) return {};
  runtime.not_restored = restored.error();
  return exit_reason{exit_reason::kind::error, restored.error().context};
}

void hosted::started(kernel::context& self) {
  if (auto failed = begin(self)) self.stop(std::move(*failed));
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
  if (type_ != klass_.type.get() && !renew(self)) return;
  auto& counted = klass_.owner.counted;
  const auto before = type_->of->work();
  const auto word = self.of().atoms().text(arrived.word);
  switch (arrived.what) {
    case kernel::message::kind::call:
      ++counted.calls_handled;
      settle(self, arrived, inner_->call(where(self, &arrived), word, arrived.payload));
      break;
    case kernel::message::kind::cast:
      ++counted.casts_handled;
      settle(self, arrived, inner_->cast(where(self, &arrived), word, arrived.payload));
      break;
    case kernel::message::kind::exit:
      // Its supervisor's word is no message for user code: the process ends, and `terminate` runs.
      if (arrived.from == self.parent()) return self.stop(kernel::reason_of(arrived));
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
  const auto worked = (type_->of->work() - before) / message_work;
  if (worked > 0) self.charge(static_cast<std::uint32_t>(std::min(worked, charge_max)));
}

void hosted::settle(kernel::context& self, const kernel::message& handled, outcome led_to) {
  const bool called = handled.what == kernel::message::kind::call;
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

void hosted::ended(kernel::context& self, const exit_reason& why) { inner_->terminate(where(self), why); }

}  // namespace orrery::process
