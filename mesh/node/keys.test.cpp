// What a node says to peers for processes, and how it grants unique keys.
#include "mesh/node/keys.hpp"

#include "mesh/node/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::node {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::start;

membership::placement among(const std::vector<std::string>& names) {
  std::vector<node_id> ids;
  for (const auto& each : names)
    ids.push_back({node_name{each}, boot_number{1}});
  return membership::placement(std::move(ids));
}

class signals_of_b : public testing::core_b {
 protected:
  signals_of_b() { features = wire::feature_processes; }
  /// A key that `owner` grants among a and b.
  static std::string key_of(const std::string& owner) {
    for (int i = 0;; ++i) {
      auto key = "k" + std::to_string(i);
      if (owner_of_key(among({"a", "b"}), key)->name.value == owner) return key;
    }
  }
  void agree() { receive(wire::placed{digest_of(among({"a", "b"}))}); }
  void claim(std::uint64_t id, const std::string& wanted, std::uint32_t slot = 1) {
    receive(wire::claim{id, wanted, {slot, 0}, microseconds{60'000'000}});
  }
  static wire::control whereis(std::uint64_t id, const process_name& name) {
    wire::control asked;
    asked.id = id;
    asked.asked = wire::verb::whereis;
    asked.name = name;
    asked.remaining = seconds{1};
    return asked;
  }
  std::vector<std::string> answers() {
    std::vector<std::string> out;
    for (const auto& each : sent<wire::reply>())
      out.push_back(std::to_string(each.id) + " " +
                    (each.outcome ? each.outcome->json_text() : to_string(each.outcome.error())));
    done.clear();
    return out;
  }
  const std::string key = key_of("b");
};

TEST_F(signals_of_b, go_to_peers_that_know_of_them_and_to_no_others) {
  form({"a"});
  EXPECT_EQ(sent<wire::placed>().size(), 0U) << "form() has looked away";
  step(connection_closed{connection_id{1}, {errc::unavailable, "gone"}});
  done.clear();
  connect("a", 3, 3);
  const auto placed = sent<wire::placed>(3);
  ASSERT_FALSE(placed.empty());
  EXPECT_EQ(placed.back().digest, digest_of(among({"a", "b"})));
  step(connection_closed{connection_id{3}, {errc::unavailable, "gone"}});
  done.clear();
  features = 0;
  connect("a", 5, 4);
  EXPECT_THAT(sent<wire::placed>(5), IsEmpty());
  claim(1, key);
  receive(wire::announce{7, {}}, 5);
  EXPECT_THAT(answers(), IsEmpty());
  EXPECT_EQ(b.current().counted.frames_refused, 0U);
}

TEST_F(signals_of_b, for_processes_that_do_not_exist_are_answered_noproc) {
  form({"a"});
  receive(wire::signal{.what = wire::signal::kind::monitor, .from = wire::place{3, 0}, .to = {9, 9}, .ref = 77});
  const auto answered = sent<wire::signal>();
  ASSERT_EQ(answered.size(), 1U);
  EXPECT_EQ(answered[0].what, wire::signal::kind::down);
  EXPECT_EQ(answered[0].reason, "noproc");
  EXPECT_EQ(answered[0].ref, 77U);
  EXPECT_EQ(answered[0].to, (wire::place{3, 0}));
}

TEST_F(signals_of_b, out_of_order_cost_the_peer_its_connection) {
  form({"a"});
  receive(wire::announce{1, {{wire::fact::kind::member, "room", {1, 0}, 1, {}}}});
  EXPECT_EQ(b.current().counted.frames_refused, 0U);
  receive(wire::announce{3, {}});
  EXPECT_EQ(b.current().counted.frames_refused, 1U);
  EXPECT_THAT(sent<wire::goodbye>().back().why, HasSubstr("announcement 3 of a@1 after 1"));
}

TEST_F(signals_of_b, grant_a_key_once_all_peers_place_as_it_does) {
  form({"a"});
  claim(1, key);
  EXPECT_THAT(answers(), IsEmpty()) << "a has not said how it places";
  receive(wire::placed{12345});
  EXPECT_THAT(answers(), IsEmpty());
  agree();
  EXPECT_THAT(answers(), ElementsAre("1 true"));
}

TEST_F(signals_of_b, grant_without_agreement_after_two_seconds) {
  form({"a"});
  claim(1, key);
  pass(seconds{1});
  EXPECT_THAT(answers(), IsEmpty());
  pass(milliseconds{1500});
  EXPECT_THAT(answers(), ElementsAre("1 true"));
}

TEST_F(signals_of_b, grant_a_key_to_one_until_it_is_given_back_or_its_holder_is_gone) {
  form({"a"});
  agree();
  claim(1, key, 1);
  claim(2, key, 2);
  claim(3, key, 1);
  const auto held = "already_exists: a@1.1.0 holds '" + key + "'";
  EXPECT_THAT(answers(), ElementsAre("1 true", "2 " + held, "3 true"));
  receive(wire::unclaim{key, {1, 0}});
  claim(4, key, 2);
  EXPECT_THAT(answers(), ElementsAre("4 true"));
  receive(wire::announce{1, {{wire::fact::kind::unique, key, {2, 0}, 1, {}}}});
  claim(5, key, 1);
  EXPECT_THAT(answers(), ElementsAre("5 already_exists: a@1.2.0 holds '" + key + "'"));
  receive(wire::announce{2, {{wire::fact::kind::unique, key, {2, 0}, 0, {}}}});
  claim(6, key, 1);
  EXPECT_THAT(answers(), ElementsAre("6 true"));
  step(connection_closed{connection_id{1}, {errc::unavailable, "gone"}});
  connect("a", 3, 3);
  receive(wire::placed{digest_of(among({"a", "b"}))}, 3);
  done.clear();
  receive(wire::claim{7, key, {2, 0}, microseconds{60'000'000}}, 3);
  EXPECT_THAT(answers(), ElementsAre("7 true"));
}

TEST_F(signals_of_b, do_not_grant_what_another_node_owns) {
  form({"a"});
  agree();
  claim(1, key_of("a"));
  EXPECT_THAT(answers(), ElementsAre("1 unavailable: b does not own the key"));
}

TEST_F(signals_of_b, refuse_claims_beyond_those_that_may_wait) {
  form({"a"});
  for (std::uint64_t id = 1; id <= claims_parked_max; ++id)
    claim(id, key);
  EXPECT_THAT(answers(), IsEmpty());
  claim(claims_parked_max + 1, key);
  EXPECT_THAT(answers(), ElementsAre(HasSubstr("overloaded: 10000 claims wait until the mesh agrees")));
}

TEST_F(signals_of_b, answer_whereis_with_a_pid_or_not_found) {
  form({"a"});
  const auto name = owned_by("b", {"a", "b"});
  receive(whereis(1, name));
  EXPECT_THAT(answers(), ElementsAre(HasSubstr("1 not_found: process " + to_string(name) + " does not run")));
  receive(wire::cast{name, "add", value{}, 0});
  step(woken{});
  done.clear();
  receive(whereis(2, name));
  EXPECT_THAT(answers(), ElementsAre(HasSubstr("2 \"b@1.")));
}

TEST(key_grants, are_bounded) {
  key_grants grants;
  const pid who{{node_name{"a"}, boot_number{1}}, 1, 0};
  for (std::size_t i = 0; i < grants_max; ++i)
    ASSERT_TRUE(grants.grant(std::to_string(i), who));
  EXPECT_TRUE(grants.grant("5", who)) << "it has that one";
  EXPECT_FALSE(grants.grant("one more", who));
  grants.settle("5", {{node_name{"b"}, boot_number{1}}, 1, 0});
  EXPECT_FALSE(grants.grant("one more", who)) << "another's word does not count";
  grants.settle("5", who);
  EXPECT_TRUE(grants.grant("one more", who));
  grants.forget_node(who.node);
  EXPECT_FALSE(grants.granted_to("7"));
}

TEST(digests, differ_by_the_nodes_and_their_lives) {
  EXPECT_EQ(digest_of(among({"a", "b"})), digest_of(among({"b", "a"})));
  EXPECT_NE(digest_of(among({"a", "b"})), digest_of(among({"a", "c"})));
  EXPECT_NE(digest_of(among({"a"})), digest_of(membership::placement({{node_name{"a"}, boot_number{2}}})));
}

}  // namespace
}  // namespace orrery::node
