// Processes whose callbacks run in an app: what apps say, and what that does to processes.
#include "mesh/base/overloaded.hpp"
#include "mesh/process/runtime_impl.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

app_behaviour& behaviour_of(kernel::body& what) {
  return static_cast<app_behaviour&>(static_cast<hosted&>(what).inner());
}

app_class_state class_state_of(const supervised_class* klass) {
  if (klass == nullptr) return app_class_state::undeclared;
  return std::holds_alternative<app_hosted>(klass->spec.behaviour) ? app_class_state::ready : app_class_state::other;
}

}  // namespace

void runtime::from_app(time_point now, app_event said, effects& out) {
  const impl::sink into(*impl_, now, out);
  std::visit([&](auto& each) { impl_->take(each); }, said);
}

bool runtime::has_app(const class_name& klass) const {
  const auto* pool = impl_->apps.find(klass);
  return pool != nullptr && pool->anyone_there();
}

bool runtime::apps_came_or_went(time_point now) { return impl_->apps.settle(now); }

std::vector<class_name> runtime::unhosted() const {
  std::vector<class_name> all;
  for (const auto& [name, pool] : impl_->apps.used()) {
    if (!pool->hosted()) all.push_back(name);
  }
  return all;
}

void runtime::set_hosted_elsewhere(const std::set<class_name>& classes) { impl_->apps.set_hosted_elsewhere(classes); }

runtime::app_load runtime::apps() const noexcept { return {impl_->apps.registrations(), impl_->apps.at_work()}; }

// ---- classes ----

result<std::unique_ptr<behaviour_type>> runtime::impl::make_type(const class_spec& spec) {
  if (!std::holds_alternative<app_hosted>(spec.behaviour)) return settings.make(spec);
  return make_app_type(apps.pool(spec.name));
}

void runtime::impl::app_class_changed(const supervised_class& klass) {
  if (const auto* hosting = std::get_if<app_hosted>(&klass.spec.behaviour)) {
    apps.pool(klass.spec.name)
        .declare(
            {klass.spec.version, hosting->handler_timeout, hosting->wait_for_app, klass.spec.limits.state_bytes_max});
  }
  apps.class_changed(klass.spec.name, class_state_of(&klass), klass.spec.version);
}

void runtime::impl::let_go_of_app(const supervised_class& klass) {
  auto* const pool = apps.find(klass.spec.name);
  if (pool == nullptr) return;
  for (const auto& [place, who] : pool->let_go())
    static_cast<void>(core.unpause(who));
}

// ---- what apps say ----

void runtime::impl::take(app_registered& said) {
  const auto* klass = find_class(said.offer.klass);
  apps.add(now, std::move(said.offer), class_state_of(klass), klass == nullptr ? 0 : klass->spec.version);
  hand_out_all();
}

void runtime::impl::take(app_drains& said) {
  apps.drain(now, said.app, said.only);
  hand_out_all();  // an older version may be the newest now
}

void runtime::impl::take(app_done& said) {
  auto work = apps.finish(said.app, said.work);
  if (!work) return;
  auto& pool = *work->pool;
  const auto failed = [&](exit_reason why) {
    ++apps.counted().crashed;
    app_failed(*work, std::move(why), false);
  };
  const auto refuse = [&](error why) { apps.outbox.emplace_back(app_refused{said.app, said.work, std::move(why)}); };
  if (work->who == kernel::nobody) {
    if (said.answer && work->what == app_callback::terminate) {
      for (auto& each : said.answer->deeds) {
        if (auto* sent = std::get_if<app_cast>(&each))
          out().emplace_back(cast_sent{std::move(sent->to), std::move(sent->method), std::move(sent->argument)});
      }
    }
  } else if (!said.answer) {
    const bool limit = said.answer.error().code == errc::too_large || said.answer.error().code == errc::limit_exceeded;
    failed({limit ? exit_reason::kind::limit : exit_reason::kind::error,
            "its app's answer was not taken: " + said.answer.error().context});
    refuse(std::move(said.answer.error()));
  } else if (said.answer->crash) {
    failed({exit_reason::kind::error, std::move(*said.answer->crash)});
  } else {
    const auto name = static_cast<hosted*>(core.body_of(work->who))->name();
    result<void> taken;
    core.enter(now, work->who, [&](kernel::body& what, kernel::context& self) {
      static_cast<hosted&>(what).changed();
      taken = behaviour_of(what).finish(static_cast<hosted&>(what).where(self), std::move(*said.answer));
    });
    if (!taken) {
      ++apps.counted().crashed;
      refuse(taken.error());
    } else if (core.unpause(work->who) && core.alive(work->who)) {
      const bool busy = static_cast<hosted*>(core.body_of(work->who))->inner().busy();
      if (!busy && to_tell.erase(name) > 0) out().emplace_back(movable{name_of(names[name])});
    }
  }
  apps.take_starved() ? hand_out_all() : hand_out(pool);
}

void runtime::impl::take(app_gone& said) {
  client_gone(said.app, said.why);
  const auto lost = apps.take_all(said.app);
  apps.remove(now, said.app);
  for (const auto& [id, each] : lost) {
    if (each.who == kernel::nobody) continue;
    ++apps.counted().lost;
    app_failed(each, {exit_reason::kind::noconnection, "its app went away: " + said.why}, true);
  }
  hand_out_all();
  apps.prune();
}

// ---- what follows ----

void runtime::impl::app_failed(const app_desk::work& of, exit_reason why, bool loss) {
  if (!core.alive(of.who)) return;
  auto& failing = *static_cast<hosted*>(core.body_of(of.who));
  const auto name = failing.name();
  auto& behaviour = behaviour_of(failing);
  behaviour.lost_work();
  const bool declared = names[name].declared;
  const bool on_a_call = names[name].role == named::role::supervised && !declared;
  if (on_a_call && !behaviour.begun() && (loss || names[name].restarts == 0)) {
    // As in OTP, what cannot start the first time is its starters' error, and does not count as a restart.
    const auto text = describe(name) + " exited, " + to_string(why) + " (while it started)";
    return not_started(name, why, {loss ? errc::unavailable : errc::process_exited, text});
  }
  if (declared && !behaviour.begun() && !loss) {
    static_cast<supervisor*>(core.body_of(names[name].klass->supervised_by))->never_began(of.who);
  }
  note_app_scene(name, of);
  core.enter(now, of.who, [&](kernel::body&, kernel::context& self) {
    why.why == exit_reason::kind::error ? self.stop(why) : self.abort(why);
  });
}

void runtime::impl::not_started(std::uint32_t name, const exit_reason& why, error told) {
  core.refuse_calls(now, names[name].who, told);
  shut_down(name, why);
}

void runtime::impl::hand_out(app_pool& pool) {
  pool.send_farewells(now);
  while (pool.has_room()) {
    const auto who = pool.next_turn();
    if (!who) return;
    static_cast<void>(core.take_turn(now, *who));
    if (!pool.turn_over()) return;
  }
}

void runtime::impl::hand_out_all() {
  for (auto* const pool : apps.used_in_turn())
    hand_out(*pool);
}

/// What the time brings.
void runtime::impl::watch_apps() {
  for (const auto& [id, late] : apps.take_overdue(now)) {
    if (late.who == kernel::nobody) continue;
    const auto what = late.method.empty() ? "it" : "'" + late.method + "'";
    app_failed(late,
               {exit_reason::kind::limit, "its app was not done with " + what + " after " + late.pool->time_allowed()},
               false);
  }
  for (auto* pool : apps.newly_refused(now)) {
    const auto why = pool->refusal(now);
    const auto waiting = pool->waiting();
    for (const auto& [place, who] : waiting)
      core.refuse_calls(now, who, *why);
  }
}

}  // namespace orrery::process
