// What clients ask, and what processes do.
#include "mesh/base/overloaded.hpp"
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {
namespace {

result<void> check_method(const std::string& method) {
  if (!method.empty() && method.size() <= wire::method_bytes_max) return {};
  return fail(errc::invalid_argument, "the method has " + std::to_string(method.size()) + " bytes; 1 to " +
                                          std::to_string(wire::method_bytes_max) + " are accepted");
}

}  // namespace

void core::impl::ask_client(request_id id, operation& asked) {
  const from_client client{id};
  const auto control = [&](process_name& name, wire::verb verb, std::string reason) {
    begin({.from = client,
           .name = std::move(name),
           .what = ask_control{verb, std::move(reason)},
           .deadline = after(now_, control_timeout)});
  };
  std::visit(overloaded{[&](call_op& op) {
                          if (auto fine = check_method(op.method); !fine)
                            return answer(client, fail(std::move(fine.error())));
                          const duration timeout = op.timeout.value_or(call_timeout(op.name.klass));
                          if (timeout <= duration::zero() || timeout > call_timeout_max) {
                            return answer(client, fail(errc::invalid_argument,
                                                       "the timeout must be more than 0 and at most 1 h"));
                          }
                          begin({.from = client,
                                 .name = std::move(op.name),
                                 .what = ask_call{std::move(op.method), std::move(op.argument)},
                                 .deadline = after(now_, timeout)});
                        },
                        [&](cast_op& op) {
                          if (auto fine = check_method(op.method); !fine)
                            return answer(client, fail(std::move(fine.error())));
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
                        [&](list_nodes_op&) { answer(client, node_list(members_.view(), draining_)); },
                        [&](list_processes_op& op) {
                          const std::size_t limit = std::clamp<std::size_t>(op.limit, 1, list_limit_max);
                          if (op.local) return answer(client, local_part(wire::verb::list, op.only, limit));
                          begin_gather({.client = id, .asked = wire::verb::list, .limit = limit}, op.only);
                        },
                        [&](list_classes_op&) {
                          std::vector<declared_class> all;
                          for (const auto& [name, declared] : classes_)
                            all.push_back(declared);
                          answer(client, class_list(all));
                        },
                        [&](tree_op& op) {
                          if (op.local) {
                            const value here = local_part(wire::verb::tree, {}, 0);
                            return answer(client, merge_trees({here}, {}));
                          }
                          begin_gather({.client = id, .asked = wire::verb::tree}, {});
                        }},
             asked);
}

result<value> core::impl::control_here(const process_name& name, const ask_control& asked) {
  const auto missing = [&] {
    if (runtime_.find_class(name.klass) == nullptr) return fail(runtime_.no_class(name.klass));
    return fail(errc::not_found,
                "process " + to_string(name) + " does not run; its owner is node " + settings_.self.name.value);
  };
  switch (asked.asked) {
    case wire::verb::inspect: {
      const auto info = runtime_.find(name);
      if (!info) return missing();
      return process_document(now_, settings_.self.name, *info);
    }
    case wire::verb::stop:
      if (!runtime_.stop(now_, name, ran_)) return missing();
      return flat({{"stopped", true}});
    case wire::verb::kill:
      if (!runtime_.kill(now_, name, asked.reason.empty() ? "killed by a client" : asked.reason, ran_))
        return missing();
      return flat({{"killed", true}});
    case wire::verb::list:
    case wire::verb::tree:
      break;
  }
  return fail(errc::internal, "not a question about one process");
}

void core::impl::on_process_effect(process::effect& happened) {
  std::visit(overloaded{[&](process::replied& done) { complete(done.token, std::move(done.reply)); },
                        [&](process::cast_sent& sent) {
                          ++counted_.casts;
                          (void)route_cast(std::move(sent.to), std::move(sent.method), std::move(sent.argument), 0);
                        },
                        [&](process::escalated& up) {
                          emit("supervisor_gave_up", {{"class", up.klass.value}, {"reason", up.why}});
                          if (up.to == process::escalation::parent) return;
                          ++counted_.escalations;
                          const char* to = up.to == process::escalation::node ? "Node" : "Pod";
                          emit("escalated", {{"class", up.klass.value}, {"to", std::string{to}}, {"reason", up.why}});
                          out_->push_back(escalate{up.to, up.why});
                        },
                        [&](process::process_event& seen) {
                          using kind = process::process_event::kind;
                          std::vector<field> fields{{"class", seen.name.klass.value},
                                                    {"key", seen.name.key.value},
                                                    {"pid", to_string(seen.id)}};
                          if (seen.what != kind::started)
                            fields.emplace_back("reason", process::to_string(seen.reason));
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
                              fields.emplace_back("direction", std::string{"out"});
                              return emit("process_moved", std::move(fields));
                            case kind::moved_in:
                              fields.emplace_back("direction", std::string{"in"});
                              return emit("process_moved", std::move(fields));
                          }
                        }},
             happened);
}

}  // namespace orrery::node
