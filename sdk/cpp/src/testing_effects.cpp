// The test kit: what follows from a handler's effects, and what comes to a process from others.
#include "orrery/app/testing.hpp"
#include "values.hpp"
#include <algorithm>

namespace orrery::app::testing {
namespace {

json error_fields(const std::string& code, const std::string& text, effect took) {
  return {{"error", {{"code", code}, {"text", text}, {"effect", to_text(took)}}}};
}

json down_fields(const std::string& pid, const exit_reason& why) { return {{"pid", pid}, {"reason", fields_of(why)}}; }

[[noreturn]] void refuse_unknown(std::string_view name, const char* what, std::string_view which) {
  throw error("not_found", std::string(name) + " has no " + what + " '" + std::string(which) + "'",
              effect::not_executed);
}

}  // namespace

// ---- what a test does ----

void host::reply(std::string_view name, std::string_view request, json with) {
  check_value(with, "reply");
  const auto waiting = life_of(name).requests.find(std::string(request));
  if (waiting == life_of(name).requests.end()) refuse_unknown(name, "request", request);
  answer_request(name_of(name), waiting->first, waiting->second.number, {{"ok", std::move(with)}});
  settle();
}

void host::fail(std::string_view name, std::string_view request, const error& why) {
  const auto waiting = life_of(name).requests.find(std::string(request));
  if (waiting == life_of(name).requests.end()) refuse_unknown(name, "request", request);
  answer_request(name_of(name), waiting->first, waiting->second.number,
                 error_fields(why.code(), why.text(), why.took_effect()));
  settle();
}

void host::down(std::string_view name, std::string_view monitor, const exit_reason& why) {
  static_cast<void>(life_of(name));
  const auto watched = alive(name_of(name)).monitors.extract(std::string(monitor));
  if (watched.empty()) refuse_unknown(name, "monitor", monitor);
  const auto& at = watched.mapped();
  inform(name_of(name), watched.key(), "down", down_fields(at.pid.empty() ? at.to : at.pid, why));
  settle();
}

void host::hand_off(std::string_view name) {
  check_idle();
  static_cast<void>(life_of(name));
  const auto of = name_of(name);
  auto& one = alive(of);
  const auto before = std::exchange(one.pid, new_pid());
  one.moved = true;
  one.monitors.clear();
  for (const auto& [number, caller] : std::exchange(one.kept, {}))
    caller->fail("process_exited", of + " has moved to another node", effect::unknown);
  tell_watchers(before, {.kind = "moved", .text = {}});
  while (!one.requests.empty()) {
    const auto first = *one.requests.begin();
    answer_request(of, first.first, first.second.number,
                   error_fields("unavailable", of + " has moved to another node", effect::unknown));
  }
  ready_.push_back(of);
  settle();
}

// ---- what it sees ----

std::vector<std::string> host::groups(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [group, times] : life_of(name).groups)
    all.push_back(group);
  return all;
}

std::vector<std::string> host::members(const std::string& group) const {
  std::vector<std::string> all;
  for (const auto& [name, one] : lives_)
    if (one.groups.contains(group)) all.push_back(name);
  return all;
}

std::map<std::string, std::string> host::requests(std::string_view name) const {
  std::map<std::string, std::string> all;
  for (const auto& [request, each] : life_of(name).requests)
    all[request] = each.to;
  return all;
}

std::map<std::string, std::string> host::monitors(std::string_view name) const {
  std::map<std::string, std::string> all;
  for (const auto& [monitor, each] : life_of(name).monitors)
    all[monitor] = each.to;
  return all;
}

// ---- processes and time ----

std::string host::new_pid() { return "test@0." + std::to_string(++numbers_) + ".1"; }

host::life& host::alive(const std::string& name) {
  auto& one = lives_[name];
  if (one.pid.empty()) one.pid = new_pid();
  return one;
}

/// Of a process under test that is alive.
std::optional<std::string> host::name_at(const std::string& to) const {
  const auto found = std::find_if(lives_.begin(), lives_.end(),
                                  [&](const auto& each) { return each.first == to || each.second.pid == to; });
  return found == lives_.end() ? std::nullopt : std::optional(found->first);
}

std::optional<host::due> host::next_due(std::chrono::milliseconds until) const {
  std::optional<due> first;
  const auto look_at = [&](due each) {
    if (each.at > until) return;
    if (!first || std::pair(each.at, each.number) < std::pair(first->at, first->number)) first = std::move(each);
  };
  for (const auto& [name, one] : lives_) {
    for (const auto& [word, each] : one.timers)
      look_at({.at = each.at, .number = each.number, .kind = due_kind::timer, .name = name, .word = word});
    for (const auto& [word, each] : one.requests)
      look_at({.at = each.until, .number = each.number, .kind = due_kind::deadline, .name = name, .word = word});
  }
  return first;
}

void host::tell_watchers(const std::string& pid, const exit_reason& why) {
  for (auto& [name, one] : lives_) {
    for (auto each = one.monitors.begin(); each != one.monitors.end();) {
      const auto monitor = each++;
      if (monitor->second.pid != pid) continue;
      inform(name, monitor->first, "down", down_fields(pid, why));
      one.monitors.erase(monitor);
    }
  }
}

// ---- effects ----

void host::carry_out(const std::string& name, life& one, const json& deed) {
  const auto kind = deed.begin().key();
  const auto& what = deed.begin().value();
  if (kind == "cast") {
    send(what);
  } else if (kind == "timer") {
    one.timers[what.at("name")] = {.at = now_ + std::chrono::milliseconds(what.at("afterMs").get<std::int64_t>()),
                                   .number = ++numbers_,
                                   .argument = what.at("argument")};
  } else if (kind == "cancelTimer") {
    one.timers.erase(what.get<std::string>());
  } else if (kind == "send") {
    sends_.push_back({.to = what.at("to"), .word = what.at("word"), .argument = what.at("argument")});
    if (const auto to = name_at(sends_.back().to)) deliver(*to, what);
  } else if (kind == "publish") {
    publishes_.push_back({.group = what.at("group"), .word = what.at("word"), .argument = what.at("argument")});
    for (const auto& member : members(publishes_.back().group))
      deliver(member, what);
  } else if (kind == "join") {
    ++one.groups[what.get<std::string>()];
  } else if (kind == "leave") {
    const auto joined = one.groups.find(what.get<std::string>());
    if (joined != one.groups.end() && --joined->second == 0) one.groups.erase(joined);
  } else if (kind == "call") {
    ask_for(name, one, what);
  } else if (kind == "monitor") {
    watch_for(name, one, what);
  } else if (kind == "demonitor") {
    one.monitors.erase(what.get<std::string>());
  } else {
    answer_late(one, what);
  }
}

void host::answer_late(life& one, const json& late) {
  auto waiting = one.kept.extract(late.at("to").get<std::uint64_t>());
  if (waiting.empty()) return;
  if (late.contains("error")) {
    const auto& no = late["error"];
    waiting.mapped()->fail(no.at("code"), no.at("text"), effect_of(no.value("effect", "executed")));
  } else {
    waiting.mapped()->answer(late.at("reply"));
  }
}

void host::deliver(const std::string& name, const json& plain) {
  inform(name, plain.at("word"), "message", plain.at("argument"));
}

/// Without a class under test or an answer that stands in, the test replies, or its time runs out.
void host::ask_for(const std::string& name, life& one, const json& call) {
  const auto to = call.at("to").get<std::string>();
  const auto method = call.at("method").get<std::string>();
  const auto request = call.at("name").get<std::string>();
  const auto number = ++numbers_;
  const std::chrono::milliseconds time(call.value("timeoutMs", 5000));
  one.requests[request] = {.to = to, .until = now_ + time, .number = number};
  const bool is_pid = to.find('/') == std::string::npos;
  const auto asked = is_pid ? name_at(to) : std::optional(to);
  try {
    if (!asked) return;
    if (classes_.contains(class_in(*asked))) {
      auto caller = std::make_shared<pending::box>();
      caller->to = *asked;
      caller->then = [this, name, request, number](const pending::box& answered) {
        const auto& failed = answered.failure;
        answer_request(name, request, number,
                       failed ? error_fields(failed->code(), failed->text(), failed->took_effect())
                              : json{{"ok", *answered.reply}});
      };
      post_asked(*asked, "call", method, call.at("argument"), caller);
    } else if (auto reply = stand_in(*asked, method, call.at("argument"))) {
      answer_request(name, request, number, {{"ok", std::move(*reply)}});
    }
  } catch (const error& why) {
    answer_request(name, request, number, error_fields(why.code(), why.text(), why.took_effect()));
  }
}

/// Nothing happens where it waits for that no more.
void host::answer_request(const std::string& name, const std::string& request, std::uint64_t number, json with) {
  const auto found = lives_.find(name);
  if (found == lives_.end()) return;
  const auto waiting = found->second.requests.find(request);
  if (waiting == found->second.requests.end() || waiting->second.number != number) return;
  const auto answered = found->second.requests.extract(waiting);  // whose key `request` may be
  inform(name, answered.key(), "reply", std::move(with));
}

void host::watch_for(const std::string& name, life& one, const json& monitor) {
  const auto to = monitor.at("to").get<std::string>();
  const auto word = monitor.at("name").get<std::string>();
  const auto watched = name_at(to);
  const bool is_pid = to.find('/') == std::string::npos;
  one.monitors.erase(word);
  if (watched) {
    one.monitors[word] = {.to = to, .pid = lives_.at(*watched).pid};
  } else if (!is_pid && !classes_.contains(class_in(to))) {
    one.monitors[word] = {.to = to, .pid = {}};
  } else {
    inform(name, word, "down", down_fields(to, {.kind = "noproc", .text = {}}));
  }
}

}  // namespace orrery::app::testing
