// Groups and the registry as processes use them, on one node.
#include "mesh/process/shared_testing.hpp"
#include "mesh/wire/cbor.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::inside;
using ::testing::IsEmpty;

TEST(group, hears_what_is_published_once_each_even_where_a_member_joined_twice) {
  inside w;
  std::vector<std::string> a;
  std::vector<std::string> b;
  const auto first = w.spawn(a);
  const auto second = w.spawn(b);
  ASSERT_TRUE(w.around.join("room", first));
  ASSERT_TRUE(w.around.join("room", first));
  ASSERT_TRUE(w.around.join("room", second));
  w.as(first, [&](kernel::context& self) {
    EXPECT_EQ(w.around.publish(self, "room", w.word("news"), cbor::integer_value(1)), 2U);
    EXPECT_EQ(w.around.publish(self, "nobody", w.word("news"), {}), 0U);
  });
  w.run();
  EXPECT_THAT(a, ElementsAre("news 1"));
  EXPECT_THAT(b, ElementsAre("news 1"));
}

TEST(group, tells_its_watchers_of_first_joins_last_leaves_and_ends) {
  inside w;
  std::vector<std::string> seen;
  const auto watcher = w.spawn(seen);
  const auto member = w.spawn();
  w.as(watcher, [&](kernel::context&) {
    EXPECT_THAT(w.around.monitor_group("room", watcher).value(), IsEmpty());
    ASSERT_TRUE(w.around.join("room", member));
    ASSERT_TRUE(w.around.join("room", member));
    EXPECT_TRUE(w.around.leave("room", member));
    EXPECT_TRUE(w.around.leave("room", member));
    EXPECT_FALSE(w.around.leave("room", member));
    ASSERT_TRUE(w.around.join("room", member));
  });
  w.end(member);
  w.run();
  const auto pids = R"({"group":"room","pids":[")" + w.text(member) + R"("]})";
  EXPECT_THAT(seen,
              ElementsAre("group_joined " + pids, "group_left " + pids, "group_joined " + pids, "group_left " + pids));
  w.around.demonitor_group("room", watcher);
  ASSERT_TRUE(w.around.join("room", watcher));
  w.run();
  EXPECT_EQ(seen.size(), 4U);
}

TEST(group, without_members_here_lets_no_client_teach_the_node_words) {
  inside w;
  EXPECT_EQ(w.rt.publish(w.now, "nobody", "never-heard", {}, w.out).value(), 0U);
  EXPECT_FALSE(w.of.core.atoms().find("never-heard"));
  w.of.words_from_clients_ = words_from_clients_max;
  EXPECT_EQ(w.rt.publish(w.now, "nobody", "never-heard", {}, w.out).value(), 0U);
}

TEST(group, hears_from_no_client_what_only_the_system_says) {
  inside w;
  std::vector<std::string> seen;
  ASSERT_TRUE(w.around.join("room", w.spawn(seen)));
  for (const char* word : {"group_joined", "group_left", "key_lost"}) {
    const auto sent = w.rt.publish(w.now, "room", word, {}, w.out);
    ASSERT_FALSE(sent) << word;
    EXPECT_EQ(sent.error().code, errc::invalid_argument);
    EXPECT_THAT(sent.error().context, HasSubstr("is the system's"));
  }
  w.run();
  EXPECT_THAT(seen, IsEmpty());
}

TEST(group, hears_what_its_scripts_know_after_clients_have_used_up_the_words) {
  inside w;
  std::vector<std::string> seen;
  const auto member = w.spawn(seen);
  ASSERT_TRUE(
      w.rt.define(testing::lua_class("return { call = { get = function() end }, info = { news = function() end } }")));
  ASSERT_TRUE(w.around.join("room", member));
  w.of.words_from_clients_ = words_from_clients_max;
  EXPECT_EQ(w.rt.publish(w.now, "room", "gossip", {}, w.out).error().code, errc::overloaded);
  EXPECT_EQ(w.rt.publish(w.now, "room", "news", {}, w.out).value(), 1U);
  w.run();
  EXPECT_THAT(seen, ElementsAre("news"));
}

TEST(group, takes_only_processes_of_this_node_that_live) {
  inside w;
  const auto gone = w.spawn();
  w.end(gone);
  EXPECT_EQ(w.around.join("room", gone).error().code, errc::not_found);
  EXPECT_THAT(w.around.join("room", gone).error().context, HasSubstr(w.text(gone)));
  EXPECT_EQ(w.around.join("room", {5, 1, 0}).error().code, errc::not_found);
  EXPECT_EQ(w.around.monitor_group("room", gone).error().code, errc::not_found);
}

/// What is seen of a process' entries by whoever hears of its end.
TEST(entries, of_a_process_are_gone_before_anybody_hears_of_its_end) {
  inside w;
  const auto subject = w.spawn();
  std::vector<std::string> seen;
  auto body = std::make_unique<kernel::testing::scripted>([&](kernel::context& self, kernel::message& arrived) {
    seen.push_back(kernel::testing::describe(w.of.core, arrived));
    EXPECT_THAT(w.around.members("room", reach::mesh), IsEmpty());
    EXPECT_THAT(w.around.lookup(key_space::node_unique, "k"), IsEmpty());
    EXPECT_TRUE(w.around.register_key(key_space::node_unique, "k", self.self(), {})) << "free for a successor";
  });
  const auto heir = w.spawn(std::move(body), {.priority = true});
  w.as(heir, [&](kernel::context& self) { static_cast<void>(self.monitor(subject)); });
  ASSERT_TRUE(w.around.join("room", subject));
  ASSERT_TRUE(w.around.register_key(key_space::node_unique, "k", subject, {}));
  w.end(subject);
  w.run();
  EXPECT_THAT(seen, ElementsAre("down error: boom"));
}

TEST(unique_keys, are_refused_with_the_pid_that_holds_them) {
  inside w;
  const auto holder = w.spawn();
  const auto other = w.spawn();
  ASSERT_TRUE(w.around.register_key(key_space::node_unique, "k", holder, cbor::integer_value(1)));
  const auto refused = w.around.register_key(key_space::node_unique, "k", other, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::already_exists);
  EXPECT_THAT(refused.error().context, HasSubstr(w.text(holder)));
  EXPECT_FALSE(w.around.unregister_key(key_space::node_unique, "k", other));
  EXPECT_TRUE(w.around.unregister_key(key_space::node_unique, "k", holder));
  EXPECT_TRUE(w.around.register_key(key_space::node_unique, "k", other, {}));
  EXPECT_THAT(w.around.keys_of(key_space::node_unique, other), ElementsAre("k"));
}

TEST(mesh_unique_keys, are_claimed_and_the_claim_is_answered_like_a_call) {
  inside w;
  std::vector<std::string> first;
  std::vector<std::string> second;
  const auto a = w.spawn(first);
  const auto b = w.spawn(second);
  EXPECT_EQ(w.around.register_key(key_space::mesh_unique, "k", a, {}).error().code, errc::invalid_argument);
  w.as(a, [&](kernel::context& self) {
    EXPECT_NE(w.around.claim_key(self, "k", cbor::integer_value(1), 1s), kernel::no_reference);
  });
  const auto asked = w.take<key_claimed>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].key, "k");
  EXPECT_EQ(asked[0].deadline, w.now + 1s);
  w.run();
  EXPECT_THAT(first, IsEmpty());
  EXPECT_THAT(w.around.lookup(key_space::mesh_unique, "k"), IsEmpty());
  EXPECT_TRUE(w.rt.key_answered(w.now, asked[0].number, cbor::bool_value(true), w.out));
  EXPECT_EQ(w.around.lookup(key_space::mesh_unique, "k").size(), 1U) << "before its holder hears of it";
  w.run();
  EXPECT_THAT(first, ElementsAre("reply true"));
  w.as(b, [&](kernel::context& self) { (void)w.around.claim_key(self, "k", {}, 1s); });
  w.run();
  EXPECT_THAT(second, ElementsAre(HasSubstr("already_exists: " + w.text(a) + " holds 'k'")));
  EXPECT_TRUE(w.around.update_value(key_space::mesh_unique, "k", a, cbor::integer_value(2)));
  EXPECT_EQ(w.around.lookup(key_space::mesh_unique, "k")[0].held.json_text(), "2");
  EXPECT_EQ(w.around.count_keys(key_space::mesh_unique), 1U);
}

TEST(mesh_unique_keys, are_not_held_by_a_process_that_ended_before_the_grant_came) {
  inside w;
  const auto a = w.spawn();
  w.as(a, [&](kernel::context& self) { (void)w.around.claim_key(self, "k", {}, 1s); });
  w.end(a);
  EXPECT_FALSE(w.rt.key_answered(w.now, w.take<key_claimed>().at(0).number, cbor::bool_value(true), w.out));
  EXPECT_THAT(w.around.lookup(key_space::mesh_unique, "k"), IsEmpty());
}

TEST(mesh_unique_keys, that_are_refused_or_not_answered_in_time_are_not_held) {
  inside w;
  std::vector<std::string> seen;
  const auto a = w.spawn(seen);
  w.as(a, [&](kernel::context& self) {
    (void)w.around.claim_key(self, "k", {}, 1s);
    (void)w.around.claim_key(self, "late", {}, 1s);
  });
  const auto asked = w.take<key_claimed>();
  EXPECT_FALSE(w.rt.key_answered(w.now, asked.at(0).number, fail(errc::isolated, "alone"), w.out));
  w.run();
  w.now += 1s;
  w.run();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_THAT(seen[0], HasSubstr("isolated: alone"));
  EXPECT_THAT(seen[1], HasSubstr("deadline_exceeded"));
  EXPECT_EQ(w.around.count_keys(key_space::mesh_unique), 0U);
}

}  // namespace
}  // namespace orrery::process
