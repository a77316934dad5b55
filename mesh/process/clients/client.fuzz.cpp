// Whatever processes of clients do, in whatever order they end: each act is answered once, no message comes to a
// process that is not open, no connection is told more than has room, and a client that is gone leaves nothing. Input:
// acts, three bytes each: what, which process of which client, to whom.
#include "mesh/base/assert.hpp"
#include "mesh/base/bytes.hpp"
#include "mesh/process/runtime.hpp"
#include "mesh/wire/cbor.hpp"

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace orrery;
using namespace orrery::process;
using namespace std::chrono_literals;

constexpr int turns_max = 400;
/// So that a few clients come to all of them.
constexpr client_bounds small{
    .window = 12'000, .window_in_all = 20'000, .floor = 1'000, .waiting = 40'000, .waiting_ends = 4'000, .watches = 30};
constexpr const char* last_pid = "gone-2@1.2.3";  ///< of nobody: who monitors it hears so at once
constexpr const char* script = R"(
local c = {call = {}, cast = {}, info = {}}
function c.init(key) if key == "bad" then error("no") end return {} end
function c.call.get(state) return 1 end
function c.call.boom(state) error("boom") end
function c.call.stop(state) orrery.stop() end
function c.call.later(state) return orrery.later() end
function c.call.link(state, to) orrery.link(to) return 1 end
function c.call.monitor(state, to) orrery.monitor(to) return 1 end
function c.call.send(state, to) orrery.send(to, "hello", to) orrery.cast(to, "note", to) return 1 end
function c.cast.get(state) end
function c.cast.boom(state) error("boom") end
function c.info.hello(state, what) orrery.publish("g", "again", what) end
return c
)";

class world {
 public:
  world() {
    class_spec spec;
    spec.name = class_name{"echo"};
    spec.behaviour = lua_source{script};
    spec.supervision.period = 1ms;
    ORRERY_ASSERT(rt_.define(spec));
  }
  void act(std::uint8_t what, std::uint8_t who, std::uint8_t to) {
    const app_id client{1U + (who >> 2U) % 3U};
    const client_process_id process{1U + who % 4U};
    const std::uint8_t more = who >> 5U;
    if (what % 24 == 22 && to >= 128) {
      const auto left = unwritten_[client] / (1U + more % 4U);  // the rest is told with the next
      unwritten_[client] -= left;
      return say(client_written{client, left});
    }
    if (what % 24 == 22) return say(client_credit{client, process, to % 8U + 1U});
    if (what % 24 == 23) return leave(client);
    const client_request request{++asked_};
    waiting_.insert(request.value);
    if (what % 24 == 21) {
      say(client_looks_up{client, request, key_space{static_cast<std::uint8_t>(more % 4)}, "k"});
    } else {
      auto wanted = deed(what, more, to);
      if (std::holds_alternative<client_open>(wanted)) opening_.emplace(request.value, std::pair{client, process});
      if (std::holds_alternative<client_close>(wanted)) open_.erase({client, process});
      say(client_act{client, request, process, std::move(wanted)});
    }
    if (what >= 200) say(client_cancels{client, request});
    if (what % 2 == 0) settle(4);
  }
  void end() {
    settle(turns_max);
    everybody_reads();
    for (const std::uint64_t client : {1U, 2U, 3U})
      leave(app_id{client});
    settle(turns_max);
    ORRERY_ASSERT(waiting_.empty());
    ORRERY_ASSERT(rt_.members("g").empty());
    ORRERY_ASSERT(rt_.keys(key_space::mesh_unique, "", 10).empty());
    const auto left = rt_.clients();
    ORRERY_ASSERT(left.connections == 0 && left.unwritten_bytes == 0 && left.watching == 0);
    ORRERY_ASSERT(left.waiting_bytes == 0 && left.waiting_ends_bytes == 0);
  }

 private:
  /// Whoever has credit and reads is told all that waits, to its end.
  void everybody_reads() {
    for (const auto& each : std::set{open_}) {
      say(client_credit{each.first, each.second, client_credit_max});
      waiting_.insert(++asked_);
      last_.emplace(asked_, each);
      say(client_act{each.first, client_request{asked_}, each.second, client_monitors{last_pid}});
    }
    for (bool more = true; more;) {
      more = false;
      for (const std::uint64_t client : {1U, 2U, 3U}) {
        const auto bytes = std::exchange(unwritten_[app_id{client}], 0);
        more = more || bytes > 0;
        say(client_written{app_id{client}, bytes});
      }
    }
    for (const auto& [request, each] : last_)
      ORRERY_ASSERT(!open_.contains(each) || heard_last_.contains(each));
    ORRERY_ASSERT(rt_.clients().unwritten_bytes == 0);
  }
  [[nodiscard]] std::string target(std::uint8_t to) const {
    switch (to % 12) {
      case 0:
        return "echo/a";
      case 1:
        return "echo/b";
      case 2:
        return "echo/bad";
      case 3:
        return "nope/a";
      case 4:
        return "nonsense";
      case 5:
        return "gone-1@1.2.3";
      default:
        return pids_.empty() ? "echo/c" : pids_[(to / 12U) % pids_.size()];
    }
  }
  [[nodiscard]] static const value& much() {
    static const value bulk = cbor::text_value(std::string(small.window / 6, 'x'));
    return bulk;
  }
  [[nodiscard]] client_deed deed(std::uint8_t what, std::uint8_t more, std::uint8_t to) const {
    static constexpr std::array methods{"get", "boom", "stop", "later", "link", "monitor", "send", "orrery:start"};
    const value argument = cbor::text_value(target(static_cast<std::uint8_t>(to * 7U + 5U)));
    const exit_reason why{more % 2 == 0 ? exit_reason::kind::normal : exit_reason::kind::error, {}};
    const key_space in{static_cast<std::uint8_t>(more % 4)};
    switch (what % 24) {
      case 1:
        return client_close{why};
      case 2:
      case 3:
        return client_calls{target(to), methods.at(more), argument, 5s};
      case 4:
        return client_casts{target(to), methods.at(more), argument};
      case 5:
        return client_sends{target(to), "hello", argument};
      case 6:
        return client_spawns{class_name{"echo"}, argument, more % 2 == 1, more > 3};
      case 7:
      case 8:
        return client_monitors{target(to)};
      case 9:
        return client_demonitors{to % 4U + 1U};
      case 10:
      case 11:
        return client_links{target(to), more != 0};
      case 12:
        return client_exits{target(to), more > 5 ? exit_reason{exit_reason::kind::kill, {}} : why};
      case 13:
      case 14:
        return client_groups{client_groups::kind{static_cast<std::uint8_t>(more % 4)}, "g"};
      case 15:
        return client_publishes{"g", more > 5 ? "group_left" : "hello", to < 128 ? argument : much()};
      case 16:
      case 17:
        return client_claims{in, "k", argument, 5s};
      case 18:
        return client_updates{in, "k", argument};
      case 19:
        return client_releases{in, "k"};
      default:
        return client_open{.credit = more, .as_json = to % 8 == 7};
    }
  }
  void say(app_event what) {
    rt_.from_app(now_, std::move(what), out_);
    collect();
  }
  void leave(app_id client) {
    say(app_gone{client, "over"});
    unwritten_.erase(client);
    std::erase_if(open_, [&](const whose& each) { return each.first == client; });
  }
  void settle(int turns) {
    for (int turn = 0; turn < turns; ++turn) {
      const bool more = rt_.run(now_, 100, out_);
      collect();
      for (const auto each : std::exchange(slow_, {}))
        leave(each);
      const auto next = rt_.next_deadline();
      if (!more && next == never) return;
      now_ = std::max(now_ + 1ms, more ? now_ : std::min(next, now_ + 1h));
    }
  }
  void collect() {
    while (!out_.empty()) {
      for (auto& each : std::exchange(out_, {}))
        std::visit([this](auto& one) { take(one); }, each);
    }
  }
  void take(name_called& asked) {
    const auto token = ++tokens_;
    named_.emplace(token, asked.by);
    rt_.call(now_, {asked.name, asked.method, asked.argument, asked.deadline, reply_token{token}}, out_);
  }
  void take(replied& reply) {
    const auto by = named_.extract(reply.token.value);
    ORRERY_ASSERT(!by.empty());
    rt_.name_answered(now_, by.mapped(), std::move(reply.reply), out_);
  }
  void take(name_sought& asked) {
    const auto who = rt_.whereis(asked.name);
    rt_.name_found(now_, asked.stand_in, who ? result<pid>{*who} : result<pid>{fail(errc::not_found, "none")}, out_);
  }
  void take(key_claimed& asked) { (void)rt_.key_answered(now_, asked.number, cbor::bool_value(true), out_); }
  void take(cast_sent& sent) { (void)rt_.cast(now_, sent.to, sent.method, sent.argument, out_); }
  void take(to_app& told) {
    if (auto* answer = std::get_if<client_answer>(&told.what)) return answered(*answer);
    if (const auto* message = std::get_if<client_message>(&told.what)) {
      ORRERY_ASSERT(open_.contains({message->app, message->process}));
      if (message->from == last_pid && message->what == client_message::kind::down) {
        heard_last_.insert({message->app, message->process});
      }
      auto& unwritten = unwritten_[message->app];
      ORRERY_ASSERT(unwritten < small.window);
      ORRERY_ASSERT(message->weight >= message->argument.cbor().size());
      ORRERY_ASSERT((message->what == client_message::kind::dropped) == (message->count > 0));
      unwritten += message->weight;
    } else if (const auto* slow = std::get_if<client_too_slow>(&told.what)) {
      ORRERY_ASSERT(unwritten_[slow->app] > small.floor);
      slow_.push_back(slow->app);
    } else if (const auto* ended = std::get_if<client_ended>(&told.what)) {
      ORRERY_ASSERT(open_.erase({ended->app, ended->process}) == 1);
    }
  }
  template <class Other>
  void take(Other&) {}
  void answered(const client_answer& answer) {
    ORRERY_ASSERT(waiting_.erase(answer.request.value) == 1);
    if (!answer.answer) return static_cast<void>(last_.erase(answer.request.value));
    if (const auto opened = opening_.extract(answer.request.value)) open_.insert(opened.mapped());
    ORRERY_ASSERT(value::from_cbor(answer.answer->cbor()));
    const auto text = answer.answer->json_text();
    if (const auto at = text.find(R"("pid":")"); at != std::string::npos && pids_.size() < 20) {
      pids_.push_back(text.substr(at + 7, text.find('"', at + 7) - at - 7));
    }
  }

  runtime rt_{{.node = {node_name{"fuzz-0"}, boot_number{1}}, .clients = small}};
  time_point now_{1s};
  effects out_;
  std::uint64_t asked_ = 0;
  std::uint64_t tokens_ = 0;
  std::map<std::uint64_t, asker> named_;
  std::set<std::uint64_t> waiting_;
  using whose = std::pair<app_id, client_process_id>;
  std::map<std::uint64_t, whose> opening_;  ///< by request
  std::set<whose> open_;
  std::map<std::uint64_t, whose> last_;  ///< by request: who is to hear of last_pid
  std::set<whose> heard_last_;
  std::map<app_id, std::size_t> unwritten_;
  std::vector<app_id> slow_;  ///< to be ended
  std::vector<std::string> pids_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  world of;
  constexpr std::size_t acts_max = 200;
  for (std::size_t i = 0; i + 2 < size && i < 3 * acts_max; i += 3)
    of.act(data[i], data[i + 1], data[i + 2]);
  of.end();
  return 0;
}
