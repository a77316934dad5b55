// What bench/peers measures of other systems, of processes written in Lua: script to script, in one runtime, one
// thread.
#include "bench/report.hpp"
#include "mesh/process/runtime.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

namespace orrery::bench {
namespace {

using namespace process;
using namespace std::chrono_literals;

constexpr std::size_t batch = 1000;
constexpr std::size_t ring_members = 10'000;
constexpr std::size_t ring_rounds = 20;

/// `driver` does the batches, a call each; what it has left to do when all is quiet must be nothing.
constexpr const char* script = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init(key, argument)
  if argument == "ends" then orrery.continue() end
  return {left = 0}
end
function c.call.left(state) return state.left end
function c.call.pid(state) return orrery.pid() end
function c.call.meet(state, pid) state.other = pid end
function c.call.ping(state) return "pong" end

local function spawn_next(state)
  state.left = state.left - 1
  orrery.spawn("bench", "ends", {monitor = true})
end
function c.call.spawns(state, count) state.left = count spawn_next(state) end
function c.info.down(state) if state.left > 0 then spawn_next(state) end end
function c.info.continue(state) orrery.stop() end

function c.call.calls(state, count)
  for _ = 1, count do orrery.call(state.other, "ping", nil, 5) end
end

function c.call.round_trips(state, count)
  state.left, state.me = count, orrery.pid()
  orrery.send(state.other, "there", state.me)
end
function c.info.there(state, from) orrery.send(from, "back", nil) end
function c.info.back(state)
  state.left = state.left - 1
  if state.left > 0 then orrery.send(state.other, "there", state.me) end
end

function c.call.expect(state, count) state.left = count end
function c.call.flood(state, count)
  for _ = 1, count do orrery.send(state.other, "word", nil) end
end
function c.info.word(state) state.left = state.left - 1 end

function c.call.timers(state, count)
  for _ = 1, count do orrery.cancel(orrery.send_after(5, "late", nil)) end
end
function c.info.late(state) error("a timer was not cancelled") end

function c.info.token(state, left)
  if left > 0 then orrery.send(state.other, "token", left - 1) else state.left = state.left + 1 end
end
function c.call.token(state, hops) orrery.send(orrery.pid(), "token", hops) end
return c
)";

class scripts {
 public:
  scripts() {
    class_spec spec;
    spec.name = class_name{"bench"};
    spec.behaviour = lua_source{script};
    spec.supervision.restart = restart_type::temporary;
    if (const auto defined = rt_.define(spec); !defined) give_up(to_string(defined.error()));
  }
  /// Calls, and runs until all is quiet.
  value ask(const std::string& key, const char* method, const nlohmann::json& argument = nullptr) {
    const process_name to{class_name{"bench"}, process_key{key}};
    rt_.call(now_,
             {.name = to,
              .method = method,
              .argument = value::from_document(argument).value(),
              .deadline = after(now_, 5s),
              .token = reply_token{++token_}},
             out_);
    while (rt_.run(now_, 1000, out_)) {
    }
    const auto answer = take_answer();
    now_ += 1ms;
    return answer;
  }
  std::string pid_of(const std::string& key) { return ask(key, "pid").document().get<std::string>(); }
  void expect_nothing_left(const std::string& key) {
    if (ask(key, "left").document() != 0) give_up("not all was done that was to be measured");
  }

 private:
  value take_answer() {
    value answer;
    for (const auto& each : out_) {
      if (std::holds_alternative<script_failure>(each) || std::holds_alternative<crashed>(each)) {
        give_up("a script failed");
      }
      const auto* reply = std::get_if<replied>(&each);
      if (reply == nullptr) continue;
      if (!reply->reply) give_up("a call was refused: " + to_string(reply->reply.error()));
      answer = *reply->reply;
    }
    out_.clear();
    return answer;
  }

  runtime rt_{{.node = {node_name{"bench-0"}, boot_number{1}}}};
  time_point now_{1s};
  effects out_;
  std::uint64_t token_ = 0;
};

void measure_pairs(const report& to) {
  scripts in;
  in.ask("driver", "meet", in.pid_of("other"));
  const auto driver = [&](const char* method) {
    in.ask("driver", method, batch);
    in.expect_nothing_left("driver");
  };
  measure(to, "lua/spawn_exit_monitor", "spawned, ended by itself, info.down", batch, [&] { driver("spawns"); });
  measure(to, "lua/call", "orrery.call, script to script", batch, [&] { driver("calls"); });
  measure(to, "lua/message_round_trip", "orrery.send, there and back", batch, [&] { driver("round_trips"); });
  measure(to, "lua/one_way", "orrery.send, until the other has had all", batch, [&] {
    in.ask("other", "expect", batch);
    in.ask("driver", "flood", batch);
    in.expect_nothing_left("other");
  });
  measure(to, "lua/timer_set_cancel", "orrery.send_after and orrery.cancel", batch, [&] { driver("timers"); });
}

void measure_ring(const report& to) {
  scripts in;
  std::vector<std::string> pids;
  for (std::size_t i = 0; i < ring_members; ++i)
    pids.push_back(in.pid_of(std::to_string(i)));
  for (std::size_t i = 0; i < ring_members; ++i)
    in.ask(std::to_string(i), "meet", pids[(i + 1) % ring_members]);
  const auto hops = 5 * ring_members;
  measure(
      to, "lua/ring_hop", "a token around 10,000 scripts", hops, [&] { in.ask("0", "token", hops); }, ring_rounds);
  // Each round ends where it began.
  if (in.ask("0", "left").document() != ring_rounds + ring_rounds / 5) give_up("the token was lost");
}

}  // namespace

void measure_scripts(const report& to) {
  measure_pairs(to);
  measure_ring(to);
}

}  // namespace orrery::bench
