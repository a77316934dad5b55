#pragma once
// For this room's tests: a node's runtime and clients that are processes, played by the test.
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace orrery::process::testing {

inline constexpr std::string_view client_peer = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init(key, given)
  if key == "bad" then error("no") end
  return {given = given}
end
function c.call.given(state) return state.given end
function c.call.pid() return orrery.pid() end
function c.call.boom() error("boom") end
function c.cast.boom() error("boom") end
function c.call.tell(state, to)
  orrery.send(to, "hello", {n = 1})
  orrery.cast(to, "note", 2)
  return true
end
function c.call.ask(state, to) return orrery.call(to, "any") end
function c.call.join(state, group) orrery.join(group) return true end
function c.call.heard(state) return state.word end
function c.info.said(state, what) state.word = what end
return c
)";

inline std::string shown(const client_message& what) {
  switch (what.what) {
    case client_message::kind::plain:
      return "plain " + what.word + " " + what.argument.json_text();
    case client_message::kind::cast:
      return "cast " + what.word + " " + what.argument.json_text();
    case client_message::kind::down:
      return "down " + std::to_string(what.monitor) + " " + to_string(what.why);
    case client_message::kind::exit:
      return "exit " + to_string(what.why);
    case client_message::kind::dropped:
      return "dropped " + std::to_string(what.count);
  }
  return "";
}

struct client_world : world {
  client_world() {
    EXPECT_TRUE(rt.define(counter_class()));
    EXPECT_TRUE(rt.define(lua_class(std::string{client_peer})));
  }
  std::uint64_t begin(std::uint64_t process, client_deed what, std::uint64_t client = 1) {
    rt.from_app(now, client_act{app_id{client}, client_request{++asked}, client_process_id{process}, std::move(what)},
                out);
    run();
    return asked;
  }
  /// As JSON text; an error as text; "waits".
  std::string came(std::uint64_t request) {
    for (const auto& each : to_apps) {
      const auto* answer = std::get_if<client_answer>(&each);
      if (answer == nullptr || answer->request.value != request) continue;
      if (answer->answer) return answer->answer->json_text();
      const auto& why = answer->answer.error();
      return to_string(why) + (why.effect == took_effect::unknown ? " (unknown)" : "");
    }
    return "waits";
  }
  std::string act(std::uint64_t process, client_deed what, std::uint64_t client = 1) {
    return came(begin(process, std::move(what), client));
  }
  /// Its pid.
  std::string open(std::uint64_t process, std::uint32_t credit = 100, std::uint64_t client = 1) {
    const auto text = act(process, client_open{credit}, client);
    EXPECT_THAT(text, ::testing::StartsWith(R"({"pid":")"));
    return text.substr(8, text.size() - 10);
  }
  std::vector<std::string> heard(std::uint64_t process = 1) {
    std::vector<std::string> all;
    std::erase_if(to_apps, [&](const app_effect& each) {
      const auto* message = std::get_if<client_message>(&each);
      const auto* ended = std::get_if<client_ended>(&each);
      if (message != nullptr && message->process.value == process) all.push_back(shown(*message));
      if (ended != nullptr && ended->process.value == process) all.push_back("ended " + to_string(ended->why));
      return (message != nullptr && message->process.value == process) ||
             (ended != nullptr && ended->process.value == process);
    });
    return all;
  }
  /// As `heard`, of a client that writes what it is told until no more comes.
  std::vector<std::string> read(std::uint64_t process = 1, std::uint64_t client = 1) {
    std::vector<std::string> all;
    while (true) {
      std::size_t told = 0;
      for (const auto& each : to_apps) {
        const auto* message = std::get_if<client_message>(&each);
        if (message != nullptr && message->app.value == client && message->process.value == process) {
          told += message->weight;
        }
      }
      const auto more = heard(process);
      if (more.empty()) return all;
      all.insert(all.end(), more.begin(), more.end());
      rt.from_app(now, client_written{app_id{client}, told}, out);
      run();
    }
  }
  void leave(std::uint64_t client = 1) {
    rt.from_app(now, app_gone{app_id{client}, "closed"}, out);
    run();
  }
  void give(std::uint64_t process, std::uint32_t more) {
    rt.from_app(now, client_credit{app_id{1}, client_process_id{process}, more}, out);
    run();
  }
  std::uint64_t asked = 0;
};

}  // namespace orrery::process::testing
