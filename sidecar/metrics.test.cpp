#include "sidecar/metrics.hpp"

#include "sidecar/event_hub.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::sidecar {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

std::vector<process::class_spec> only(const char* name) {
  process::class_spec spec;
  spec.name = class_name{name};
  return {spec};
}

value document(const char* json) { return value::from_json(json).value(); }

TEST(metrics, calls_are_counted_by_class_and_code_with_a_histogram_from_50_microseconds) {
  metrics counted;
  counted.set_classes(only("counter"));
  counted.count_call(class_name{"counter"}, std::nullopt, 40us);
  counted.count_call(class_name{"counter"}, errc::deadline_exceeded, 5s);
  const auto text = counted.text({});
  EXPECT_THAT(text, HasSubstr(R"(orrery_calls_total{class="counter",code="ok"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_calls_total{class="counter",code="deadline_exceeded"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_call_seconds_bucket{class="counter",le="5e-05"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_call_seconds_count{class="counter"} 2)"));
}

TEST(metrics, labels_come_from_closed_sets_whatever_clients_send) {
  metrics counted;
  counted.count_call(class_name{"made-up"}, errc::not_found, 1ms);
  counted.count_event({"process_restarted", document(R"({"class":"made-up","key":"secret","reason":"weird: x"})")});
  const auto text = counted.text({});
  EXPECT_THAT(text, Not(HasSubstr("made-up")));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, HasSubstr(R"(orrery_process_restarts_total{class="unknown",reason="other"} 1)"));
}

TEST(metrics, steps_of_the_node_are_timed) {
  metrics counted;
  counted.count_step(2us);
  const auto text = counted.text({});
  EXPECT_THAT(text, HasSubstr(R"(orrery_node_step_seconds_bucket{le="1e-06"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_node_step_seconds_bucket{le="2.5e-06"} 1)"));
}

TEST(metrics, supervision_is_counted_by_class) {
  metrics counted;
  counted.set_classes(only("counter"));
  observed now;
  now.nodes = document(R"({"nodes":[]})");
  now.tree = document(
      R"({"nodes":[{"supervisors":[{"class":"counter","children":3,"gaveUp":1,"givenUpNow":2,"childrenGivenUp":9,
          "mailboxes":{"refused":4,"displaced":5,"waited":6}}]}]})");
  const auto text = counted.text(now);
  EXPECT_THAT(text, HasSubstr(R"(orrery_processes_given_up{class="counter"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_processes_given_up_total{class="counter"} 9)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_mailbox_full_total{class="counter",outcome="waited"} 6)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_supervisor_gave_up_total{class="counter"} 1)"));
}

TEST(metrics, the_nodes_state_is_read_when_scraped) {
  metrics counted;
  counted.set_classes(only("kv"));
  observed now;
  now.node.joined = true;
  now.node.counted.calls_forwarded = 7;
  now.nodes = document(R"({"nodes":[{"name":"a","state":"self"},{"name":"b","state":"up","rttSeconds":0.25}]})");
  now.tree = document(R"({"nodes":[{"node":"a","supervisors":[{"class":"kv","children":3,"gaveUp":1}]}]})");
  const auto text = counted.text(now);
  EXPECT_THAT(text, HasSubstr("orrery_node_joined 1"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_node_calls_total{path="forwarded"} 7)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_mesh_peers{state="up"} 1)"));
  EXPECT_THAT(text, HasSubstr("orrery_peer_rtt_seconds_max 0.25"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_processes{class="kv"} 3)"));
}

TEST(metrics, what_waits_is_told_of_known_classes_only) {
  metrics counted;
  counted.set_classes(only("kv"));
  counted.count_turn(2us);
  observed now;
  now.load = document(
      R"({"classes":[{"class":"kv","mailbox":7,"mailboxMax":5,"oldestSeconds":1.5,"suspended":1,"memoryBytes":900},
                     {"class":"made-up","mailbox":1}],
          "runQueue":3,"queuedBytes":40,"traces":2,"censusAgeSeconds":0.5,"crashes":{"restarted":4,"waits":0}})");
  const auto text = counted.text(now);
  EXPECT_THAT(text, HasSubstr(R"(orrery_mailbox_messages{class="kv"} 7)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_mailbox_messages_max{class="kv"} 5)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_mailbox_oldest_seconds{class="kv"} 1.5)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_processes_suspended{class="kv"} 1)"));
  EXPECT_THAT(text, HasSubstr("orrery_run_queue_length 3"));
  EXPECT_THAT(text, HasSubstr("orrery_traces_active 2"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_crash_reports_total{decision="restarted"} 4)"));
  EXPECT_THAT(text, HasSubstr(R"(orrery_turn_lag_seconds_bucket{le="2.5e-06"} 1)"));
  EXPECT_THAT(text, Not(HasSubstr("made-up")));
}

TEST(metrics, exit_reasons_become_their_kind) {
  EXPECT_EQ(reason_label("error: line 3: boom"), "error");
  EXPECT_EQ(reason_label("killed"), "killed");
  EXPECT_EQ(reason_label("whatever"), "other");
  EXPECT_EQ(reason_label(""), "other");
}

TEST(events, carry_the_time_and_the_node) {
  const auto text = event_text(document(R"({"class":"kv"})"), "2026-01-01T00:00:00Z", "me");
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["at"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(json["node"], "me");
  EXPECT_EQ(json["class"], "kv");
  EXPECT_EQ(nlohmann::json::parse(event_text(document(R"({"node":"peer"})"), "t", "me"))["node"], "peer");
}

}  // namespace
}  // namespace orrery::sidecar
