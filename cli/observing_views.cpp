#include "cli/observing_views.hpp"

#include "cli/fields.hpp"
#include "cli/format.hpp"

#include <fmt/format.h>

namespace orrery::cli {

namespace {

using nlohmann::json;
using align = table::align;

tone tone_of(const std::string& decision) {
  if (decision == "restarted") return tone::good;
  if (decision == "waits") return tone::warning;
  return tone::bad;
}

/// "call add 5"
std::string message_of(const json& crash) {
  const auto& message = part_of(crash, "message");
  if (message.empty()) return "-";
  auto out = text_of(message, "kind");
  for (const auto* part : {"method", "argument"}) {
    if (const auto text = text_of(message, part); text != "-") out += " " + text;
  }
  return out;
}

std::string cut(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  text.resize(most);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0U) == 0x80U)
    text.pop_back();
  if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0U) text.pop_back();
  return text + "…";
}

std::string rate_of(const json& process, const char* key) {
  const auto found = number_of(process, key);
  if (!found) return "-";
  return *found < 10 ? fmt::format("{:.1f}", *found) : fmt::format("{:.0f}", *found);
}

std::string supervisors_of(const json& document, look how) {
  std::string out;
  for (const auto& each : list_of(document, "supervisors")) {
    out +=
        fmt::format("{}  {}  {}: {}\n", painted(text_of(each, "at"), tone::faint, how.colours), text_of(each, "node"),
                    painted("supervisor of " + text_of(each, "class") + " gave up", tone::bad, how.colours),
                    text_of(each, "reason"));
  }
  return out;
}

/// Everything that is known of one crash.
std::string whole_crash(const json& crash, look how) {
  const std::vector<std::pair<const char*, std::string>> lines{
      {"Node", text_of(crash, "node")},
      {"Pid", text_of(crash, "pid")},
      {"Reason", painted(text_of(crash, "reason"), tone::bad, how.colours)},
      {"Message", message_of(crash)},
      {"State", fmt::format("{} ({})", text_of(crash, "state"), size_text(number_of(crash, "stateBytes").value_or(0)))},
      {"Mailbox", text_of(crash, "mailbox")},
      {"Handled", text_of(crash, "handled")},
      {"Age", time_or_dash(crash, "ageSeconds", age)},
      {"Restarts", text_of(crash, "restarts")},
      {"Class version", text_of(crash, "classVersion")},
      {"Decision", painted(text_of(crash, "decision"), tone_of(text_of(crash, "decision")), how.colours)}};
  auto out = fmt::format("{}  {}\n", text_of(crash, "at"), painted(name_of(crash), tone::strong, how.colours));
  for (const auto& [title, content] : lines)
    out += fmt::format("  {:<15}{}\n", std::string(title) + ":", content);
  return out;
}

}  // namespace

std::string show_crashes(const json& document, look how) {
  const auto& crashes = list_of(document, "crashes");
  std::string out;
  if (how.wide) {
    for (const auto& crash : crashes)
      out += whole_crash(crash, how);
  } else {
    table all({{"AGO", align::right}, {"NAME"}, {"NODE"}, {"DECISION"}, {"MESSAGE"}, {"REASON"}});
    for (const auto& crash : crashes) {
      const auto decision = text_of(crash, "decision");
      all.add({{time_or_dash(crash, "agoSeconds", age)},
               {name_of(crash)},
               {text_of(crash, "node")},
               {decision, tone_of(decision)},
               {cut(message_of(crash), 40)},
               {cut(text_of(crash, "reason"), 100)}});
    }
    if (!all.empty()) out = all.render(how.colours);
  }
  out += supervisors_of(document, how);
  return out.empty() ? "No crashes are remembered.\n" : out;
}

std::string show_top(const json& document, look how) {
  std::vector<table::column> columns{{"NAME"},
                                     {"NODE"},
                                     {"STATE"},
                                     {"MAILBOX", align::right},
                                     {"OLDEST", align::right},
                                     {"MEMORY", align::right},
                                     {"MESSAGES/S", align::right},
                                     {"REDUCTIONS/S", align::right},
                                     {"HANDLED", align::right}};
  if (how.wide) columns.emplace_back(table::column{"PID"});
  table all(columns);
  for (const auto& process : list_of(document, "processes")) {
    const auto state = text_of(process, "state");
    const auto memory = number_of(process, "memoryBytes");
    std::vector<cell> row{{cut(name_of(process), 60)},
                          {text_of(process, "node")},
                          {state, state == "running" ? tone::good : tone::warning},
                          {text_of(process, "mailbox")},
                          {time_or_dash(process, "oldestSeconds", short_time)},
                          {memory ? size_text(*memory) : "-"},
                          {rate_of(process, "messagesPerSecond")},
                          {rate_of(process, "reductionsPerSecond")},
                          {text_of(process, "handled")}};
    if (how.wide) row.push_back({text_of(process, "pid")});
    all.add(std::move(row));
  }
  if (all.empty()) return fmt::format("Of {} no process has any now; --by memory lists them all.\n", text_of(document, "by"));
  return all.render(how.colours);
}

std::string show_traced(const std::string& type, const json& document, look how) {
  if (type == "tracing") {
    return painted(fmt::format("{} on {}", name_of(document), text_of(document, "node")), tone::faint, how.colours);
  }
  if (type == "dropped") {
    return painted(fmt::format("{} more were dropped", text_of(document, "count")), tone::bad, how.colours);
  }
  if (type == "ended") {
    const auto why = text_of(document, "reason");
    return painted("ended: " + why, why == "limit" || why == "time" ? tone::faint : tone::bad, how.colours);
  }
  auto out = painted(text_of(document, "at"), tone::faint, how.colours) + "  " + text_of(document, "kind");
  for (const auto* part : {"method", "argument"}) {
    if (const auto text = text_of(document, part); text != "-") out += " " + text;
  }
  if (const auto from = text_of(document, "from"); from != "-") out += " from " + from;
  const auto outcome = text_of(document, "outcome");
  const bool bad = outcome == "error" || outcome == "exit";
  if (outcome != "-") out += " → " + painted(outcome, bad ? tone::bad : tone::good, how.colours);
  if (const auto answer = text_of(document, "answer"); answer != "-") out += " " + answer;
  std::string timing;
  if (const auto waited = number_of(document, "waitedSeconds")) timing += "waited " + short_time(*waited);
  if (const auto took = number_of(document, "tookSeconds")) timing += ", took " + short_time(*took);
  if (!timing.empty()) out += "  " + painted("(" + timing + ")", tone::faint, how.colours);
  return out;
}

}  // namespace orrery::cli
