// The library against a sidecar that does what the test says.
#include "sidecar/testing/local_mesh.hpp"

#include <gmock/gmock.h>

#include "sdk/cpp/fake_sidecar.hpp"
#include "sdk/cpp/src/requests.hpp"
#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <future>
#include <mutex>
#include <orrery/app.hpp>
#include <stop_token>
#include <thread>
#include <vector>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using fixtures::fake_connection;
using fixtures::fake_sidecar;
using clock = std::chrono::steady_clock;

class a_connection : public ::testing::Test {
 protected:
  [[nodiscard]] client_options options() {
    client_options out;
    out.socket = sidecar_.socket();
    out.workers = 4;
    out.connect_timeout = 30s;
    out.log = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      logged_.push_back(text);
    };
    return out;
  }
  [[nodiscard]] client_options nowhere() {
    auto out = options();
    out.socket = "/nowhere/sdk.sock";
    return out;
  }
  [[nodiscard]] bool has_logged(const std::string& part) {
    return eventually([&] {
      const std::lock_guard lock(mutex_);
      return std::any_of(logged_.begin(), logged_.end(),
                         [&](const auto& each) { return each.find(part) != std::string::npos; });
    });
  }
  static bool eventually(const std::function<bool()>& holds) {
    return sidecar::fixtures::local_mesh::eventually(10s, holds);
  }
  static process_class a_tally(std::function<void()> in_hand = [] {}) {
    process_class tally("tally");
    tally.on_call("add", [in_hand = std::move(in_hand)](context&, const json&) {
      in_hand();
      return json();
    });
    return tally;
  }
  /// Hosts the class `tally`, and answers for the sidecar.
  static void host(client& at, fake_connection& line, process_class what = a_tally()) {
    auto hosted = std::async(std::launch::async, [&] { return at.host(std::move(what)); });
    line.answer(line.expect("register"), {{"state", "ready"}});
    ASSERT_EQ(hosted.get(), class_state::ready);
  }
  static subscription subscribe(client& at, fake_connection& line, std::function<void(const event&)> seen) {
    auto following = std::async(std::launch::async, [&] { return at.subscribe({}, std::move(seen)); });
    line.answer(line.expect("subscribe"));
    return following.get();
  }
  static std::string code_of(const std::function<void()>& operation) {
    try {
      operation();
      return "none";
    } catch (const error& why) {
      return why.code();
    }
  }

  std::mutex mutex_;
  std::vector<std::string> logged_;
  fake_sidecar sidecar_;
};

// ---- its end ----

class an_end_of_a_connection : public a_connection, public ::testing::WithParamInterface<std::string> {};

TEST_P(an_end_of_a_connection, fails_who_waits_for_room_to_write) {
  client one(options());
  auto line = std::make_unique<fake_connection>(
      sidecar_.accept_and_welcome({.keepalive = GetParam() == "silence" ? 1000ms : 15'000ms}));
  one.open();
  std::atomic<int> sent{0};
  auto waiting = std::async(std::launch::async, [&] {
    return code_of([&] {
      for (;; ++sent)
        one.cast_nowait("counter/a", "add", std::string(1'000'000, 'x'));
    });
  });
  ASSERT_TRUE(eventually([&] { return sent >= 5; }));
  if (GetParam() == "goodbye") line->send({{"type", "goodbye"}, {"code", "draining"}, {"text", "it ends"}});
  if (GetParam() == "nonsense") line->send_bytes(std::string(4, '\0'));
  if (GetParam() == "close") line.reset();
  ASSERT_EQ(waiting.wait_for(10s), std::future_status::ready) << "it waits for ever";
  EXPECT_EQ(waiting.get(), "unavailable");
}
INSTANTIATE_TEST_SUITE_P(by, an_end_of_a_connection, ::testing::Values("goodbye", "nonsense", "silence", "close"),
                         [](const auto& of) { return of.param; });

TEST_F(a_connection, is_dialled_ever_more_slowly_while_it_does_not_last) {
  client one(options());
  const auto begun = clock::now();
  for (int i = 0; i < 6; ++i)
    static_cast<void>(sidecar_.accept_and_welcome());
  EXPECT_GE(clock::now() - begun, 775ms) << "25 + 50 + 100 + 200 + 400 ms at least";
}

TEST_F(a_connection, that_is_not_welcomed_yet_does_not_hold_up_the_end_of_its_client) {
  auto one = std::make_unique<client>(options());
  auto line = sidecar_.accept();
  line.expect("hello");
  const auto begun = clock::now();
  one.reset();
  EXPECT_LT(clock::now() - begun, 2s);
}

TEST_F(a_connection, gives_a_hello_five_seconds_whatever_else_comes) {
  client one(options());
  auto line = sidecar_.accept();
  line.expect("hello");
  const auto begun = clock::now();
  while (clock::now() - begun < 8s && !line.closes(50ms)) {
    try {
      line.send({{"type", "pong"}, {"n", 1}});
    } catch (const std::runtime_error&) {
      break;
    }
  }
  EXPECT_GE(clock::now() - begun, 4s);
  EXPECT_LT(clock::now() - begun, 7s);
}

// ---- what goes first ----

TEST_F(a_connection, that_is_new_gets_classes_and_subscriptions_before_what_waits) {
  client one(options());
  std::atomic<int> answered{0};
  auto line = std::make_unique<fake_connection>(sidecar_.accept_and_welcome());
  host(one, *line);
  const auto following = subscribe(one, *line, [](const event&) {});
  line.reset();
  ASSERT_TRUE(has_logged("the connection ended"));
  for (int i = 0; i < 3; ++i)
    one.call_async("tally/a", "add", i, {}, [&](const outcome&) { ++answered; });
  auto next = sidecar_.accept_and_welcome();
  next.expect("register");
  next.expect("subscribe");
  for (int i = 0; i < 3; ++i)
    next.answer(next.expect("call"));
  EXPECT_TRUE(eventually([&] { return answered == 3; }));
}

TEST_F(a_connection, that_is_full_of_calls_has_room_to_host_to_follow_and_to_drain) {
  client one(options());
  auto line = sidecar_.accept_and_welcome({.requests = 83});
  one.open();
  for (int i = 0; i < 5; ++i)
    one.call_async("tally/a", "add", i, {}, [](const outcome&) {});
  line.expect("call");
  line.expect("call");
  host(one, line);
  const auto following = subscribe(one, line, [](const event&) {});
  auto drained = std::async(std::launch::async, [&] { return one.drain(10s); });
  line.answer(line.expect("drain"));
  EXPECT_TRUE(drained.get());
}

TEST_F(a_connection, that_takes_few_requests_gets_one_at_a_time) {
  client one(options());
  auto line = sidecar_.accept_and_welcome({.requests = 2});
  for (int i = 0; i < 2; ++i)
    one.call_async("tally/a", "add", i, {}, [](const outcome&) {});
  const auto first = line.expect("call");
  EXPECT_FALSE(line.next(100ms));
  line.answer(first);
  line.expect("call");
}

TEST_F(a_connection, that_ended_gets_what_must_go_at_once_never) {
  requests all(30s);
  const auto dead = std::make_shared<wire>(sidecar_.socket(), "");
  auto unused = sidecar_.accept();
  all.opened(dead);
  all.admit(10);
  dead->shut();
  std::atomic<int> refused{0};
  all.begin({.message = {{"type", "register"}},
             .done = [&](std::uint64_t, const json& why) { refused += why["error"]["effect"] == "not_executed"; },
             .when = turn::at_once});
  EXPECT_EQ(refused, 1);
  const auto fresh = std::make_shared<wire>(sidecar_.socket(), "");
  auto line = sidecar_.accept();
  all.opened(fresh);
  all.admit(10);
  all.begin({.message = {{"type", "nodes"}}, .done = [](std::uint64_t, const json&) {}});
  line.expect("nodes");
}

// ---- hosting ----

TEST_F(a_connection, that_has_a_class_already_has_it_registered) {
  client one(options());
  auto line = sidecar_.accept_and_welcome();
  auto hosted = std::async(std::launch::async, [&] { return one.host(a_tally()); });
  line.refuse(line.expect("register"), "overloaded");
  EXPECT_EQ(hosted.get(), class_state::waiting);
  line.refuse(line.expect("register"), "already_exists");
  EXPECT_TRUE(eventually([&] { return one.hosted("tally") == class_state::ready; }));
}

std::atomic<bool> held{false};
std::atomic<bool> let_go{false};
void hold(int) {
  held = true;
  while (!let_go)
    ::usleep(1000);
}

/// Whether a thread sleeps, and goes on to.
bool sleeps(pid_t thread) {
  for (int i = 0; i < 20; ++i, ::usleep(1000)) {
    std::string stat;
    std::getline(std::ifstream("/proc/self/task/" + std::to_string(thread) + "/stat"), stat);
    if (stat.find(") S ") == std::string::npos) return false;
  }
  return true;
}

TEST_F(a_connection, that_ends_before_host_returns_is_followed_by_one_with_the_class) {
  client one(options());
  auto line = std::make_unique<fake_connection>(sidecar_.accept_and_welcome());
  held = let_go = false;
  std::promise<pid_t> who;
  auto hosted = std::async(std::launch::async, [&] {
    who.set_value(::gettid());
    return one.host(a_tally());
  });
  const std::shared_ptr<void> at_last(nullptr, [](void*) { let_go = true; });
  const auto asked = line->expect("register");
  struct sigaction stops {};
  stops.sa_handler = hold;
  ::sigaction(SIGUSR1, &stops, nullptr);
  const auto thread = who.get_future().get();
  ASSERT_TRUE(eventually([&] { return sleeps(thread); })) << "it waits for the answer";
  ::tgkill(::getpid(), thread, SIGUSR1);
  ASSERT_TRUE(eventually([] { return held.load(); }));
  line->answer(asked, {{"state", "ready"}});
  line.reset();
  auto next = sidecar_.accept_and_welcome();
  const auto again = next.next(2s);
  let_go = true;
  EXPECT_EQ(hosted.get(), class_state::ready);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)["type"], "register");
}

TEST_F(a_connection, that_refuses_to_drain_has_not_drained) {
  client one(options());
  auto line = sidecar_.accept_and_welcome();
  one.open();
  auto drained = std::async(std::launch::async, [&] { return one.drain(10s); });
  line.refuse(line.expect("drain"), "overloaded");
  EXPECT_FALSE(drained.get());
}

TEST_F(a_connection, logs_the_crash_of_a_handler_with_its_process_and_message) {
  client at(options());
  auto line = sidecar_.accept_and_welcome();
  host(at, line, a_tally([] { throw std::runtime_error("no such sum"); }));
  line.send({{"type", "work"}, {"work", 1}, {"class", "tally"}, {"key", "a"}, {"callback", "call"}, {"method", "add"}});
  EXPECT_EQ(line.expect("done")["crash"]["text"], "no such sum");
  EXPECT_TRUE(has_logged("tally/a crashed in call add: no such sum"));
}

TEST_F(a_connection, logs_what_a_handler_refuses_and_nobody_waits_for) {
  client at(options());
  auto line = sidecar_.accept_and_welcome();
  process_class tally("tally");
  tally.on_cast("note", [](context&, const json&) { throw refusal("not now"); });
  host(at, line, std::move(tally));
  line.send(
      {{"type", "work"}, {"work", 1}, {"class", "tally"}, {"key", "a"}, {"callback", "cast"}, {"method", "note"}});
  EXPECT_FALSE(line.expect("done").contains("crash"));
  EXPECT_TRUE(has_logged("tally/a refused cast note, which nobody waits for: handler_failed: not now"));
}

TEST_F(a_connection, logs_what_the_sidecar_refuses_with_its_process_and_message) {
  client at(options());
  auto line = sidecar_.accept_and_welcome();
  host(at, line);
  const auto refuses = [&](int work) {
    line.send({{"type", "refused"},
               {"work", work},
               {"error", {{"code", "too_large"}, {"text", "the state has too much"}, {"effect", "not_executed"}}}});
  };
  for (int work = 1; work <= 2; ++work) {
    line.send({{"type", "work"},
               {"work", work},
               {"class", "tally"},
               {"key", std::to_string(work)},
               {"callback", "call"},
               {"method", "add"}});
    line.expect("done");
  }
  refuses(1);
  EXPECT_TRUE(has_logged("the sidecar refused what tally/1 did in call add: too_large: the state has too much"));
  refuses(77);
  EXPECT_TRUE(has_logged("the sidecar refused what a handler did: too_large: "));
}

TEST_F(a_connection, that_ends_with_work_at_hand_has_not_drained) {
  client one(options());
  std::promise<void> finish;
  std::atomic<bool> working{false};
  auto line = std::make_unique<fake_connection>(sidecar_.accept_and_welcome());
  host(one, *line, a_tally([&, finished = finish.get_future().share()] {
         working = true;
         finished.wait();
       }));
  line->send(
      {{"type", "work"}, {"work", 1}, {"class", "tally"}, {"key", "a"}, {"callback", "call"}, {"method", "add"}});
  ASSERT_TRUE(eventually([&] { return working.load(); }));
  auto drained = std::async(std::launch::async, [&] { return one.drain(10s); });
  line->expect("drain");
  line.reset();
  EXPECT_FALSE(drained.get());
  finish.set_value();
}

TEST_F(a_connection, that_is_not_there_has_nothing_to_drain) {
  client one(nowhere());
  EXPECT_TRUE(one.drain(10s));
}

// ---- events ----

TEST_F(a_connection, outlives_what_a_listener_throws) {
  client one(options());
  auto line = sidecar_.accept_and_welcome();
  std::atomic<int> seen{0};
  const auto following = subscribe(one, line, [&](const event&) {
    ++seen;
    throw std::runtime_error("a listener's mistake");
  });
  for (int i = 0; i < 2; ++i)
    line.send({{"type", "event"}, {"id", 1}, {"event", "process_started"}, {"data", json::object()}});
  EXPECT_TRUE(eventually([&] { return seen == 2; }));
  EXPECT_TRUE(has_logged("a listener's mistake"));
  one.call_async("counter/a", "get", {}, {}, [](const outcome&) {});
  line.expect("call");
}

TEST_F(a_connection, hears_that_a_subscription_ended_while_it_was_made_again) {
  client one(options());
  auto line = std::make_unique<fake_connection>(sidecar_.accept_and_welcome());
  auto following = std::make_unique<subscription>(subscribe(one, *line, [](const event&) {}));
  line.reset();
  auto next = sidecar_.accept_and_welcome();
  const auto again = next.expect("subscribe");
  following.reset();
  next.answer(again);
  EXPECT_EQ(next.expect("cancel")["id"], again["id"]);
}

// ---- how calls end ----

TEST_F(a_connection, outlives_what_is_thrown_when_a_call_ends) {
  auto none = nowhere();
  none.connect_timeout = 50ms;
  client one(none);
  std::atomic<int> ended{0};
  for (int i = 0; i < 2; ++i) {
    one.call_async("counter/a", "get", {}, {}, [&](const outcome&) {
      ++ended;
      throw std::runtime_error("a mistake at the end");
    });
  }
  EXPECT_TRUE(eventually([&] { return ended == 2; }));
  EXPECT_TRUE(has_logged("a mistake at the end"));
}

TEST_F(a_connection, ends_a_call_that_is_given_up_already_on_a_thread_of_its_own) {
  client one(nowhere());
  std::stop_source given_up;
  given_up.request_stop();
  std::promise<std::thread::id> ended;
  one.call_async("counter/a", "get", {}, {.stop = given_up.get_token()}, [&](const outcome& how) {
    EXPECT_EQ(how.failure->code(), "cancelled");
    ended.set_value(std::this_thread::get_id());
  });
  EXPECT_NE(ended.get_future().get(), std::this_thread::get_id());
}

TEST_F(a_connection, ends_a_call_too_many_on_a_thread_of_its_own) {
  requests all(30s);
  for (int i = 0; i < 100'000; ++i)
    all.begin({.message = {}, .done = [](std::uint64_t, const json&) {}});
  std::promise<std::thread::id> ended;
  all.begin({.message = {}, .done = [&](std::uint64_t, const json& why) {
               EXPECT_EQ(why["error"]["code"], "overloaded");
               ended.set_value(std::this_thread::get_id());
             }});
  EXPECT_NE(ended.get_future().get(), std::this_thread::get_id());
}

TEST_F(a_connection, stops_when_the_last_call_that_came_too_late_has_ended) {
  requests all(10ms);
  std::promise<void> begun;
  std::promise<void> finish;
  all.begin({.message = {}, .done = [&](std::uint64_t, const json&) {
               begun.set_value();
               finish.get_future().wait();
             }});
  begun.get_future().wait();
  auto stopped = std::async(std::launch::async, [&] { all.stop(); });
  EXPECT_EQ(stopped.wait_for(200ms), std::future_status::timeout) << "what its end uses may be gone";
  finish.set_value();
  EXPECT_EQ(stopped.wait_for(10s), std::future_status::ready);
}

TEST_F(a_connection, has_ended_every_call_when_its_client_is_gone_and_takes_none_after) {
  std::atomic<int> ended{0};
  std::thread::id where;
  std::string again;
  {
    client one(nowhere());
    one.call_async("counter/a", "get", {}, {}, [&](const outcome&) {
      where = std::this_thread::get_id();
      again = code_of([&] { one.call_async("counter/a", "get", {}, {}, [&](const outcome&) { ++ended; }); });
      ++ended;
    });
  }
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(again, "unavailable");
  EXPECT_NE(where, std::this_thread::get_id());
}

}  // namespace
}  // namespace orrery::app
