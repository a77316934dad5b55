// The library against a real sidecar.
#include "sidecar/testing/local_mesh.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <future>
#include <orrery/app.hpp>
#include <stop_token>
#include <thread>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using sidecar::fixtures::local_mesh;

constexpr const char* classes = R"(  - {name: counter, behaviour: {builtin: counter}}
  - {name: tally, behaviour: {app: {handlerTimeout: 5s, waitForApp: 5s}}}
  - {name: summary, behaviour: {app: {}}}
)";

class a_client : public ::testing::Test {
 protected:
  void SetUp() override {
    mesh_ = std::make_unique<local_mesh>(
        sidecar::fixtures::local_mesh_options{.binary = ORRERY_SIDECAR_BINARY, .nodes = 1, .classes = classes});
    ASSERT_TRUE(mesh_->wait_ready(30s)) << mesh_->log(0);
  }
  [[nodiscard]] client_options options() const {
    client_options out;
    out.socket = mesh_->sdk_socket(0);
    out.workers = 4;
    out.connect_timeout = 30s;
    out.log = [](const std::string&) {};
    return out;
  }
  static process_class a_tally() {
    process_class tally("tally");
    tally.on_init([](const context&) { return 0; })
        .on_call("add",
                 [](context& self, const json& n) {
                   self.change() = self.state().get<int>() + n.get<int>();
                   return self.state();
                 })
        .on_call("slow",
                 [](context&, const json& ms) {
                   std::this_thread::sleep_for(std::chrono::milliseconds(ms.get<int>()));
                   return json("done");
                 })
        .on_call("boom", [](context&, const json&) -> json { throw std::runtime_error("boom"); });
    return tally;
  }
  std::unique_ptr<local_mesh> mesh_;
};

TEST_F(a_client, calls_casts_and_asks) {
  client one(options());
  EXPECT_EQ(one.call("counter/a", "add", 5), 5);
  one.cast("counter/a", "add", 2);
  EXPECT_EQ(one.call("counter/a", "get"), 7);
  EXPECT_EQ(one.inspect("counter/a")["handled"], 3);
  EXPECT_EQ(one.nodes()[0]["name"], "demo-0");
  EXPECT_EQ(one.open().mesh, "demo");
  one.kill("counter/a");
  one.stop("counter/a");
}

/// Each as one word.
class listing : public metrics {
 public:
  void connected(std::string_view node) override { add("connected " + std::string(node)); }
  void disconnected(std::string_view) override { add("disconnected"); }
  void requested(const request& ended) override {
    add("requested " + words(ended.operation, ended.class_name, ended.method, ended.code));
    if (ended.took <= 0ns) add("no time");
    if (ended.method == "boom") throw std::runtime_error("this hook is broken");
  }
  void handled(const message& done) override {
    add("handled " + words(done.class_name, done.callback, done.method, done.outcome));
    if (done.took <= 0ns) add("no time");
  }
  [[nodiscard]] std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  static std::string words(std::string_view a, std::string_view b, std::string_view c, std::string_view d) {
    std::string out(a);
    for (const auto each : {b, c, d})
      (out += ' ') += each;
    return out;
  }
  void add(std::string what) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
  }
  std::mutex mutex_;
  std::vector<std::string> all_;
};

TEST_F(a_client, counts_connections_requests_and_what_it_handles) {
  using ::testing::AllOf;
  using ::testing::Contains;
  const auto counts = std::make_shared<listing>();
  std::mutex mutex;
  std::string logged;
  auto how = options();
  how.counts = counts;
  how.log = [&](const std::string& line) {
    const std::lock_guard lock(mutex);
    logged += line + "\n";
  };
  {
    client one(how);
    auto tally = a_tally();
    tally.on_call("no", [](context&, const json&) -> json { throw refusal("not now", "conflict"); });
    tally.on_cast("never", [](context&, const json&) { throw refusal("not now", "conflict"); });
    one.host(std::move(tally));
    EXPECT_EQ(one.call("tally/a", "add", 5), 5);
    one.cast("tally/a", "never");
    EXPECT_THROW(one.call("tally/a", "no"), error);
    EXPECT_THROW(one.call("tally/a", "boom"), error);
  }
  EXPECT_THAT(counts->all(),
              AllOf(Contains("connected demo-0"), Contains("requested call tally add ok"),
                    Contains("requested cast tally never ok"), Contains("requested call tally no conflict"),
                    Contains("requested call tally boom process_exited"), Contains("handled tally init  ok"),
                    Contains("handled tally call add ok"), Contains("handled tally call no refused"),
                    Contains("handled tally cast never refused"), Contains("handled tally call boom crash")));
  EXPECT_THAT(counts->all(), AllOf(Contains("disconnected"), ::testing::Not(Contains("no time"))));
  const std::lock_guard lock(mutex);
  EXPECT_THAT(logged, ::testing::HasSubstr("a metrics hook failed: this hook is broken"));
}

TEST_F(a_client, throws_errors_that_say_what_took_effect) {
  client one(options());
  try {
    one.call("nothing/a", "get");
    FAIL();
  } catch (const error& why) {
    EXPECT_EQ(why.code(), "not_found");
    EXPECT_EQ(why.took_effect(), effect::not_executed);
  }
  EXPECT_THROW(one.call("no-slash", "get"), error);
  EXPECT_THROW(one.call("counter/a", "add", std::string(2U << 20U, 'x')), error);
  EXPECT_EQ(one.call("counter/a", "get"), 0) << "the connection is as it was";
}

TEST_F(a_client, without_a_sidecar_fails_in_time_and_nothing_was_executed) {
  auto nowhere = options();
  nowhere.socket = "/nowhere/sdk.sock";
  nowhere.connect_timeout = 100ms;
  client one(nowhere);
  try {
    one.call("counter/a", "get");
    FAIL();
  } catch (const error& why) {
    EXPECT_EQ(why.code(), "unavailable");
    EXPECT_EQ(why.took_effect(), effect::not_executed);
    EXPECT_THAT(why.what(), ::testing::HasSubstr("/nowhere/sdk.sock"));
  }
}

TEST_F(a_client, that_is_given_up_between_two_tries_asks_no_more) {
  auto nowhere = options();
  nowhere.socket = "/nowhere/sdk.sock";
  nowhere.connect_timeout = 10ms;
  nowhere.retry = {.attempts = 2, .first_pause = 1min, .most_pause = 1min};
  client one(nowhere);
  std::stop_source stop;
  auto code = std::async(std::launch::async, [&] {
    try {
      one.call("counter/a", "get", {}, {.timeout = {}, .trace = {}, .stop = stop.get_token()});
      return std::string("answered");
    } catch (const error& why) {
      return why.code();
    }
  });
  EXPECT_EQ(code.wait_for(300ms), std::future_status::timeout) << "it pauses for half a minute at least";
  stop.request_stop();
  ASSERT_EQ(code.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(code.get(), "unavailable");
}

TEST_F(a_client, says_what_an_address_should_look_like) {
  const auto heard = [&](const char* tcp) -> std::string {
    auto odd = options();
    odd.socket.clear();
    odd.tcp = tcp;
    odd.connect_timeout = 50ms;
    std::string stage = "new: ";
    try {
      client one(odd);
      stage = "call: ";
      one.call("counter/a", "get");
      return "nothing";
    } catch (const error& why) {
      return stage + why.what();
    }
  };
  EXPECT_THAT(heard(""),
              ::testing::AllOf(::testing::StartsWith("call: unavailable"), ::testing::HasSubstr("ORRERY_TCP")));
  for (const std::string wrong : {"here", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:3603x", "127.0.0.1:0",
                                  "127.0.0.1:65536", "localhost:3603", ":3603"}) {
    EXPECT_EQ(heard(wrong.c_str()),
              "new: invalid_argument: '" + wrong + "' is not IP:PORT, as 127.0.0.1:3603 [not_executed]");
  }
  for (const auto* url : {"http://127.0.0.1:3600", "ws://127.0.0.1:3600/v1/sdk", "wss://sidecar:3600"})
    EXPECT_THAT(heard(url), ::testing::AllOf(::testing::StartsWith("new: invalid_argument"),
                                             ::testing::HasSubstr("does not speak HTTP or WebSocket")));
}

TEST_F(a_client, hears_at_once_that_what_it_links_with_is_not_there) {
  client one(options());
  for (int i = 0; i < 20; ++i) {
    std::atomic<bool> ran{false};
    auto task = one.link("counter/nobody", [&](const std::stop_token&) { ran = true; });
    try {
      task.get();
      ADD_FAILURE() << "it was linked with nobody";
    } catch (const process_exit& why) {
      EXPECT_EQ(why.reason().kind, "noproc");
    }
    EXPECT_FALSE(ran);
  }
}

TEST_F(a_client, hosts_processes_and_calls_them) {
  client one(options());
  ASSERT_EQ(one.host(a_tally()), class_state::ready);
  EXPECT_EQ(one.call("tally/a", "add", 3), 3);
  EXPECT_EQ(one.call("tally/a", "add", 4), 7);
  EXPECT_EQ(one.call("tally/b", "add", 1), 1);
  try {
    one.call("tally/a", "boom");
    FAIL();
  } catch (const error& why) {
    EXPECT_EQ(why.code(), "process_exited");
    EXPECT_THAT(why.what(), ::testing::HasSubstr("boom"));
  }
  EXPECT_EQ(one.call("tally/a", "add", 0), 0);
  EXPECT_EQ(one.call("tally/b", "add", 0), 1);
}

TEST_F(a_client, runs_slow_handlers_beside_fast_ones) {
  client one(options());
  one.host(a_tally());
  std::atomic<bool> slow_done{false};
  one.call("tally/slow", "add", 0);
  one.call_async("tally/slow", "slow", 1500, {}, [&](const outcome&) { slow_done = true; });
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(one.call("tally/fast", "add", 1), i + 1);
  EXPECT_FALSE(slow_done);
  EXPECT_TRUE(local_mesh::eventually(10s, [&] { return slow_done.load(); }));
}

TEST_F(a_client, of_a_sidecar_that_is_restarted_comes_back_with_its_classes_and_knows_each_outcome) {
  client one(options());
  ASSERT_EQ(one.host(a_tally()), class_state::ready);
  one.call("tally/slow", "add", 0);
  const auto before = one.inspect("tally/slow")["handled"].get<int>();
  std::atomic<int> lost{0};
  one.call_async("tally/slow", "slow", 2000, {}, [&](const outcome& how) {
    if (how.failure && how.failure->code() == "unavailable" && how.failure->took_effect() == effect::unknown) ++lost;
  });
  ASSERT_TRUE(local_mesh::eventually(10s, [&] { return one.inspect("tally/slow")["handled"] == before + 1; }));
  mesh_->signal(0, SIGKILL);
  mesh_->wait_exit(0, 5s);
  EXPECT_TRUE(local_mesh::eventually(10s, [&] { return lost == 1; }));
  mesh_->start(0);
  EXPECT_EQ(one.call("tally/a", "add", 3), 3);
}

TEST_F(a_client, follows_events) {
  client one(options());
  std::atomic<int> started{0};
  const auto following = one.subscribe({"process_started"}, [&](const event& seen) {
    if (seen.data["key"] == "seen") ++started;
  });
  EXPECT_TRUE(local_mesh::eventually(10s, [&] {
    one.call("counter/seen", "get");
    one.stop("counter/seen");
    return started > 0;
  }));
}

TEST_F(a_client, answers_all_when_every_worker_asks_a_process_that_it_hosts_too) {
  auto few = options();
  few.workers = 2;
  client one(few);
  one.host(a_tally());
  process_class asking("summary");
  asking.on_call("sum", [](context& self, const json& of) {
    int sum = 0;
    for (const auto& each : of)
      sum += self.call(each.get<std::string>(), "add", 1).get<int>();
    return sum;
  });
  one.host(std::move(asking));
  std::atomic<int> answered{0};
  for (int i = 0; i < 2; ++i) {
    one.call_async("summary/" + std::to_string(i), "sum",
                   {"tally/x" + std::to_string(i), "tally/y" + std::to_string(i)}, {},
                   [&](const outcome& how) { answered += how.reply == 2; });
  }
  EXPECT_TRUE(local_mesh::eventually(3s, [&] { return answered == 2; }));
}

TEST_F(a_client, drains_when_its_work_is_done) {
  client leaving(options());
  ASSERT_EQ(leaving.host(a_tally()), class_state::ready);
  client caller(options());
  caller.call("tally/slow", "add", 0);
  const auto before = caller.inspect("tally/slow")["handled"].get<int>();
  std::atomic<bool> answered{false};
  caller.call_async("tally/slow", "slow", 500, {}, [&](const outcome& how) { answered = how.failure == nullptr; });
  ASSERT_TRUE(local_mesh::eventually(10s, [&] { return caller.inspect("tally/slow")["handled"] == before + 1; }));
  EXPECT_TRUE(leaving.drain(10s));
  EXPECT_TRUE(local_mesh::eventually(10s, [&] { return answered.load(); }));
}

TEST_F(a_client, that_has_drained_registers_nothing_with_the_next_sidecar) {
  client leaving(options());
  ASSERT_EQ(leaving.host(a_tally()), class_state::ready);
  EXPECT_TRUE(leaving.drain(10s));
  mesh_->signal(0, SIGKILL);
  mesh_->wait_exit(0, 5s);
  mesh_->start(0);
  ASSERT_TRUE(local_mesh::eventually(10s, [&] {
    try {
      return !leaving.nodes().empty();
    } catch (const error&) {
      return false;
    }
  }));
  EXPECT_THROW(leaving.call("tally/a", "add", 1, {.timeout = 500ms}), error);
}

}  // namespace
}  // namespace orrery::app
