// Who leads by a key, against a sidecar that does what the test says.
#include <gtest/gtest.h>

#include "sdk/cpp/fake_sidecar.hpp"
#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <orrery/app.hpp>
#include <stdexcept>
#include <stop_token>
#include <string>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;

class a_leader : public ::testing::Test {
 protected:
  using work = std::function<int(std::stop_token)>;

  void SetUp() override {
    client_options options;
    options.socket = sidecar_.socket();
    options.log = [](const std::string&) {};
    one_ = std::make_unique<client>(options);
    line_.emplace(sidecar_.accept_and_welcome());
  }
  void TearDown() override {
    stop_.request_stop();
    line_.reset();  // what is asked yet has no answer
    if (led_.valid()) led_.wait();
  }
  void lead(work what) {
    led_ = std::async(std::launch::async,
                      [this, what = std::move(what)] { return one_->lead("leader", what, stop_.get_token()); });
  }
  /// The process with which it stands for the key.
  std::uint64_t stands() {
    const auto opened = line_->expect("open");
    line_->answer(opened, {{"pid", "n@1.2.3"}});
    asked_ = line_->expect("claim");
    EXPECT_EQ(asked_["key"], "leader");
    EXPECT_EQ(asked_["in"], "mesh_unique");
    EXPECT_EQ(asked_["process"], opened["process"]);
    return opened["process"];
  }
  std::uint64_t leads() {
    const auto process = stands();
    line_->answer(asked_);
    return process;
  }
  void finds_it_held() {
    stands();
    line_->refuse(asked_, "already_exists");
    closes();
  }
  void closes() { line_->answer(line_->expect("close")); }
  void releases() {
    const auto asked = line_->expect("release");
    EXPECT_EQ(asked["key"], "leader");
    line_->answer(asked, {{"held", true}});
    closes();
  }
  /// The frame `monitor` for the holder that `lookup` finds.
  json watches(const std::string& pid) {
    line_->answer(line_->expect("lookup"), {{"entries", {{{"key", "leader"}, {"pid", pid}, {"value", nullptr}}}}});
    if (!monitoring_) {
      const auto opened = line_->expect("open");
      monitoring_ = opened["process"];
      line_->answer(opened, {{"pid", "n@1.2.9"}});
    }
    auto asked = line_->expect("monitor");
    EXPECT_EQ(asked["to"], pid);
    line_->answer(asked, {{"monitor", ++monitors_}});
    return asked;
  }
  void ends(const std::string& pid, const std::string& kind) {
    line_->send({{"type", "message"},
                 {"process", *monitoring_},
                 {"kind", "down"},
                 {"monitor", monitors_},
                 {"from", pid},
                 {"reason", {{"kind", kind}, {"text", ""}}}});
  }
  void says(std::uint64_t to, const std::string& word, const std::string& key) {
    line_->send({{"type", "message"},
                 {"process", to},
                 {"kind", "plain"},
                 {"word", word},
                 {"argument", {{"key", key}, {"pid", "n@1.2.7"}}}});
  }
  /// Works until it is stopped, and counts how often.
  work until_stopped() {
    return [this](const std::stop_token& stop) {
      ++works_;
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable_any().wait(lock, stop, [] { return false; });
      return 1;
    };
  }
  void await_works(int count) {
    for (int i = 0; i < 1000 && works_ < count; ++i)
      std::this_thread::sleep_for(10ms);
    EXPECT_EQ(works_, count);
  }

  fixtures::fake_sidecar sidecar_;
  std::unique_ptr<client> one_;
  std::optional<fixtures::fake_connection> line_;
  std::stop_source stop_;
  std::atomic<int> works_{0};
  json asked_;
  std::optional<std::uint64_t> monitoring_;
  std::uint64_t monitors_ = 0;
  std::future<std::optional<int>> led_;  // last: it ends first
};

TEST_F(a_leader, whose_work_returns_releases_the_key_and_has_its_result) {
  lead([](const std::stop_token&) { return 42; });
  leads();
  releases();
  EXPECT_EQ(led_.get(), 42);
}

TEST_F(a_leader, may_have_work_without_a_result) {
  auto led = std::async(std::launch::async, [&] { return one_->lead("leader", [](const std::stop_token&) {}); });
  leads();
  releases();
  EXPECT_TRUE(led.get());
}

TEST_F(a_leader, whose_work_fails_releases_the_key_and_fails_with_that) {
  lead([](const std::stop_token&) -> int { throw std::out_of_range("it broke"); });
  leads();
  line_->answer(line_->expect("release"), {{"held", true}});
  const auto closed = line_->expect("close");
  EXPECT_EQ(closed["reason"], json::parse(R"({"kind": "error", "text": "it broke"})"));
  line_->answer(closed);
  EXPECT_THROW(led_.get(), std::out_of_range);
}

TEST_F(a_leader, whose_work_is_told_that_something_is_unavailable_fails_with_that_while_it_leads) {
  lead([](const std::stop_token&) -> int { throw error("unavailable", "no app", effect::unknown); });
  leads();
  releases();
  EXPECT_THROW(led_.get(), error);
}

TEST_F(a_leader, is_stopped_when_the_key_is_lost_and_stands_again) {
  lead(until_stopped());
  const auto first = leads();
  await_works(1);
  says(first, "key_lost", "another");
  says(first, "said", "leader");
  EXPECT_FALSE(line_->next(50ms)) << "it leads on";
  says(first, "key_lost", "leader");
  closes();
  EXPECT_NE(leads(), first) << "with a process of its own";
  await_works(2);
}

TEST_F(a_leader, leads_on_and_gives_credit_when_messages_to_it_were_dropped) {
  lead(until_stopped());
  const auto process = leads();
  await_works(1);
  for (int i = 0; i < 50; ++i)
    line_->send({{"type", "message"}, {"process", process}, {"kind", "dropped"}, {"count", 2}});
  const auto credit = line_->expect("credit");
  EXPECT_EQ(credit["process"], process);
  EXPECT_EQ(credit["add"], 50);
  EXPECT_FALSE(line_->next(50ms)) << "it leads on";
  says(process, "key_lost", "leader");
  closes();
  leads();
  await_works(2);
}

TEST_F(a_leader, whose_process_is_killed_stands_again) {
  lead(until_stopped());
  const auto first = leads();
  await_works(1);
  line_->send({{"type", "ended"}, {"process", first}, {"reason", {{"kind", "killed"}, {"text", ""}}}});
  leads();
  await_works(2);
}

TEST_F(a_leader, that_loses_its_connection_works_anew_on_the_next_one) {
  lead(until_stopped());
  leads();
  await_works(1);
  line_.reset();
  line_.emplace(sidecar_.accept_and_welcome());
  leads();
  await_works(2);
}

TEST_F(a_leader, whose_work_fails_as_the_connection_is_lost_works_anew) {
  lead([&](const std::stop_token&) {
    if (++works_ == 1) one_->call("cart/ada", "add");
    return 7;
  });
  leads();
  line_->expect("call");
  line_.reset();
  line_.emplace(sidecar_.accept_and_welcome());
  leads();
  releases();
  EXPECT_EQ(led_.get(), 7);
}

TEST_F(a_leader, waits_for_the_end_of_who_holds_the_key) {
  lead([](const std::stop_token&) { return 42; });
  finds_it_held();
  watches("n@1.2.7");
  EXPECT_FALSE(line_->next(200ms)) << "it waits";
  ends("n@1.2.7", "shutdown");
  leads();
  releases();
  EXPECT_EQ(led_.get(), 42);
}

TEST_F(a_leader, asks_less_often_while_the_key_of_a_dead_holder_is_not_free) {
  lead(until_stopped());
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) {  // pauses of 50, 100 and 200 ms
    finds_it_held();
    watches("n@1.2.7");
    ends("n@1.2.7", "noproc");
  }
  leads();
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 350ms);
}

TEST_F(a_leader, asks_again_where_the_mesh_cannot_grant_the_key_now) {
  lead(until_stopped());
  stands();
  line_->refuse(asked_, "isolated");
  closes();
  leads();
  await_works(1);
}

TEST_F(a_leader, fails_where_it_can_never_lead) {
  EXPECT_THROW(one_->lead("", until_stopped()), error);
  lead(until_stopped());
  stands();
  line_->refuse(asked_, "forbidden");
  closes();
  EXPECT_THROW(led_.get(), error);
}

TEST_F(a_leader, that_is_stopped_from_outside_stops_its_work_and_releases_the_key) {
  lead([this](const std::stop_token& stop) -> int {
    until_stopped()(stop);
    throw error("cancelled", "the work was given up", effect::unknown);
  });
  leads();
  await_works(1);
  stop_.request_stop();
  releases();
  EXPECT_EQ(led_.get(), std::nullopt);
}

TEST_F(a_leader, that_is_stopped_from_outside_has_what_its_work_returns) {
  lead(until_stopped());
  leads();
  await_works(1);
  stop_.request_stop();
  releases();
  EXPECT_EQ(led_.get(), 1);
}

TEST_F(a_leader, that_is_stopped_while_it_waits_for_another_leads_no_more) {
  lead(until_stopped());
  finds_it_held();
  watches("n@1.2.7");
  stop_.request_stop();
  EXPECT_EQ(led_.get(), std::nullopt);
  EXPECT_EQ(works_, 0);
}

TEST_F(a_leader, that_is_stopped_without_a_connection_waits_for_none) {
  line_.reset();
  lead(until_stopped());
  EXPECT_EQ(led_.wait_for(50ms), std::future_status::timeout);
  stop_.request_stop();
  EXPECT_EQ(led_.wait_for(2s), std::future_status::ready);
  EXPECT_EQ(led_.get(), std::nullopt);
}

}  // namespace
}  // namespace orrery::app
