// Ends that meet in one supervisor: what OTP's makes of them, found by running the same programs on both.
#include "mesh/process/supervision/testing.hpp"

#include <gtest/gtest.h>

namespace orrery::process {
namespace {

using namespace std::chrono_literals;
using testing::log;

class ends_that_meet : public testing::supervised {
 protected:
  void terminate(std::string_view id) {
    EXPECT_TRUE(ask([&](supervisor& of, kernel::context& self) { return of.terminate_child(self, id); }));
  }
  void unlink_from_supervisor(std::uint64_t tag) {
    w.as(up.at(tag), [&](kernel::context& self) { self.unlink(who); });
  }
  /// As its parent would: nobody started it.
  void end_supervisor() {
    w.of.exit(w.now, who, {exit_reason::kind::shutdown, {}});
    w.run();
  }
  void let_linger(supervisor_spec& spec, std::size_t at) {
    spec.children.at(at).process.trap_exits = true;
    children.lingers.insert(at + 1);
  }
};

TEST_F(ends_that_meet, a_terminated_child_comes_back_with_all_the_others) {
  for (const auto kind : {strategy::one_for_all, strategy::rest_for_one}) {
    children.lives.clear();
    start(three(kind));
    terminate("3");
    crash(1);
    EXPECT_EQ(children.lives[3], 2);
    EXPECT_EQ(up.size(), 3U);
  }
}

TEST_F(ends_that_meet, a_terminated_child_before_the_one_that_ended_stays_down) {
  start(three(strategy::rest_for_one));
  terminate("1");
  crash(2);
  EXPECT_EQ(children.lives[1], 1);
}

TEST_F(ends_that_meet, a_child_that_unlinked_itself_is_stopped_like_the_others) {
  start(three(strategy::one_for_one));
  unlink_from_supervisor(2);
  const auto unlinked = up.at(2);
  end_supervisor();
  EXPECT_FALSE(w.of.alive(unlinked));
  EXPECT_FALSE(w.of.alive(who));
  EXPECT_TRUE(up.empty());
}

TEST_F(ends_that_meet, a_child_that_unlinked_itself_and_ended_does_not_keep_its_supervisor) {
  start(three(strategy::one_for_one));
  unlink_from_supervisor(2);
  crash(2);
  EXPECT_EQ(children.lives[2], 1);  // nobody heard
  end_supervisor();
  EXPECT_FALSE(w.of.alive(who));
}

TEST_F(ends_that_meet, a_temporary_child_that_ends_with_its_sibling_does_not_come_back_with_it) {
  auto spec = three(strategy::one_for_all);
  spec.children[0].restart = restart_type::temporary;
  start(spec);
  w.as(up.at(1), [&](kernel::context& self) { self.link(up.at(2)); });
  crash(2);
  EXPECT_EQ(children.lives[1], 1);
  EXPECT_EQ(children.lives[2], 2);
  EXPECT_EQ(up.size(), 2U);
}

TEST_F(ends_that_meet, every_sibling_that_ends_while_others_are_stopped_comes_back) {
  auto spec = three(strategy::rest_for_one, 10);
  spec.children.push_back(child(4));
  let_linger(spec, 3);
  start(spec);
  crash(3);  // 4 lingers: the supervisor waits
  crash(2);
  crash(1);
  for (int i = 0; i < 3; ++i)
    w.pass(6s);
  EXPECT_EQ(up.size(), 4U);
  for (const auto& [tag, child] : up)
    EXPECT_TRUE(w.of.alive(child)) << tag;
}

TEST_F(ends_that_meet, the_end_of_a_terminated_child_is_not_taken_for_that_of_another) {
  auto spec = three(strategy::rest_for_one);
  let_linger(spec, 0);
  let_linger(spec, 2);
  start(spec);
  terminate("1");
  w.pass(1s);
  crash(2);  // 3 is told to end
  w.pass(4s);
  EXPECT_FALSE(up.contains(1));
  EXPECT_EQ(children.lives[3], 1);  // the old one still lingers
  w.pass(1s);
  EXPECT_EQ(children.lives[3], 2);
}

TEST_F(ends_that_meet, a_supervisor_stays_until_a_terminated_child_has_ended) {
  auto spec = three(strategy::one_for_one);
  let_linger(spec, 1);
  start(spec);
  const auto lingering = up.at(2);
  terminate("2");
  end_supervisor();
  EXPECT_TRUE(w.of.alive(who));
  w.pass(6s);
  EXPECT_FALSE(w.of.alive(lingering));
  EXPECT_FALSE(w.of.alive(who));
}

}  // namespace
}  // namespace orrery::process
