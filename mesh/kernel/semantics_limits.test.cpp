// The limits of a system: who goes over one ends, or is told; nobody else, and nothing is left behind.
#include "mesh/kernel/semantics.hpp"

namespace orrery::kernel {
namespace {

using namespace std::chrono_literals;
using namespace testing;

struct limits : ::testing::Test {
  static bool says_limit(const std::string& reason) { return reason.starts_with("system_limit: "); }
};

TEST_F(limits, of_processes_refuse_from_outside) {
  world w{{.processes_max = 1}};
  w.spawn({});
  const auto refused = w.of.spawn(w.now, std::make_unique<scripted>(scripted::on_message{}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::overloaded);
  const auto failed = w.of.start(w.now, std::make_unique<scripted>(scripted::on_message{}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().why, exit_reason::kind::system_limit);
}

TEST_F(limits, of_processes_end_a_process_that_spawns_and_only_tell_one_that_starts) {
  stage s{1, {.processes_max = 1}};
  auto& a = s.near();
  auto& child = s.absent(0);
  s.as(a, [&](context& self) {
    const auto refused = self.start(s.body_of(child));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().why, exit_reason::kind::system_limit);
  });
  EXPECT_TRUE(s.alive(a));
  s.as(a, [&](context& self) { EXPECT_EQ(self.spawn(s.body_of(child)).who, nobody); });
  EXPECT_TRUE(says_limit(s.end_of(a))) << s.end_of(a);
  EXPECT_TRUE(s.world_of(a).of.spawn(s.world_of(a).now, s.body_of(child)));
}

TEST_F(limits, of_messages_refuse_calls_and_drop_the_rest) {
  stage s{1, {.messages_max = 2}};
  auto& server = s.near();
  auto& client = s.near();
  auto& w = s.world_of(server);
  EXPECT_TRUE(w.of.suspend(server.who));
  s.send(client, server, "one"), s.send(client, server, "two"), s.send(client, server, "three");
  w.of.call(w.now, server.who, w.word("get"), {}, w.now + 1s, call_token{1});
  EXPECT_EQ(w.replies.at(1).error().code, errc::overloaded);
  EXPECT_EQ(s.look(server).waiting, 2U);
}

TEST_F(limits, of_relations_end_the_process_that_goes_over_them) {
  const std::vector<std::function<void(context&, handle)>> ways = {
      [](context& self, handle other) { self.link(other); },
      [](context& self, handle other) { EXPECT_EQ(self.monitor(other), no_reference); },
      [](context& self, handle other) { EXPECT_EQ(self.call(other, atom{}, {}, 1s), no_reference); },
      [](context& self, handle) { EXPECT_EQ(self.alias(), no_reference); },
      [](context& self, handle other) { EXPECT_EQ(self.send_after(1s, other, atom{}), no_reference); }};
  for (const auto& way : ways) {
    stage s{1, {.relations_max = 1}};
    auto& a = s.near();
    auto& other = s.near();
    s.as(a, [](context& self) { EXPECT_NE(self.alias(), no_reference); });
    s.as(a, [&](context& self) { way(self, other.who); });
    s.run();
    EXPECT_TRUE(says_limit(s.end_of(a))) << s.end_of(a);
    EXPECT_TRUE(s.alive(other));
  }
}

TEST_F(limits, of_timers_end_the_process_that_goes_over_them) {
  stage s{1, {.timers_max = 1}};
  auto& a = s.near();
  auto& other = s.near();
  s.as(a, [&](context& self) { EXPECT_NE(self.send_after(1s, other.who, atom{}), no_reference); });
  EXPECT_TRUE(s.alive(a));
  s.as(a, [&](context& self) { EXPECT_EQ(self.send_after(1s, other.who, atom{}), no_reference); });
  EXPECT_TRUE(says_limit(s.end_of(a))) << s.end_of(a);
  EXPECT_TRUE(s.alive(other));
}

TEST_F(limits, of_relations_leave_no_child_behind_without_its_link_or_monitor) {
  for (const spawn_options how : {spawn_options{.link = true}, spawn_options{.monitor = true}}) {
    for (const bool at_once : {false, true}) {
      stage s{1, {.relations_max = 1}};
      auto& a = s.near();
      auto& child = s.absent(0);
      bool begun = false;
      s.as(a, [](context& self) { EXPECT_NE(self.alias(), no_reference); });
      s.as(a, [&](context& self) {
        auto body = s.body_of(child, {}, [&](context&) { begun = true; });
        if (at_once) {
          EXPECT_FALSE(self.start(std::move(body), stage::announced(child, how)));
        } else {
          EXPECT_EQ(self.spawn(std::move(body), stage::announced(child, how)).who, nobody);
        }
      });
      s.run();
      EXPECT_FALSE(begun);
      EXPECT_EQ(s.world_of(a).of.count(), at_once ? 1U : 0U);
      EXPECT_EQ(s.alive(a), at_once);
    }
  }
}

TEST_F(limits, of_relations_refuse_calls_from_outside) {
  stage s{1, {.relations_max = 0}};
  auto& server = s.near();
  auto& w = s.world_of(server);
  w.of.call(w.now, server.who, w.word("get"), {}, w.now + 1s, call_token{1});
  EXPECT_EQ(w.replies.at(1).error().code, errc::overloaded);
  EXPECT_TRUE(s.alive(server));
}

TEST_F(limits, of_processes_that_start_within_each_other_are_told) {
  stage s{1};
  std::function<void(context&)> nest;
  int depth = 0;
  std::string refused;
  nest = [&](context& self) {
    ++depth;
    const auto made = self.start(std::make_unique<scripted>(scripted::on_message{}, nest));
    if (!made && refused.empty()) refused = to_string(made.error());
  };
  auto& a = s.near();
  s.as(a, nest);
  EXPECT_TRUE(says_limit(refused)) << refused;
  EXPECT_LT(depth, 100);
}

TEST_F(limits, are_told_of_nothing_once_the_load_is_gone) {
  stage s{1, {.processes_max = 2, .relations_max = 1}};
  auto& a = s.near();
  auto& b = s.near();
  s.link(a, b), s.unlink(a, b), s.link(b, a);
  EXPECT_TRUE(s.alive(a));
  EXPECT_TRUE(s.alive(b));
  s.stop(b);
  auto& c = s.near();
  s.link(a, c);
  EXPECT_TRUE(s.alive(a));
}

}  // namespace
}  // namespace orrery::kernel
