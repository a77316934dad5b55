#include "mesh/node/reports.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/node/documents.hpp"
#include "mesh/node/trace_flows.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace orrery::node {
namespace {

using nlohmann::json;

double seconds_of(duration span) { return std::chrono::duration<double>(span).count(); }
json seconds_or_null(const std::optional<duration>& span) { return span ? json(seconds_of(*span)) : json(); }
json text_or_null(const std::string& text) { return text.empty() ? json() : json(text); }

/// These documents are small, or cut before.
value encode(const json& document) {
  auto encoded = value::from_document(document);
  if (encoded) return *encoded;
  auto lost = value::from_document(json{{"error", encoded.error().context}});
  ORRERY_ASSERT(lost.has_value());
  return *lost;
}

/// "line 12: boom" -> 12
json line_of(const std::string& detail) {
  constexpr std::string_view prefix = "line ";
  if (!detail.starts_with(prefix)) return {};
  std::uint32_t line = 0;
  const auto [end, ec] = std::from_chars(detail.data() + prefix.size(), detail.data() + detail.size(), line);
  return ec == std::errc{} && end != detail.data() + detail.size() && *end == ':' ? json(line) : json();
}

json message_json(const process::crash_scene& scene) {
  if (scene.message_kind.empty()) return {};
  return {{"kind", scene.message_kind},
          {"method", text_or_null(scene.method)},
          {"argument", text_or_null(scene.argument)},
          {"argumentBytes", scene.argument_bytes}};
}

json crash_json(const report_context& here, const process::crash_report& of) {
  const auto reason = process::to_string(of.reason);
  const bool had_pid = of.decision != process::crash_decision::not_started;
  return {{"at", here.clock.text(of.at)},
          {"agoSeconds", seconds_of(here.now - of.at)},
          {"node", here.node.value},
          {"class", of.name.klass.value},
          {"key", of.name.key.value},
          {"pid", had_pid ? json(to_string(of.id)) : json()},
          {"classVersion", of.class_version},
          {"reason", reason},
          {"kind", reason.substr(0, reason.find(':'))},
          {"line", line_of(of.reason.detail)},
          {"message", message_json(of.scene)},
          {"state", text_or_null(of.scene.state)},
          {"stateBytes", of.scene.state_bytes},
          {"mailbox", of.scene.mailbox},
          {"handled", of.scene.handled},
          {"ageSeconds", seconds_of(of.lived)},
          {"restarts", of.restarts},
          {"decision", process::to_string(of.decision)}};
}

json great_json(const report_context& here, const process::runtime::great& of) {
  const auto& info = of.info;
  return {{"class", info.name.klass.value},
          {"key", info.name.key.value},
          {"node", here.node.value},
          {"pid", to_string(info.id)},
          {"state", state_name(info.state)},
          {"mailbox", info.mailbox},
          {"oldestSeconds", info.oldest ? json(seconds_of(here.now - *info.oldest)) : json()},
          {"memoryBytes", info.memory_bytes},
          {"handled", info.handled},
          {"reductions", info.reductions},
          {"messagesPerSecond", of.per_second ? json(of.per_second->messages) : json()},
          {"reductionsPerSecond", of.per_second ? json(of.per_second->reductions) : json()}};
}

/// Where the size of an entry of /v1/top is, for each measure.
constexpr std::array<const char*, process::measures> size_fields{"mailbox", "oldestSeconds", "memoryBytes",
                                                                 "reductionsPerSecond", "messagesPerSecond"};

double number_of(const json& entry, const char* field) {
  const auto found = entry.find(field);
  return found != entry.end() && found->is_number() ? found->get<double>() : 0;
}

/// The objects of the arrays called `field` in all parts.
std::vector<json> collect(const std::vector<json>& parts, const char* field) {
  std::vector<json> all;
  for (const auto& part : parts) {
    if (!part.is_object() || !part.contains(field) || !part[field].is_array()) continue;
    std::copy_if(part[field].begin(), part[field].end(), std::back_inserter(all),
                 [](const json& each) { return each.is_object(); });
  }
  return all;
}

/// What fits, by count and by size.
json keep(std::vector<json> all, std::size_t limit, std::size_t& bytes_left, bool& truncated) {
  json kept = json::array();
  for (auto& each : all) {
    const auto size = json::to_cbor(each).size() + 1;
    if (kept.size() >= limit || size > bytes_left) {
      truncated = true;
      break;
    }
    bytes_left -= size;
    kept.push_back(std::move(each));
  }
  return kept;
}

bool was_truncated(const std::vector<json>& parts) {
  return std::any_of(parts.begin(), parts.end(), [](const json& part) {
    return part.is_object() && part.contains("truncated") && part["truncated"] == true;
  });
}

json crashes_json(const std::vector<json>& parts, std::size_t limit) {
  auto crashes = collect(parts, "crashes");
  auto given_up = collect(parts, "supervisors");
  const auto sooner = [](const json& a, const json& b) {
    return number_of(a, "agoSeconds") < number_of(b, "agoSeconds");
  };
  std::stable_sort(crashes.begin(), crashes.end(), sooner);
  std::stable_sort(given_up.begin(), given_up.end(), sooner);
  bool truncated = was_truncated(parts);
  std::size_t bytes_left = list_bytes_max;
  json supervisors = keep(std::move(given_up), limit, bytes_left, truncated);
  json kept = keep(std::move(crashes), limit, bytes_left, truncated);
  return {{"crashes", std::move(kept)}, {"supervisors", std::move(supervisors)}, {"truncated", truncated}};
}

json top_json(const std::vector<json>& parts, process::measure by, std::size_t limit) {
  auto all = collect(parts, "processes");
  const auto* field = size_fields[static_cast<std::size_t>(by)];
  std::stable_sort(all.begin(), all.end(),
                   [&](const json& a, const json& b) { return number_of(a, field) > number_of(b, field); });
  bool truncated = false;
  std::size_t bytes_left = list_bytes_max;
  return {{"by", process::to_string(by)}, {"processes", keep(std::move(all), limit, bytes_left, truncated)}};
}

}  // namespace

// ---- questions ----

wire::control to_control(const node_question& asked, wire::correlation id, duration remaining) {
  json how = json::object();
  if (asked.key) how["key"] = asked.key->value;
  if (asked.asked == wire::verb::top) how["by"] = process::to_string(asked.by);
  return {.id = id,
          .asked = asked.asked,
          .name = {},
          .reason = {},
          .only = asked.only,
          .limit = asked.limit,
          .remaining = std::chrono::duration_cast<std::chrono::microseconds>(remaining),
          .hops = 0,
          .argument = how.empty() ? value{} : encode(how)};
}

result<node_question> question_of(const wire::control& asked) {
  node_question out{
      .asked = asked.asked, .only = asked.only, .limit = std::min<std::size_t>(asked.limit, list_limit_max)};
  const auto how = asked.argument.document();
  if (!how.is_object()) return out;
  if (const auto key = how.find("key"); key != how.end() && key->is_string()) out.key = process_key{*key};
  if (const auto by = how.find("by"); by != how.end() && by->is_string()) {
    const auto known = process::measure_from(by->get<std::string>());
    if (!known) return fail(errc::invalid_argument, "by is '" + by->get<std::string>() + "', which is not known here");
    out.by = *known;
  }
  return out;
}

std::string wall_clock::text(time_point at) const {
  using namespace std::chrono;
  const auto since_epoch =
      microseconds{static_cast<std::int64_t>(boot_.value)} + duration_cast<microseconds>(at - started_at_);
  const auto day = floor<days>(since_epoch);
  const year_month_day date{sys_days{day}};
  const hh_mm_ss time{floor<milliseconds>(since_epoch - day)};
  std::string out;
  const auto put = [&](std::int64_t number, std::size_t width, char after) {
    const auto digits = std::to_string(number);
    out.append(digits.size() < width ? width - digits.size() : 0, '0') += digits + after;
  };
  put(int{date.year()}, 4, '-');
  put(unsigned{date.month()}, 2, '-');
  put(unsigned{date.day()}, 2, 'T');
  put(time.hours().count(), 2, ':');
  put(time.minutes().count(), 2, ':');
  put(time.seconds().count(), 2, '.');
  put(time.subseconds().count(), 3, 'Z');
  return out;
}

// ---- answers ----

value crash_list(const report_context& here, const std::vector<process::crash_report>& crashes,
                 const std::vector<process::give_up_report>& given_up, std::size_t limit) {
  std::vector<json> listed;
  for (const auto& each : crashes)
    listed.push_back(crash_json(here, each));
  std::vector<json> supervisors;
  for (const auto& each : given_up) {
    supervisors.push_back({{"at", here.clock.text(each.at)},
                           {"agoSeconds", seconds_of(here.now - each.at)},
                           {"node", here.node.value},
                           {"class", each.klass.value},
                           {"reason", each.why},
                           {"escalate", escalation_name(each.to)}});
  }
  return encode(crashes_json({{{"crashes", std::move(listed)}, {"supervisors", std::move(supervisors)}}}, limit));
}

value top_list(const report_context& here, process::measure by, const std::vector<process::runtime::great>& found) {
  json listed = json::array();
  for (const auto& each : found)
    listed.push_back(great_json(here, each));
  return encode({{"by", process::to_string(by)}, {"processes", std::move(listed)}});
}

value load_document(const report_context& here, const process::runtime& from) {
  json classes = json::array();
  for (const auto& [name, load] : from.class_loads()) {
    classes.push_back({{"class", name.value},
                       {"processes", load.processes},
                       {"suspended", load.suspended},
                       {"mailbox", load.waiting},
                       {"mailboxMax", load.waiting_max},
                       {"mailboxBytes", load.waiting_bytes},
                       {"memoryBytes", load.memory_bytes},
                       {"oldestSeconds", load.oldest ? seconds_of(here.now - *load.oldest) : 0.0}});
  }
  json crashes = json::object();
  for (std::size_t i = 0; i < process::crash_decisions; ++i)
    crashes[std::string{process::to_string(static_cast<process::crash_decision>(i))}] = from.crashes().counted()[i];
  const auto ended = from.seen().ended_at();
  return encode({{"classes", std::move(classes)},
                 {"censusAgeSeconds", ended ? seconds_of(here.now - *ended) : 0.0},
                 {"runQueue", from.run_queue()},
                 {"queuedBytes", from.queued_bytes()},
                 {"traces", from.traces()},
                 {"crashes", std::move(crashes)}});
}

value trace_request(std::size_t limit, duration length) {
  return encode({{"limit", limit}, {"seconds", seconds_of(length)}});
}

result<trace_wanted> read_trace_request(const value& argument) {
  const auto document = argument.document();
  const bool whole = document.is_object() && document.contains("limit") && document["limit"].is_number_unsigned() &&
                     document.contains("seconds") && document["seconds"].is_number();
  if (!whole) return fail(errc::invalid_argument, "a trace takes a limit and seconds");
  const auto seconds = std::clamp(document["seconds"].get<double>(), 0.0, seconds_of(trace_length_max));
  return trace_wanted{std::clamp<std::size_t>(document["limit"].get<std::size_t>(), 1, trace_limit_max),
                      std::chrono::duration_cast<duration>(std::chrono::duration<double>{seconds})};
}

value trace_document(const report_context& here, const process_name& name, const process::trace_entry& what) {
  return encode({{"at", here.clock.text(what.at)},
                 {"node", here.node.value},
                 {"class", name.klass.value},
                 {"key", name.key.value},
                 {"pid", to_string(what.id)},
                 {"kind", what.kind},
                 {"method", text_or_null(what.method)},
                 {"argument", text_or_null(what.argument)},
                 {"argumentBytes", what.argument_bytes},
                 {"from", text_or_null(what.from)},
                 {"waitedSeconds", seconds_or_null(what.waited)},
                 {"tookSeconds", seconds_or_null(what.took)},
                 {"reductions", what.reductions},
                 {"outcome", text_or_null(what.outcome)},
                 {"answer", text_or_null(what.answer)}});
}

result<value> merge_parts(const node_question& asked, const std::vector<value>& parts,
                          const std::vector<std::string>& unreachable) {
  if (asked.asked == wire::verb::tree) return merge_trees(parts, unreachable);
  if (asked.asked == wire::verb::list) return merge_process_lists(parts, unreachable, asked.limit);
  std::vector<json> documents;
  for (const auto& each : parts)
    documents.push_back(each.document());
  auto merged = asked.asked == wire::verb::top ? top_json(documents, asked.by, asked.limit)
                                               : crashes_json(documents, asked.limit);
  merged["unreachable"] = unreachable;
  return value::from_document(merged);
}

}  // namespace orrery::node
