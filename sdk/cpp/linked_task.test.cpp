// Tasks that are linked with a process, against a sidecar that does what the test says.
#include <gtest/gtest.h>

#include "sdk/cpp/fake_sidecar.hpp"
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <orrery/app.hpp>
#include <stop_token>
#include <string>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;

class a_linked_task : public ::testing::Test {
 protected:
  void SetUp() override {
    client_options options;
    options.socket = sidecar_.socket();
    options.log = [](const std::string&) {};
    one_ = std::make_unique<client>(options);
    line_ = std::make_unique<fixtures::fake_connection>(sidecar_.accept_and_welcome());
  }
  linked_task link(
      linked_task::function task, const std::function<void()>& once_linked = [] {}) {
    auto linked = std::async(std::launch::async, [&] { return one_->link("cart/ada", std::move(task)); });
    line_->answer(line_->expect("open"), {{"pid", "n@1.2.3"}});
    const auto frame = line_->expect("link");
    EXPECT_EQ(frame["to"], "cart/ada");
    line_->answer(frame);
    once_linked();
    line_->answer(line_->expect("demonitor"));  // of nothing: what had come before has come
    return linked.get();
  }
  void send_exit(const std::string& kind) {
    line_->send({{"type", "message"},
                 {"process", 1},
                 {"kind", "exit"},
                 {"from", "n@1.2.4"},
                 {"reason", {{"kind", kind}, {"text", "boom"}}}});
  }
  /// The reason with which its process is closed.
  json closes() {
    const auto frame = line_->expect("close");
    line_->answer(frame);
    return frame["reason"];
  }
  static void until_stopped(const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait(lock, stop, [] { return false; });
  }
  /// What `get` throws.
  static std::string thrown_by(linked_task& task) {
    try {
      task.get();
      return "nothing";
    } catch (const std::exception& why) {
      return why.what();
    }
  }

  fixtures::fake_sidecar sidecar_;
  std::unique_ptr<client> one_;
  std::unique_ptr<fixtures::fake_connection> line_;
};

TEST_F(a_linked_task, that_returns_leaves_its_process_alone) {
  std::atomic<bool> ran{false};
  auto task = link([&](const std::stop_token&) { ran = true; });
  EXPECT_EQ(closes()["kind"], "normal");
  EXPECT_EQ(thrown_by(task), "nothing");
  EXPECT_TRUE(ran);
}

TEST_F(a_linked_task, that_fails_tells_its_process_why) {
  auto task = link([](const std::stop_token&) { throw std::runtime_error("it broke"); });
  EXPECT_FALSE(task.wait(50ms)) << "the process has not been told yet";
  EXPECT_EQ(closes(), json::parse(R"({"kind": "error", "text": "it broke"})"));
  EXPECT_EQ(thrown_by(task), "it broke");
  EXPECT_EQ(thrown_by(task), "it broke") << "again";
}

TEST_F(a_linked_task, that_is_cancelled_shuts_its_process_down) {
  auto task = link(until_stopped);
  EXPECT_FALSE(task.wait(20ms));
  task.cancel();
  EXPECT_EQ(closes()["kind"], "shutdown");
  EXPECT_TRUE(task.wait(10s));
  EXPECT_EQ(thrown_by(task), "cancelled: the task was cancelled [unknown]");
}

TEST_F(a_linked_task, whose_call_ends_with_its_token_was_cancelled) {
  auto task = link([&](const std::stop_token& stop) { one_->call("cart/bob", "add", {}, {.stop = stop}); });
  const auto call = line_->expect("call");
  task.cancel();
  line_->expect("cancel");
  line_->refuse(call, "cancelled");
  EXPECT_EQ(closes()["kind"], "shutdown");
  EXPECT_EQ(thrown_by(task), "cancelled: the task was cancelled [unknown]");
}

TEST_F(a_linked_task, that_fails_while_it_is_cancelled_has_failed) {
  auto task = link([](const std::stop_token& stop) {
    until_stopped(stop);
    throw std::runtime_error("it broke");
  });
  task.cancel();
  EXPECT_EQ(closes(), json::parse(R"({"kind": "error", "text": "it broke"})"));
  EXPECT_EQ(thrown_by(task), "it broke");
}

TEST_F(a_linked_task, is_stopped_when_its_process_ends_and_says_why) {
  auto task = link(until_stopped);
  send_exit("error");
  EXPECT_EQ(closes()["kind"], "shutdown");
  try {
    task.get();
    FAIL();
  } catch (const process_exit& why) {
    EXPECT_EQ(why.reason(), (exit_reason{"error", "boom"}));
    EXPECT_EQ(why.code(), "process_exited");
    EXPECT_STREQ(why.what(), "process_exited: cart/ada exited, error: boom [unknown]");
  }
}

TEST_F(a_linked_task, goes_on_when_its_process_ends_normally) {
  auto task = link(until_stopped);
  send_exit("normal");
  EXPECT_FALSE(task.wait(50ms));
  task.cancel();
  EXPECT_EQ(closes()["kind"], "shutdown");
}

TEST_F(a_linked_task, does_not_begin_where_its_process_is_not_there) {
  std::atomic<bool> ran{false};
  auto task = link([&](const std::stop_token&) { ran = true; }, [this] { send_exit("noproc"); });
  EXPECT_EQ(closes()["kind"], "shutdown");
  EXPECT_EQ(thrown_by(task), "process_exited: cart/ada exited, noproc: boom [unknown]");
  EXPECT_FALSE(ran);
}

TEST_F(a_linked_task, goes_on_when_messages_were_dropped) {
  auto task = link(until_stopped);
  line_->send({{"type", "message"}, {"process", 1}, {"kind", "dropped"}, {"count", 3}});
  EXPECT_FALSE(task.wait(50ms));
  send_exit("error");
  EXPECT_EQ(closes()["kind"], "shutdown");
}

TEST_F(a_linked_task, is_stopped_when_its_connection_is_lost) {
  auto task = link(until_stopped);
  line_.reset();
  try {
    task.get();
    FAIL();
  } catch (const process_exit& why) {
    EXPECT_EQ(why.reason().kind, "noconnection");
  }
}

TEST_F(a_linked_task, is_cancelled_and_waited_for_with_its_handle) {
  std::atomic<bool> over{false};
  auto task = std::make_unique<linked_task>(link([&](const std::stop_token& stop) {
    until_stopped(stop);
    over = true;
  }));
  auto gone = std::async(std::launch::async, [&] { task.reset(); });
  EXPECT_EQ(closes()["kind"], "shutdown");
  gone.get();
  EXPECT_TRUE(over);
}

TEST_F(a_linked_task, does_not_begin_where_it_cannot_be_linked) {
  std::atomic<bool> ran{false};
  auto linked = std::async(std::launch::async,
                           [&] { return one_->link("cart/ada", [&](const std::stop_token&) { ran = true; }); });
  line_->answer(line_->expect("open"), {{"pid", "n@1.2.3"}});
  line_->refuse(line_->expect("link"), "overloaded");
  EXPECT_THROW(linked.get(), error);
  line_->expect("close");
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace orrery::app
