#include "mesh/process/crashes.hpp"

#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct crash_reports : ::testing::Test {
  crash_reports() {
    EXPECT_TRUE(w.rt.define(counter_class()));
    EXPECT_TRUE(w.rt.define(fragile({})));
  }
  static class_spec fragile(supervision_spec supervision) {
    auto spec = lua_class(R"(return {
      init = function(key) if key == 'stillborn' then error('no such key') end; return {n = 1} end,
      call = {crash = function(state, argument)
                state.n = 2
                error('boom')
              end,
              add = function(state, by) state.n = state.n + by; return state.n end},
      cast = {crash = function(state, argument) error('cast boom') end},
    })");
    spec.supervision = supervision;
    return spec;
  }
  std::vector<crash_report> reports() { return w.rt.crashes().crashes({}); }
  std::vector<std::uint64_t> told() {
    std::vector<std::uint64_t> numbers;
    for (const auto& each : w.out) {
      if (const auto* crash = std::get_if<crashed>(&each)) numbers.push_back(crash->number);
    }
    return numbers;
  }

  world w;
};

TEST_F(crash_reports, tell_what_the_process_was_doing_and_what_its_supervisor_did) {
  w.ask("lua/a", "add", "1");
  static_cast<void>(w.send("lua/a", "crash", json(R"({"by": 5})")));
  static_cast<void>(w.send("lua/a", "add", json("1")));
  w.now += 5s;
  const auto living = w.rt.find(named("lua/a"))->id;
  w.run();
  ASSERT_THAT(reports(), SizeIs(1));
  const auto seen = reports()[0];
  EXPECT_EQ(to_string(seen.name), "lua/a");
  EXPECT_EQ(seen.id, living);
  EXPECT_THAT(to_string(seen.reason), HasSubstr("error: line 5: boom"));
  EXPECT_EQ(seen.scene.message_kind, "call");
  EXPECT_EQ(seen.scene.method, "crash");
  EXPECT_EQ(seen.scene.argument, R"({"by":5})");
  EXPECT_EQ(seen.scene.mailbox, 1U);
  EXPECT_EQ(seen.scene.handled, 2U);
  EXPECT_EQ(seen.scene.state, R"({"n":2})") << "as the crash left it";
  EXPECT_EQ(seen.lived, 5s);
  EXPECT_EQ(seen.at, w.now);
  EXPECT_EQ(seen.restarts, 0U);
  EXPECT_EQ(seen.decision, crash_decision::restarted);
  EXPECT_EQ(w.rt.crashes().counted()[static_cast<std::size_t>(crash_decision::restarted)], 1U);
}

TEST_F(crash_reports, are_told_once_each) {
  w.ask("lua/a", "add", "1");
  (void)w.rt.cast(w.now, named("lua/a"), "crash", {}, w.out);
  while (w.rt.run(w.now, 100, w.out)) {
  }
  EXPECT_EQ(told(), std::vector<std::uint64_t>{1});
  EXPECT_EQ(w.rt.crashes().find(1)->scene.message_kind, "cast");
  EXPECT_EQ(w.rt.crashes().find(2), nullptr);
  EXPECT_EQ(w.rt.crashes().find(0), nullptr);
}

TEST_F(crash_reports, of_a_kill_have_its_reason_and_no_message) {
  w.ask("counter/a", "add", "1");
  w.kill("counter/a", "by hand");
  ASSERT_THAT(reports(), SizeIs(1));
  EXPECT_EQ(to_string(reports()[0].reason), "killed: by hand");
  EXPECT_EQ(reports()[0].scene.message_kind, "");
  EXPECT_EQ(reports()[0].scene.handled, 1U);
  EXPECT_EQ(reports()[0].decision, crash_decision::restarted);
}

TEST_F(crash_reports, are_not_made_of_orderly_ends) {
  w.ask("counter/a", "add", "1");
  w.stop("counter/a");
  w.ask("counter/b", "add", "1");
  w.rt.undefine(w.now, class_name{"counter"}, w.out);
  EXPECT_TRUE(reports().empty());
}

TEST_F(crash_reports, say_that_a_temporary_process_has_ended) {
  ASSERT_TRUE(w.rt.define(fragile({.restart = restart_type::temporary})));
  w.ask("lua/a", "crash");
  ASSERT_THAT(reports(), SizeIs(1));
  EXPECT_EQ(reports()[0].decision, crash_decision::ended);
}

TEST_F(crash_reports, of_a_first_init_say_that_it_did_not_start) {
  EXPECT_THAT(w.ask("lua/stillborn", "add", "1"), HasSubstr("no such key"));
  ASSERT_THAT(reports(), SizeIs(1));
  EXPECT_EQ(reports()[0].scene.message_kind, "init");
  EXPECT_THAT(to_string(reports()[0].reason), HasSubstr("error: line 2: no such key"));
  EXPECT_EQ(reports()[0].decision, crash_decision::not_started);
}

TEST_F(crash_reports, name_the_crash_that_made_a_supervisor_give_up_and_keep_its_own_report) {
  ASSERT_TRUE(w.rt.define(fragile({.intensity = 1, .period = 60s})));
  w.ask("lua/a", "crash");
  w.ask("lua/a", "crash");
  ASSERT_THAT(reports(), SizeIs(2));
  EXPECT_EQ(reports()[0].decision, crash_decision::supervisor_gave_up);
  EXPECT_EQ(reports()[0].restarts, 1U);
  EXPECT_EQ(reports()[1].decision, crash_decision::restarted);
  const auto given_up = w.rt.crashes().give_ups({});
  ASSERT_THAT(given_up, SizeIs(1));
  EXPECT_EQ(given_up[0].klass.value, "lua");
  EXPECT_THAT(given_up[0].why, HasSubstr("root/lua gave up"));
}

TEST_F(crash_reports, are_found_by_class_and_key_the_latest_first) {
  for (const auto* name : {"lua/a", "lua/b", "lua/a"})
    w.ask(name, "crash");
  w.ask("counter/a", "get");
  w.kill("counter/a");
  const auto& log = w.rt.crashes();
  EXPECT_EQ(log.crashes({}).front().name, named("counter/a"));
  EXPECT_THAT(log.crashes({.klass = class_name{"lua"}}), SizeIs(3));
  EXPECT_THAT(log.crashes({.klass = class_name{"lua"}, .key = process_key{"a"}}), SizeIs(2));
  EXPECT_THAT(log.crashes({.limit = 2}), SizeIs(2));
}

TEST_F(crash_reports, show_no_more_states_in_a_second_than_they_may) {
  ASSERT_TRUE(w.rt.define(fragile({.intensity = 1000})));
  for (std::uint32_t i = 0; i <= crash_states_per_second_max; ++i)
    w.ask("lua/a", "crash");
  EXPECT_EQ(reports()[0].scene.state, "");
  EXPECT_GT(reports()[0].scene.state_bytes, 0U);
  EXPECT_NE(reports()[1].scene.state, "");
  w.now += 1s;
  w.ask("lua/a", "crash");
  EXPECT_NE(reports()[0].scene.state, "");
}

crash_report long_one(std::size_t bytes) {
  crash_report out;
  out.name = named("kv/x");
  out.reason = {exit_reason::kind::error, std::string(bytes, 'r')};
  out.scene.argument = std::string(bytes, 'a');
  out.scene.state = std::string(bytes, 's');
  return out;
}

TEST(crash_log, keeps_the_latest_within_its_bounds) {
  crash_log log;
  for (std::size_t i = 0; i < 2 * crashes_kept_max; ++i)
    log.add(long_one(10));
  EXPECT_EQ(log.crashes({.limit = 1000}).size(), crashes_kept_max);
  EXPECT_EQ(log.crashes({}).front().number, 2 * crashes_kept_max);
  EXPECT_EQ(log.find(1), nullptr);
  EXPECT_EQ(log.find(2 * crashes_kept_max)->number, 2 * crashes_kept_max);
  for (std::size_t i = 0; i < 2 * crashes_kept_max; ++i)
    log.add(long_one(10'000));
  EXPECT_LE(log.bytes(), crash_bytes_max);
  EXPECT_LT(log.crashes({.limit = 1000}).size(), crashes_kept_max);
  EXPECT_GT(log.crashes({.limit = 1000}).size(), 100U);
  const auto kept = log.crashes({}).front();
  EXPECT_EQ(kept.reason.detail.size(), crash_reason_bytes_max);
  EXPECT_EQ(kept.scene.argument.size(), crash_argument_bytes_max);
  EXPECT_EQ(kept.scene.state.size(), crash_state_bytes_max);
}

TEST(crash_log, decides_the_latest_that_waits_and_nothing_where_none_does) {
  crash_log log;
  log.add(long_one(1));
  log.add(long_one(1));
  log.decide(named("kv/x"), crash_decision::restarted);
  log.decide(named("kv/other"), crash_decision::restarted);
  EXPECT_EQ(log.find(2)->decision, crash_decision::restarted);
  EXPECT_EQ(log.find(1)->decision, crash_decision::waits);
  log.decide(named("kv/x"), crash_decision::given_up);
  log.decide(named("kv/x"), crash_decision::given_up);
  EXPECT_EQ(log.find(1)->decision, crash_decision::given_up);
  EXPECT_EQ(log.find(2)->decision, crash_decision::restarted);
}

TEST(crash_log, keeps_a_bounded_number_of_supervisors_that_gave_up) {
  crash_log log;
  for (std::size_t i = 0; i < give_ups_kept_max + 5; ++i)
    log.supervisor_gave_up({time_point{}, class_name{"kv"}, std::to_string(i), escalation::node});
  EXPECT_EQ(log.give_ups({}).size(), give_ups_kept_max);
  EXPECT_EQ(log.give_ups({}).front().why, std::to_string(give_ups_kept_max + 4));
  EXPECT_TRUE(log.give_ups({.klass = class_name{"other"}}).empty());
}

}  // namespace
}  // namespace orrery::process
