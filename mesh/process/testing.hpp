#pragma once
// For this room's tests: a runtime with a clock that the test turns by hand.
#include "mesh/process/runtime.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orrery::process::testing {

using namespace std::chrono_literals;

inline value json(std::string_view text) { return value::from_json(text).value(); }
inline process_name named(std::string_view text) { return parse_process_name(text).value(); }

inline class_spec counter_class(std::string name = "counter") {
  class_spec spec;
  spec.name = class_name{std::move(name)};
  return spec;
}
inline class_spec kv_class(std::string name = "kv") {
  class_spec spec = counter_class(std::move(name));
  spec.behaviour = builtin_kind::kv;
  return spec;
}
/// A class of the kind's own name.
inline class_spec builtin_class(builtin_kind kind, std::string_view options = "null") {
  class_spec spec = counter_class(std::string{to_string(kind)});
  spec.behaviour = kind;
  spec.options = json(options);
  return spec;
}
inline class_spec lua_class(std::string script, std::string name = "lua") {
  class_spec spec = counter_class(std::move(name));
  spec.behaviour = lua_source{std::move(script)};
  return spec;
}

struct world {
  runtime rt{{.node = {node_name{"demo-aaaaa"}, boot_number{7}}, .seed = 1}};
  time_point now{1s};
  effects out;  ///< everything since the last `collect`
  std::map<std::uint64_t, result<value>> replies;
  std::vector<process_event> events;
  std::vector<cast_sent> casts;
  std::vector<escalated> escalations;
  std::vector<app_effect> to_apps;
  std::vector<process_name> movables;
  std::vector<script_failure> failures;
  std::vector<supervisor_event> supervisors;
  std::uint64_t next_token = 1;
  std::map<std::uint64_t, asker> named_calls;  ///< of processes, through names

  void collect() {
    while (!out.empty()) {
      for (auto& each : std::exchange(out, {}))
        take(each);
    }
  }
  /// Where a node is alone, all names are its own, and it grants all keys.
  void take(effect& each) {
    if (auto* asked = std::get_if<name_called>(&each)) {
      const auto token = next_token++;
      named_calls.emplace(token, asked->by);
      rt.call(now, {asked->name, asked->method, asked->argument, asked->deadline, reply_token{token}}, out);
    } else if (auto* sought = std::get_if<name_sought>(&each)) {
      const auto who = rt.whereis(sought->name);
      rt.name_found(now, sought->stand_in, who ? result<pid>{*who} : result<pid>{fail(errc::not_found, "none")}, out);
    } else if (auto* claimed = std::get_if<key_claimed>(&each)) {
      (void)rt.key_answered(now, claimed->number, json("true"), out);
    } else if (auto* reply = std::get_if<replied>(&each);
               reply != nullptr && named_calls.contains(reply->token.value)) {
      const auto by = named_calls.extract(reply->token.value);
      rt.name_answered(now, by.mapped(), std::move(reply->reply), out);
    } else {
      note(each);
    }
  }
  void note(effect& each) {
    if (auto* reply = std::get_if<replied>(&each)) {
      const bool first = replies.emplace(reply->token.value, reply->reply).second;
      EXPECT_TRUE(first) << "token " << reply->token.value << " answered twice";
    } else if (auto* event = std::get_if<process_event>(&each)) {
      events.push_back(*event);
    } else if (auto* cast = std::get_if<cast_sent>(&each)) {
      casts.push_back(*cast);
    } else if (auto* up = std::get_if<escalated>(&each)) {
      escalations.push_back(*up);
    } else if (auto* seen = std::get_if<supervisor_event>(&each)) {
      supervisors.push_back(*seen);
    } else if (auto* told = std::get_if<to_app>(&each)) {
      to_apps.push_back(std::move(told->what));
    } else if (auto* idle = std::get_if<movable>(&each)) {
      movables.push_back(idle->name);
    } else if (auto* failed = std::get_if<script_failure>(&each)) {
      failures.push_back(*failed);
    }
  }
  void run() {
    do {
      while (rt.run(now, 1000, out)) {
      }
      collect();
    } while (rt.run(now, 1000, out) || !out.empty());
  }
  std::uint64_t send(std::string_view name, std::string method, value argument = {}, time_point deadline = never) {
    const auto token = next_token++;
    rt.call(now, {named(name), std::move(method), std::move(argument), deadline, reply_token{token}}, out);
    collect();
    return token;
  }
  result<value> reply_to(std::uint64_t token) {
    const auto found = replies.find(token);
    if (found == replies.end()) return fail(errc::internal, "no answer yet");
    return found->second;
  }
  result<value> call(std::string_view name, std::string method, std::string_view argument = "null") {
    const auto token = send(name, std::move(method), json(argument));
    run();
    return reply_to(token);
  }
  /// The reply as JSON text, or the error as text.
  std::string ask(std::string_view name, std::string method, std::string_view argument = "null") {
    const auto reply = call(name, std::move(method), argument);
    return reply ? reply->json_text() : to_string(reply.error());
  }
  void cast(std::string_view name, std::string method, std::string_view argument = "null") {
    (void)rt.cast(now, named(name), std::move(method), json(argument), out);
    run();
  }
  /// As a node that owns every name does after a change of the classes.
  void keep_declared() {
    EXPECT_TRUE(rt.arrange(now, out));
    for (const auto& child : rt.declared())
      (void)rt.start_declared(now, child.name, out);
    run();
  }
  std::string state_of(std::string_view name) const {
    static constexpr std::array names{"absent", "running", "restarting", "ended", "given up"};
    for (const auto& child : rt.declared()) {
      if (child.name == named(name)) return names.at(static_cast<std::size_t>(child.what));
    }
    return "not declared";
  }
  const supervisor_info supervisor_of(std::string_view klass) const {
    for (auto& each : rt.supervisors()) {
      if (each.klass.value == klass) return each;
    }
    return {};
  }
  bool kill(std::string_view name, std::string reason = "test") {
    const bool killed = rt.kill(now, named(name), std::move(reason), out);
    collect();
    return killed;
  }
  bool stop(std::string_view name) {
    const bool stopped = rt.stop(now, named(name), out);
    collect();
    return stopped;
  }
  void pass(duration span) {
    now += span;
    run();
  }
  /// A call that waits for its answer.
  std::uint64_t ask_later(std::string_view name, std::string method, std::string_view argument,
                          time_point deadline = never) {
    const auto token = send(name, std::move(method), json(argument), deadline);
    run();
    return token;
  }
  /// The answer as JSON text, an error as text, or "waits".
  std::string answer(std::uint64_t token) {
    const auto found = replies.find(token);
    if (found == replies.end()) return "waits";
    return found->second ? found->second->json_text() : to_string(found->second.error());
  }
  /// Takes a process out of this world and installs it in another, with its callers; `took` goes by on the way.
  void move(std::string_view name, world& to, duration took = 0ms) {
    auto packed = rt.take(now, named(name), out);
    ASSERT_TRUE(packed) << to_string(packed.error());
    ASSERT_TRUE(value::from_cbor(packed->state.cbor())) << "the state is no value";
    collect();
    to.now = now + took;
    to.next_token = std::max(to.next_token, next_token);
    const auto installed = to.rt.install(to.now, std::move(*packed), to.out);
    EXPECT_TRUE(installed) << to_string(installed.error());
    to.run();
  }
  std::vector<process_event::kind> kinds_of(std::string_view name) const {
    std::vector<process_event::kind> kinds;
    for (const auto& event : events) {
      if (event.name == named(name)) kinds.push_back(event.what);
    }
    return kinds;
  }
};

}  // namespace orrery::process::testing
