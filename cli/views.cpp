#include "cli/views.hpp"

#include "cli/fields.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <initializer_list>

namespace orrery::cli {

namespace {

using nlohmann::json;
using align = table::align;

std::string last_exit_of(const json& process) {
  const auto& last = part_of(process, "lastExit");
  if (last.empty()) return "-";
  return fmt::format("{} ({} ago)", text_of(last, "reason"), time_or_dash(last, "agoSeconds", age));
}

std::string size_or_dash(const json& object, const char* key) {
  const auto found = number_of(object, key);
  return found ? size_text(*found) : "-";
}

std::string joined(const json& object, const char* key) {
  std::string out;
  for (const auto& each : list_of(object, key))
    out += (out.empty() ? "" : ", ") + (each.is_string() ? each.get<std::string>() : each.dump());
  return out.empty() ? "-" : out;
}

cell restarts_of(const json& object) {
  const auto count = number_of(object, "restarts").value_or(0);
  return {text_of(object, "restarts"), count > 0 ? tone::warning : tone::none};
}

}  // namespace

std::string show_nodes(const json& document, look how) {
  std::vector<table::column> columns{
      {"NAME"}, {"STATE"}, {"ADDRESS"}, {"PROCESSES", align::right}, {"RTT", align::right}, {"VERSION"}};
  if (how.wide) columns.insert(columns.end(), {{"UID"}, {"BOOT"}});
  table out(columns);
  for (const auto& node : list_of(document, "nodes")) {
    const auto state = text_of(node, "state");
    std::vector<cell> row{{text_of(node, "name")},
                          {state, tone_of_state(state)},
                          {text_of(node, "address")},
                          {text_of(node, "processes")},
                          {time_or_dash(node, "rttSeconds", short_time)},
                          {text_of(node, "version")}};
    if (how.wide) row.insert(row.end(), {cell{text_of(node, "uid")}, cell{text_of(node, "boot")}});
    out.add(std::move(row));
  }
  if (out.empty()) return "No nodes.\n";
  return out.render(how.colours);
}

std::string show_processes(const json& document, look how) {
  std::vector<table::column> columns{{"NAME"},
                                     {"NODE"},
                                     {"STATE"},
                                     {"MAILBOX", align::right},
                                     {"HANDLED", align::right},
                                     {"RESTARTS", align::right},
                                     {"AGE", align::right}};
  if (how.wide) {
    columns.insert(columns.end(), {{"REDUCTIONS", align::right},
                                   {"MEMORY", align::right},
                                   {"PID"},
                                   {"CLASS VERSION", align::right},
                                   {"LAST EXIT"}});
  }
  table out(columns);
  for (const auto& process : list_of(document, "processes")) {
    const auto state = text_of(process, "state");
    std::vector<cell> row{{name_of(process)},
                          {text_of(process, "node")},
                          {state, tone_of_state(state)},
                          {text_of(process, "mailbox")},
                          {text_of(process, "handled")},
                          restarts_of(process),
                          {time_or_dash(process, "ageSeconds", age)}};
    if (how.wide) {
      row.insert(row.end(),
                 {cell{text_of(process, "reductions")}, cell{size_or_dash(process, "memoryBytes")},
                  cell{text_of(process, "pid")}, cell{text_of(process, "classVersion")}, cell{last_exit_of(process)}});
    }
    out.add(std::move(row));
  }
  if (out.empty()) return "No such process runs. One starts on its first call, as: orrery call counter/a add 1\n";
  return out.render(how.colours);
}

std::string show_groups(const json& document, look how) {
  table out({{"GROUP"}, {"MEMBERS", align::right}, {"HERE", align::right}});
  for (const auto& group : list_of(document, "groups"))
    out.add({{text_of(group, "name")}, {text_of(group, "members")}, {text_of(group, "here")}});
  if (out.empty()) return "No such group has members.\n";
  return out.render(how.colours);
}

std::string show_group(const json& document, look how) {
  table out({{"PID"}, {"NODE"}});
  for (const auto& member : list_of(document, "members"))
    out.add({{text_of(member, "pid")}, {text_of(member, "node")}});
  if (out.empty()) return "The group has no members.\n";
  return out.render(how.colours);
}

std::string show_registry(const json& document, look how) {
  table out({{"KEY"}, {"KIND"}, {"PID"}, {"NODE"}, {"VALUE"}});
  for (const auto& entry : list_of(document, "entries")) {
    const bool unique = text_of(entry, "unique") == "true";
    out.add({{text_of(entry, "key")},
             {unique ? "unique" : "duplicate"},
             {text_of(entry, "pid")},
             {text_of(entry, "node")},
             {text_of(entry, "value")}});
  }
  if (out.empty()) return "No process holds such a key.\n";
  return out.render(how.colours);
}

std::string show_classes(const json& document, look how) {
  std::vector<table::column> columns{{"NAME"},
                                     {"VERSION", align::right},
                                     {"BEHAVIOUR"},
                                     {"PARENT"},
                                     {"CHILDREN", align::right},
                                     {"STRATEGY"},
                                     {"RESTART"},
                                     {"INTENSITY"},
                                     {"ESCALATE"},
                                     {"CALL TIMEOUT", align::right},
                                     {"ERROR"}};
  if (how.wide) {
    columns.insert(columns.end(), {{"CHILD INTENSITY", align::right},
                                   {"MAILBOX", align::right},
                                   {"WHEN FULL"},
                                   {"MAX PROCESSES", align::right},
                                   {"STATE BYTES", align::right}});
  }
  table out(columns);
  for (const auto& klass : list_of(document, "classes")) {
    const auto& supervision = part_of(klass, "supervision");
    const auto& limits = part_of(klass, "limits");
    std::vector<cell> row{{text_of(klass, "name")},
                          {text_of(klass, "version")},
                          {text_of(klass, "behaviour")},
                          {text_of(supervision, "parent")},
                          {std::to_string(list_of(klass, "children").size())},
                          {text_of(supervision, "strategy")},
                          {text_of(supervision, "restart")},
                          {intensity_of(supervision)},
                          {text_of(supervision, "escalate")},
                          {time_or_dash(klass, "callTimeoutSeconds", short_time)},
                          {text_of(klass, "error"), text_of(klass, "error") == "-" ? tone::none : tone::bad}};
    if (how.wide) {
      row.insert(row.end(), {cell{text_of(supervision, "childIntensity")}, cell{text_of(limits, "mailbox")},
                             cell{text_of(limits, "mailboxPolicy")}, cell{text_of(limits, "maxProcesses")},
                             cell{text_of(limits, "stateBytes")}});
    }
    out.add(std::move(row));
  }
  if (out.empty()) return "No classes. Apply a ProcessClass, as: kubectl apply -f manifests/samples/counter.yaml\n";
  return out.render(how.colours);
}

std::string show_tree_nodes(const json& document, look how) {
  table all({{"NODE"}, {"SUPERVISORS", align::right}, {"PROCESSES", align::right}, {"RESTARTS", align::right}});
  for (const auto& node : list_of(document, "nodes")) {
    double processes = 0;
    double restarts = 0;
    const auto& supervisors = list_of(node, "supervisors");
    for (const auto& each : supervisors) {
      processes += number_of(each, "children").value_or(0);
      restarts += number_of(each, "restarts").value_or(0);
    }
    all.add({{text_of(node, "node")},
             {std::to_string(supervisors.size())},
             {fmt::format("{:.0f}", processes)},
             {fmt::format("{:.0f}", restarts), restarts > 0 ? tone::warning : tone::none}});
  }
  return all.empty() ? "No nodes.\n" : all.render(how.colours);
}

namespace {

std::string show_given_up(const json& document, look how) {
  const auto left = number_of(document, "secondsLeft");
  return fmt::format("{:<15}{}\n{:<15}{}\n{:<15}{}\n{:<15}{}\n{:<15}in {}, or by: orrery release {}\n",
                     "Name:", name_of(document), "Node:", text_of(document, "node"),
                     "State:", painted("given up", tone::bad, how.colours), "Reason:", text_of(document, "reason"),
                     "Starts again:", left ? age(*left) : "-", name_of(document));
}

}  // namespace

std::string show_process(const json& document, look how) {
  const auto state = text_of(document, "state");
  if (state == "given up") return show_given_up(document, how);
  const auto oldest = number_of(document, "oldestSeconds");
  const auto mailbox = oldest ? fmt::format("{} ({}, the oldest for {})", text_of(document, "mailbox"),
                                            size_or_dash(document, "mailboxBytes"), short_time(*oldest))
                              : text_of(document, "mailbox");
  const std::vector<std::pair<std::string, std::string>> lines{
      {"Name", name_of(document)},
      {"Node", text_of(document, "node")},
      {"Pid", text_of(document, "pid")},
      {"State", painted(state, tone_of_state(state), how.colours)},
      {"Age", time_or_dash(document, "ageSeconds", age)},
      {"Mailbox", mailbox},
      {"Handled", text_of(document, "handled")},
      {"Reductions", text_of(document, "reductions")},
      {"Memory", size_or_dash(document, "memoryBytes")},
      {"Timers", text_of(document, "timers")},
      {"Links", joined(document, "links")},
      {"Monitors", joined(document, "monitors")},
      {"Monitored by", joined(document, "monitoredBy")},
      {"Restarts", text_of(document, "restarts")},
      {"Last exit", last_exit_of(document)},
      {"Supervisor", text_of(document, "supervisor")},
      {"Class version", text_of(document, "classVersion")}};
  std::string out;
  for (const auto& [title, content] : lines)
    out += fmt::format("{:<15}{}\n", title + ":", content);
  return out;
}

std::string show_event(const std::string& type, const json& document, look how) {
  auto how_loud = tone::none;
  if (type == "node_up" || type == "node_joined" || type == "rejoined" || type == "process_restarted" ||
      type == "process_released" || type == "supervisor_restarted")
    how_loud = tone::good;
  for (const auto* bad :
       {"node_down", "isolated", "escalated", "supervisor_gave_up", "process_given_up", "class_refused", "peer_refused",
        "config_refused", "control_plane_lost", "script_failed", "dropped"}) {
    if (type == bad) how_loud = tone::bad;
  }
  std::string about;
  if (document.is_object() && document.contains("class") && document.contains("key")) about = name_of(document);
  std::string rest;
  if (document.is_object()) {
    for (const auto& [key, content] : document.items()) {
      if (key == "at" || key == "node" || key == "key" || key == "pid" || (key == "class" && !about.empty())) continue;
      if (content.is_null()) continue;
      rest += fmt::format(" {}={}", key, content.is_string() ? content.get<std::string>() : content.dump());
    }
  }
  const auto at = text_of(document, "at");
  const auto pad = std::string(type.size() < 20 ? 20 - type.size() : 0, ' ');
  return fmt::format("{}  {}{}  {}{}{}", painted(at, tone::faint, how.colours), painted(type, how_loud, how.colours),
                     pad, text_of(document, "node"), about.empty() ? "" : "  " + about, rest.empty() ? "" : " " + rest);
}

std::string show_gaps(const json& document) {
  std::string out;
  for (const auto& node : list_of(document, "unreachable")) {
    out += fmt::format("{} did not answer: what runs there is not shown\n",
                       node.is_string() ? node.get<std::string>() : node.dump());
  }
  if (document.is_object() && document.value("truncated", false)) {
    out += "there are more; --limit N shows up to N\n";
  }
  return out;
}

}  // namespace orrery::cli
