#include "mesh/process/supervisor.hpp"

#include "mesh/kernel/testing.hpp"

#include <gtest/gtest.h>

#include <map>

namespace orrery::process {
namespace {

using namespace std::chrono_literals;
using kernel::testing::scripted;

/// Children that stop with an error when they get any message, and do not start while `broken`.
class crashing final : public child_factory {
 public:
  std::unique_ptr<kernel::body> make(std::uint64_t tag) override {
    ++lives[tag];
    return std::make_unique<scripted>(
        [](kernel::context& self, kernel::message&) {
          self.stop({exit_reason::kind::error, "boom"});
        },
        [this](kernel::context& self) {
          if (broken) self.stop({exit_reason::kind::error, "broken"});
        });
  }
  std::map<std::uint64_t, int> lives;
  bool broken = false;
};

class supervisor_of_three : public ::testing::Test, public supervisor_watcher {
 protected:
  void child_started(std::uint64_t tag, kernel::handle child) override { up[tag] = child, say("started", tag); }
  void child_ended(std::uint64_t tag, const exit_reason& why, bool final) override {
    up.erase(tag);
    say("ended " + to_string(why) + (final ? " for good" : ""), tag);
  }
  void child_restarted(std::uint64_t tag, kernel::handle child, const exit_reason&) override {
    up[tag] = child;
    say("restarted", tag);
  }
  void child_given_up(std::uint64_t tag, const std::string&) override { say("given up", tag); }
  void gave_up(const std::string&) override { heard.emplace_back("gave up"); }
  void say(const std::string& what, std::uint64_t tag) { heard.push_back(std::to_string(tag) + " " + what); }

  void start(strategy kind, std::uint32_t intensity = 3) {
    supervisor_spec spec{.name = "test", .kind = kind, .intensity = intensity};
    for (std::uint64_t i = 1; i <= 3; ++i)
      spec.children.push_back({.id = std::to_string(i), .factory = &children, .tag = i});
    ASSERT_TRUE(validate(spec));
    const auto begun = w.of.start(w.now, std::make_unique<supervisor>(spec, this), supervisor::options());
    ASSERT_TRUE(begun);
    who = *begun;
    heard.clear();
  }
  void crash(std::uint64_t tag) {
    w.of.send(w.now, up.at(tag), w.word("crash"));
    w.run();
  }

  kernel::testing::world w;
  crashing children;
  kernel::handle who;
  std::map<std::uint64_t, kernel::handle> up;
  std::vector<std::string> heard;
};
using log = std::vector<std::string>;

TEST_F(supervisor_of_three, one_for_one_restarts_the_one_that_ended) {
  start(strategy::one_for_one);
  const auto others = std::pair{up.at(1), up.at(3)};
  crash(2);
  EXPECT_EQ(heard, (log{"2 ended error: boom", "2 restarted"}));
  EXPECT_EQ(std::pair(up.at(1), up.at(3)), others);
}

TEST_F(supervisor_of_three, one_for_all_stops_the_others_in_reverse_and_starts_all_in_order) {
  start(strategy::one_for_all);
  crash(2);
  EXPECT_EQ(heard, (log{"2 ended error: boom", "3 ended shutdown", "1 ended shutdown", "1 restarted", "2 restarted",
                        "3 restarted"}));
}

TEST_F(supervisor_of_three, rest_for_one_leaves_those_that_were_started_before) {
  start(strategy::rest_for_one);
  crash(2);
  EXPECT_EQ(heard, (log{"2 ended error: boom", "3 ended shutdown", "2 restarted", "3 restarted"}));
}

TEST_F(supervisor_of_three, over_its_intensity_it_stops_its_children_and_exits_with_shutdown) {
  start(strategy::one_for_one, 1);
  crash(1);
  crash(1);
  EXPECT_EQ(heard, (log{"1 ended error: boom", "1 restarted", "1 ended error: boom", "gave up",
                        "3 ended shutdown for good", "2 ended shutdown for good"}));
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(supervisor_of_three, a_restart_that_fails_is_tried_again_and_counts) {
  start(strategy::one_for_one, 3);
  children.broken = true;
  crash(1);
  EXPECT_EQ(children.lives[1], 4);
  EXPECT_FALSE(w.of.alive(who));
}

}  // namespace
}  // namespace orrery::process
