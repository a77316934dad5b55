#include "sidecar/load_metrics.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace orrery::sidecar {

namespace {

using nlohmann::json;

struct family {
  const char* field;
  const char* name;
  const char* help;
};

constexpr std::array<family, 6> of_classes{{
    {"mailbox", "mailbox_messages", "Messages that wait, in all mailboxes of a class."},
    {"mailboxMax", "mailbox_messages_max", "Messages that wait in the fullest mailbox of a class."},
    {"mailboxBytes", "mailbox_bytes", "Arguments that wait, in all mailboxes of a class."},
    {"oldestSeconds", "mailbox_oldest_seconds", "For how long the message of a class that is next has waited at most."},
    {"suspended", "processes_suspended", "Processes that somebody suspended."},
    {"memoryBytes", "process_memory_bytes", "What the processes of a class take, an estimate."},
}};
constexpr std::array<family, 4> of_node{{
    {"runQueue", "run_queue_length", "Processes that wait for their turn."},
    {"queuedBytes", "queued_bytes", "Arguments that wait, in all mailboxes."},
    {"traces", "traces_active", "Traces of processes of this node."},
    {"censusAgeSeconds", "census_age_seconds",
     "How old the numbers of classes are: a node of many processes looks at all of them seldom."},
}};

double number_of(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

}  // namespace

void add_load(metrics_snapshot& out, const value& load, const std::set<std::string>& known) {
  const auto document = load.document();
  if (!document.is_object()) return;
  const auto classes = document.value("classes", json::array());
  const auto crashes = document.value("crashes", json::object());
  for (const auto& each : of_classes) {
    for (const auto& klass : classes) {
      const auto name = klass.value("class", "");
      if (known.contains(name)) out.gauge(each.name, each.help, number_of(klass, each.field), {{"class", name}});
    }
  }
  for (const auto& each : of_node)
    out.gauge(each.name, each.help, number_of(document, each.field));
  for (const auto& [decision, count] : crashes.items()) {
    out.counter("crash_reports_total", "Crashes by what the supervisor did about them; `waits`: nothing yet.",
                count.is_number_unsigned() ? count.get<std::uint64_t>() : 0, {{"decision", decision}});
  }
}

}  // namespace orrery::sidecar
