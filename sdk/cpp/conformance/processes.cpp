#include "processes.hpp"

#include <array>
#include <stdexcept>
#include <utility>

namespace orrery::app::conformance {
namespace {

std::string text(const json& command, const char* field) { return command.value(field, ""); }
json argument(const json& command) { return rich(command.value("argument", json())); }

std::chrono::milliseconds time_of(const json& command, const char* field, int otherwise) {
  return std::chrono::milliseconds(command.value(field, otherwise));
}

exit_reason reason_of(const json& command) {
  const auto given = command.value("reason", json{{"kind", "normal"}});
  return {.kind = given.value("kind", ""), .text = given.value("text", "")};
}

json fields(const exit_reason& reason) { return {{"kind", reason.kind}, {"text", reason.text}}; }

json with_sender(json message, const std::string& from) {
  if (!from.empty()) message["from"] = from;
  return message;
}

struct shown {
  json operator()(const plain_message& came) const {
    return with_sender({{"kind", "plain"}, {"word", came.word}, {"argument", came.argument}}, came.from);
  }
  json operator()(const cast_message& came) const {
    return with_sender({{"kind", "cast"}, {"method", came.method}, {"argument", came.argument}}, came.from);
  }
  json operator()(const down_message& came) const {
    return with_sender({{"kind", "down"}, {"monitor", came.monitor}, {"reason", fields(came.what.reason)}},
                       came.what.pid);
  }
  json operator()(const exit_message& came) const {
    return with_sender({{"kind", "exit"}, {"reason", fields(came.reason)}}, came.from);
  }
  json operator()(const dropped_message& came) const { return {{"kind", "dropped"}, {"count", came.count}}; }
};

[[noreturn]] void too_late(const char* what) {
  throw error("deadline_exceeded", std::string(what) + " in time", effect::unknown);
}

json spawned(client_process& of, const json& c) {
  const auto made =
      of.spawn(text(c, "class"), argument(c), {.link = c.value("link", false), .monitor = c.value("monitor", false)});
  json ok{{"pid", made.pid}};
  if (made.monitor != 0) ok["monitor"] = made.monitor;
  return ok;
}

const std::map<std::string, json (*)(client_process&, const json&)> acts{
    {"cast", [](client_process& of,
                const json& c) { return of.cast(text(c, "to"), text(c, "method"), argument(c)), json::object(); }},
    {"send", [](client_process& of,
                const json& c) { return of.send(text(c, "to"), text(c, "word"), argument(c)), json::object(); }},
    {"publish",
     [](client_process& of, const json& c) {
       return json{{"members", of.publish(text(c, "group"), text(c, "word"), argument(c))}};
     }},
    {"spawn", spawned},
    {"monitor",
     [](client_process& of, const json& c) {
       return json{{"monitor", of.monitor(text(c, "to"))}};
     }},
    {"demonitor", [](client_process& of,
                     const json& c) { return of.demonitor(c.at("monitor").get<std::uint64_t>()), json::object(); }},
    {"link", [](client_process& of, const json& c) { return of.link(text(c, "to")), json::object(); }},
    {"unlink", [](client_process& of, const json& c) { return of.unlink(text(c, "to")), json::object(); }},
    {"exit", [](client_process& of, const json& c) { return of.exit(text(c, "to"), reason_of(c)), json::object(); }},
    {"join", [](client_process& of, const json& c) { return of.join(text(c, "group")), json::object(); }},
    {"leave",
     [](client_process& of, const json& c) {
       return json{{"member", of.leave(text(c, "group"))}};
     }},
    {"watch",
     [](client_process& of, const json& c) {
       return json{{"pids", of.watch(text(c, "group"))}};
     }},
    {"unwatch", [](client_process& of, const json& c) { return of.unwatch(text(c, "group")), json::object(); }},
    {"claim",
     [](client_process& of, const json& c) {
       of.claim(text(c, "key"), rich(c.value("value", json())),
                {.in = scope_of(c), .timeout = time_of(c, "timeoutMs", 5000)});
       return json::object();
     }},
    {"update",
     [](client_process& of, const json& c) {
       return of.update(text(c, "key"), rich(c.value("value", json())), scope_of(c)), json::object();
     }},
    {"release", [](client_process& of, const json& c) {
       return json{{"held", of.release(text(c, "key"), scope_of(c))}};
     }}};

}  // namespace

key_scope scope_of(const json& command) {
  static const std::map<std::string, key_scope> known{{"mesh_unique", key_scope::mesh_unique},
                                                      {"mesh_duplicate", key_scope::mesh_duplicate},
                                                      {"node_unique", key_scope::node_unique},
                                                      {"node_duplicate", key_scope::node_duplicate}};
  const auto found = known.find(command.value("in", "mesh_unique"));
  if (found == known.end())
    throw error("invalid_argument", "keys are in no '" + text(command, "in") + "'", effect::not_executed);
  return found->second;
}

json plain(const json& value) {
  if (value.is_binary()) {
    json bytes = json::array();
    for (const auto byte : value.get_binary())
      bytes.push_back(byte);
    return {{"bytes", bytes}};
  }
  json out = value;
  if (out.is_structured())
    for (auto& item : out)
      item = plain(item);
  return out;
}

json rich(const json& value) {
  if (value.is_object() && value.size() == 1 && value.contains("bytes"))
    return json::binary(value["bytes"].get<std::vector<std::uint8_t>>());
  json out = value;
  if (out.is_structured())
    for (auto& item : out)
      item = rich(item);
  return out;
}

// ---- client processes ----

std::shared_ptr<client_process> kept_processes::of(const json& command) {
  const std::lock_guard lock(mutex_);
  return processes_.at(text(command, "process"));
}

json kept_processes::open(const json& command) {
  auto fresh = std::make_shared<client_process>(there_()->process());
  const auto pid = fresh->pid();
  const std::lock_guard lock(mutex_);
  processes_[text(command, "process")] = std::move(fresh);
  return {{"pid", pid}};
}

json kept_processes::close(const json& command) { return of(command)->close(reason_of(command)), json::object(); }
json kept_processes::act(const json& command, const std::stop_token& stop) {
  const auto self = of(command);
  if (text(command, "act") != "call") return acts.at(text(command, "act"))(*self, command);
  return self->call(text(command, "to"), text(command, "method"), argument(command), time_of(command, "timeoutMs", 0),
                    stop);
}

json kept_processes::next(const json& command) {
  const auto from = of(command);
  if (const auto came = from->next(time_of(command, "withinMs", 5000))) return std::visit(shown{}, *came);
  if (const auto why = from->ended()) return {{"kind", "ended"}, {"reason", fields(*why)}};
  too_late("no message came");
}

// ---- monitors and tasks ----

json kept_processes::down(const json& command) {
  auto watched = there_()->monitor(text(command, "to"));
  if (const auto gone = watched.wait(time_of(command, "withinMs", 5000))) return {{"reason", fields(gone->reason)}};
  too_late("it did not end");
}

void kept_processes::told_task::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex);
  told.wait(lock, stop, [this] { return !how.empty(); });
  if (how == "error") throw std::runtime_error(text);
}

std::shared_ptr<kept_processes::told_task> kept_processes::task_of(const json& command) {
  const std::lock_guard lock(mutex_);
  return tasks_.at(text(command, "task"));
}

json kept_processes::link(const json& command) {
  const auto kept = std::make_shared<told_task>();
  kept->task = std::make_unique<linked_task>(
      there_()->link(text(command, "to"), [told = kept.get()](const std::stop_token& stop) { told->run(stop); }));
  const std::lock_guard lock(mutex_);
  tasks_[text(command, "task")] = kept;
  return {};
}

json kept_processes::end_task(const json& command) {
  const auto kept = task_of(command);
  if (text(command, "ends") == "cancel") return kept->task->cancel(), json();
  {
    const std::lock_guard lock(kept->mutex);
    kept->text = text(command, "text");
    kept->how = text(command, "ends");
  }
  kept->told.notify_all();
  return {};
}

json kept_processes::await(const json& command) {
  const auto kept = task_of(command);
  if (!kept->task->wait(time_of(command, "withinMs", 5000))) too_late("the task did not end");
  const auto outcome = [](const char* how, json reason = nullptr) {
    return json{{"outcome", how}, {"reason", std::move(reason)}};
  };
  try {
    kept->task->get();
    return outcome("returned");
  } catch (const process_exit& why) {
    return outcome("cancelled", fields(why.reason()));
  } catch (const error& why) {
    return outcome(why.code() == "cancelled" ? "cancelled" : "failed");
  } catch (const std::exception&) {
    return outcome("failed");
  }
}

void kept_processes::clear() {
  decltype(processes_) processes;
  decltype(tasks_) tasks;
  const std::lock_guard lock(mutex_);
  processes.swap(processes_);
  tasks.swap(tasks_);
}

}  // namespace orrery::app::conformance
