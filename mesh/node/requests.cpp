// What clients ask, and what processes do.
#include "mesh/base/overloaded.hpp"
#include "mesh/node/impl.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>

namespace orrery::node {
namespace {

std::vector<field> fields_of(const process::process_event& seen) {
  using kind = process::process_event::kind;
  std::vector<field> fields{{"class", seen.name.klass.value}, {"key", seen.name.key.value}};
  if (seen.what == kind::given_up || seen.what == kind::released) {
    fields.emplace_back("reason", seen.reason.detail);
    return fields;
  }
  if (seen.id.slot != kernel::no_slot) fields.emplace_back("pid", to_string(seen.id));  // it has been alive
  if (seen.what != kind::started) fields.emplace_back("reason", process::to_string(seen.reason));
  return fields;
}

}  // namespace

result<void> check_method(std::string_view method) {
  if (!method.empty() && method.size() <= wire::method_bytes_max) return {};
  return fail(errc::invalid_argument, "the method has " + std::to_string(method.size()) + " bytes; 1 to " +
                                          std::to_string(wire::method_bytes_max) + " are accepted");
}

void core::impl::ask_client(request_id id, operation& asked) {
  const from_client client{id};
  const auto control = [&](process_name& name, wire::verb verb, std::string reason, value argument = {}) {
    begin({.from = client,
           .name = std::move(name),
           .what = ask_control{verb, std::move(reason), std::move(argument)},
           .deadline = after(now_, control_timeout)});
  };
  const auto call = [&](process_name& name, std::string method, value argument, std::optional<duration> given) {
    if (auto fine = check_method(method); !fine) return answer(client, fail(std::move(fine.error())));
    const duration timeout = given.value_or(call_timeout(name.klass));
    if (timeout <= duration::zero() || timeout > call_timeout_max) {
      return answer(client, fail(errc::invalid_argument, "the timeout must be more than 0 and at most 1 h"));
    }
    begin({.from = client,
           .name = std::move(name),
           .what = ask_call{std::move(method), std::move(argument)},
           .deadline = after(now_, timeout)});
  };
  const auto no_such = [&](const std::optional<class_name>& only) {
    return only && runtime_.find_class(*only) == nullptr;
  };
  std::visit(
      overloaded{[&](call_op& op) { call(op.name, std::move(op.method), std::move(op.argument), op.timeout); },
                 [&](start_op& op) { call(op.name, std::string{process::start_method}, {}, op.timeout); },
                 [&](cast_op& op) {
                   if (auto fine = check_method(op.method); !fine) return answer(client, fail(std::move(fine.error())));
                   // Nobody answers a cast, so what would become of it elsewhere is told by what is known here.
                   if (runtime_.find_class(op.name.klass) == nullptr) {
                     ++counted_.casts_dropped;
                     return answer(client, fail(runtime_.no_class(op.name.klass)));
                   }
                   auto taken = route_cast(std::move(op.name), std::move(op.method), std::move(op.argument), 0);
                   if (!taken) return answer(client, fail(std::move(taken.error())));
                   ++counted_.casts;
                   answer(client, flat({}));
                 },
                 [&](inspect_op& op) { control(op.name, wire::verb::inspect, {}); },
                 [&](stop_op& op) { control(op.name, wire::verb::stop, {}); },
                 [&](kill_op& op) { control(op.name, wire::verb::kill, std::move(op.reason)); },
                 [&](state_op& op) { control(op.name, wire::verb::state, {}); },
                 [&](set_state_op& op) {
                   control(op.name, wire::verb::set_state, std::move(op.expected), std::move(op.state));
                 },
                 [&](suspend_op& op) { control(op.name, wire::verb::suspend, {}); },
                 [&](resume_op& op) { control(op.name, wire::verb::resume, {}); },
                 [&](release_op& op) { control(op.name, wire::verb::release, {}); },
                 [&](list_nodes_op&) { answer(client, node_list(members_.view(), draining_)); },
                 [&](list_processes_op& op) {
                   if (no_such(op.only)) return answer(client, fail(runtime_.no_class(*op.only)));
                   const std::size_t limit = std::clamp<std::size_t>(op.limit, 1, list_limit_max);
                   ask_all(id, {.asked = wire::verb::list, .only = op.only, .limit = limit}, op.local);
                 },
                 [&](crashes_op& op) {
                   ask_all(id,
                           {.asked = wire::verb::crashes,
                            .only = op.only,
                            .limit = std::clamp<std::size_t>(op.limit, 1, process::crashes_kept_max),
                            .key = op.key},
                           op.local);
                 },
                 [&](top_op& op) {
                   const auto limit = std::clamp<std::size_t>(op.limit, 1, process::top_max);
                   ask_all(id, {.asked = wire::verb::top, .limit = limit, .by = op.by}, op.local);
                 },
                 [&](load_op&) { take_a_look({.to = client}); },
                 [&](trace_op& op) { control(op.name, wire::verb::trace, {}, trace_request(op.limit, op.length)); },
                 [&](list_classes_op&) {
                   std::vector<declared_class> all;
                   for (const auto& [name, declared] : classes_)
                     all.push_back(declared);
                   answer(client, class_list(all));
                 },
                 [&](list_groups_op& op) { answer(client, groups_here(op)); },
                 [&](group_op& op) { answer(client, group_here(op)); },
                 [&](publish_op& op) { answer(client, publish_here(op)); },
                 [&](list_registry_op& op) { answer(client, registry_here(op)); },
                 [&](tree_op& op) {
                   if (no_such(op.only)) return answer(client, fail(runtime_.no_class(*op.only)));
                   ask_all(id, {.asked = wire::verb::tree, .only = op.only, .limit = op.children}, op.local);
                 }},
      asked);
}

result<value> core::impl::control_here(const process_name& name, const ask_control& asked) {
  if (asked.asked == wire::verb::release) {
    if (runtime_.release(now_, name, ran_)) return flat({{"released", true}});
    return fail(errc::not_found,
                "process " + to_string(name) + " is not given up on its owner, node " + settings_.self.name.value);
  }
  if (!runs(name)) {
    const auto given_up = asked.asked == wire::verb::inspect ? runtime_.given_up(name) : std::nullopt;
    if (given_up) return given_up_document(now_, settings_.self.name, *given_up);
    return fail(not_here(name));
  }
  if (asked.asked == wire::verb::stop) {
    (void)runtime_.stop(now_, name, ran_);
    return flat({{"stopped", true}});
  }
  if (asked.asked == wire::verb::kill) {
    const std::string reason = asked.reason.empty() ? "killed by a client" : asked.reason;
    if (!runtime_.kill(now_, name, reason, ran_)) return fail(not_here(name));  // its next life has not begun
    return flat({{"killed", true}});
  }
  if (asked.asked == wire::verb::whereis) {
    const auto who = runtime_.whereis(name);
    if (!who) return fail(not_here(name));
    return cbor::text_value(to_string(*who));
  }
  return introspect_here(name, asked);
}

error core::impl::not_here(const process_name& name) const {
  if (runtime_.find_class(name.klass) == nullptr) return runtime_.no_class(name.klass);
  return {errc::not_found,
          "process " + to_string(name) + " does not run; its owner is node " + settings_.self.name.value};
}

void core::impl::on_process_effect(process::effect& happened) {
  std::visit(
      overloaded{[&](process::replied& done) { complete_here(done.token, std::move(done.reply)); },
                 [&](process::cast_sent& sent) {
                   ++counted_.casts;
                   (void)route_cast(std::move(sent.to), std::move(sent.method), std::move(sent.argument), 0);
                 },
                 [&](process::signal_sent& sent) { send_signal(sent); },
                 [&](process::published& sent) { send_published(sent); },
                 [&](process::fact_changed& changed) { facts_out_.push_back(std::move(changed.what)); },
                 [&](process::name_called& asked) { call_for_process(asked); },
                 [&](process::name_sought& asked) { seek_for_process(asked); },
                 [&](process::key_claimed& asked) { begin_claim(asked); },
                 [&](process::escalated& up) {
                   emit("supervisor_gave_up", {{"class", up.klass.value},
                                               {"to", std::string{escalation_name(up.to)}},
                                               {"parent", up.parent},
                                               {"reason", up.why}});
                   if (up.to == process::escalation::parent) return;
                   ++counted_.escalations;
                   emit("escalated",
                        {{"class", up.klass.value}, {"to", std::string{escalation_name(up.to)}}, {"reason", up.why}});
                   out_->push_back(escalate{up.to, "class " + up.klass.value + ": " + up.why});
                 },
                 [&](process::supervisor_event& seen) {
                   const bool again = seen.what == process::supervisor_event::kind::restarted;
                   emit(again ? "supervisor_restarted" : "supervisor_finished",
                        {{"class", seen.klass.value}, {"parent", seen.parent}, {"reason", seen.why}});
                 },
                 [&](process::to_app& told) { out_->push_back(to_app{std::move(told.what)}); },
                 [&](process::movable& idle) { hand_over_late(idle.name); },
                 [&](process::script_failure& failed) {
                   emit("script_failed", {{"class", failed.name.klass.value},
                                          {"key", failed.name.key.value},
                                          {"pid", std::move(failed.id)},
                                          {"callback", std::move(failed.callback)},
                                          {"reason", std::move(failed.what)},
                                          {"traceback", std::move(failed.traceback)}});
                 },
                 [&](process::crashed& seen) { tell_crash(seen.number); },
                 [&](process::process_event& seen) { tell(seen); }},
      happened);
}

void core::impl::tell(const process::process_event& seen) {
  using kind = process::process_event::kind;
  auto fields = fields_of(seen);
  switch (seen.what) {
    case kind::started:
      ++counted_.process_starts;
      return emit("process_started", std::move(fields));
    case kind::exited:
      if (process::is_crash(seen.reason)) ++counted_.process_crashes;
      // Its owner is to know that it may start the name.
      if (moves_.holds(seen.name) && !runs(seen.name)) moves_.rescan();
      return emit("process_exited", std::move(fields));
    case kind::restarted:
      ++counted_.process_restarts;
      return emit("process_restarted", std::move(fields));
    case kind::moved_out:
      trace_moved(seen.name);
      fields.emplace_back("direction", std::string{"out"});
      return emit("process_moved", std::move(fields));
    case kind::moved_in:
      fields.emplace_back("direction", std::string{"in"});
      return emit("process_moved", std::move(fields));
    case kind::given_up:
      ++counted_.processes_given_up;
      return emit("process_given_up", std::move(fields));
    case kind::released:
      return emit("process_released", std::move(fields));
  }
}

}  // namespace orrery::node
