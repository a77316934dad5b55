#pragma once
// For this room's tests: a runtime with a clock that the test turns by hand.
#include "mesh/process/runtime.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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
  std::uint64_t next_token = 1;

  void collect() {
    for (auto& each : out) {
      if (auto* reply = std::get_if<replied>(&each)) {
        const bool first = replies.emplace(reply->token.value, reply->reply).second;
        EXPECT_TRUE(first) << "token " << reply->token.value << " answered twice";
      } else if (auto* event = std::get_if<process_event>(&each)) {
        events.push_back(*event);
      } else if (auto* cast = std::get_if<cast_sent>(&each)) {
        casts.push_back(*cast);
      } else if (auto* up = std::get_if<escalated>(&each)) {
        escalations.push_back(*up);
      }
    }
    out.clear();
  }
  void run() {
    while (rt.run(now, 1000, out)) {
    }
    collect();
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
  std::vector<process_event::kind> kinds_of(std::string_view name) const {
    std::vector<process_event::kind> kinds;
    for (const auto& event : events) {
      if (event.name == named(name)) kinds.push_back(event.what);
    }
    return kinds;
  }
};

}  // namespace orrery::process::testing
