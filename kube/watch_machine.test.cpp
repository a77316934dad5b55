#include "kube/watch_machine.hpp"

#include "kube/line_splitter.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace orrery::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using action = watch_machine::action;
using verdict = watch_machine::verdict;

api_status refusal(int code, std::string reason = {}) {
  return {.code = code, .reason = std::move(reason), .message = {}, .retry_after = {}};
}

/// A machine that has listed at version 10 and is to watch.
watch_machine watching() {
  watch_machine machine{{}};
  machine.listed("10");
  return machine;
}

void expect_list(const watch_machine& machine) { EXPECT_EQ(machine.next().what, action::kind::list); }
void expect_watch(const watch_machine& machine, const std::string& version) {
  EXPECT_EQ(machine.next().what, action::kind::watch);
  EXPECT_EQ(machine.next().resource_version, version);
}

TEST(watch_machine, lists_first_then_watches_from_there) {
  watch_machine machine{{}};
  expect_list(machine);
  EXPECT_EQ(machine.next().pause, milliseconds{0});
  machine.listed("10");
  expect_watch(machine, "10");
  EXPECT_EQ(machine.next().pause, milliseconds{0});
}

TEST(watch_machine, a_failed_list_is_tried_again_after_a_growing_pause) {
  watch_machine machine{{.backoff_min = milliseconds{100}, .backoff_max = milliseconds{1000}}};
  milliseconds most{0};
  for (int i = 0; i < 20; ++i) {
    machine.list_failed({});
    expect_list(machine);
    const milliseconds whole{std::min(100 << std::min(i, 10), 1000)};
    EXPECT_GE(machine.next().pause, whole / 2);
    EXPECT_LE(machine.next().pause, whole);
    most = std::max(most, machine.next().pause);
  }
  EXPECT_GT(most, milliseconds{500});
}

TEST(watch_machine, resumes_after_the_last_event_or_bookmark) {
  auto machine = watching();
  EXPECT_EQ(machine.on_event("ADDED", "11", {}), verdict::store);
  EXPECT_EQ(machine.on_event("MODIFIED", "12", {}), verdict::store);
  EXPECT_EQ(machine.on_event("DELETED", "13", {}), verdict::store);
  EXPECT_EQ(machine.on_event("BOOKMARK", "20", {}), verdict::skip);
  machine.watch_ended(seconds{300});
  expect_watch(machine, "20");
  EXPECT_EQ(machine.next().pause, milliseconds{0});
}

TEST(watch_machine, a_broken_connection_resumes_however_often) {
  auto machine = watching();
  for (int i = 0; i < 100; ++i) {
    machine.watch_failed(milliseconds{1});
    expect_watch(machine, "10");
    EXPECT_GT(machine.next().pause, milliseconds{0});
  }
}

TEST(watch_machine, gone_as_a_status_lists_again) {
  auto machine = watching();
  machine.watch_refused(refusal(410, "Expired"));
  expect_list(machine);
}

TEST(watch_machine, gone_inside_a_stream_lists_again) {
  auto machine = watching();
  EXPECT_EQ(machine.on_event("ADDED", "11", {}), verdict::store);
  EXPECT_EQ(machine.on_event("ERROR", "", refusal(410, "Expired")), verdict::end);
  machine.watch_ended(seconds{5});
  expect_list(machine);
  EXPECT_EQ(machine.next().pause, milliseconds{0}) << "after a healthy watch there is nothing to wait for";
}

TEST(watch_machine, a_storm_of_gone_is_no_storm_of_lists) {
  auto machine = watching();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(machine.on_event("ERROR", "", refusal(410)), verdict::end);
    machine.watch_ended(milliseconds{3});
    expect_list(machine);
    EXPECT_GE(machine.next().pause, milliseconds{400 << i});
    machine.listed("11");
  }
}

TEST(watch_machine, too_many_requests_waits_as_told_and_does_not_list) {
  auto machine = watching();
  machine.watch_refused({.code = 429, .reason = {}, .message = {}, .retry_after = seconds{7}});
  expect_watch(machine, "10");
  EXPECT_GE(machine.next().pause, seconds{7});
}

TEST(watch_machine, a_refused_list_waits_as_told_but_not_for_ever) {
  watch_machine machine{{}};
  machine.list_failed({.code = 429, .reason = {}, .message = {}, .retry_after = seconds{40}});
  expect_list(machine);
  EXPECT_GE(machine.next().pause, seconds{40});
  machine.list_failed({.code = 503, .reason = {}, .message = {}, .retry_after = seconds{86'400}});
  EXPECT_LE(machine.next().pause, watch_machine_options{}.retry_after_max);
}

TEST(watch_machine, a_server_that_keeps_refusing_our_version_is_listed_again) {
  auto machine = watching();
  for (std::uint32_t i = 1; i < watch_machine::refusals_before_list; ++i) {
    EXPECT_EQ(machine.on_event("ERROR", "", refusal(504, "Timeout")), verdict::end);
    machine.watch_ended(milliseconds{3});
    expect_watch(machine, "10");
  }
  machine.watch_refused(refusal(500));
  expect_list(machine);
}

TEST(watch_machine, a_resource_that_is_gone_is_listed_again) {
  auto machine = watching();
  machine.watch_refused(refusal(404));
  expect_list(machine);
  EXPECT_GT(machine.next().pause, milliseconds{0});
}

TEST(watch_machine, an_empty_watch_that_ends_at_once_is_a_failure) {
  auto machine = watching();
  machine.watch_ended(milliseconds{5});
  expect_watch(machine, "10");
  EXPECT_GT(machine.next().pause, milliseconds{0});
}

TEST(watch_machine, a_healthy_watch_ends_the_backoff) {
  auto machine = watching();
  for (int i = 0; i < 8; ++i) {
    machine.watch_failed(milliseconds{1});
  }
  EXPECT_EQ(machine.failures(), 8U);
  EXPECT_EQ(machine.on_event("BOOKMARK", "30", {}), verdict::skip);
  machine.watch_ended(milliseconds{10});
  EXPECT_EQ(machine.failures(), 0U);
  expect_watch(machine, "30");
}

TEST(watch_machine, garbage_and_events_without_a_version_end_the_watch_and_keep_the_place) {
  auto machine = watching();
  EXPECT_EQ(machine.on_event("ADDED", "", {}), verdict::end);
  machine.watch_ended(seconds{5});
  expect_watch(machine, "10");
  EXPECT_GT(machine.next().pause, milliseconds{0});
  machine.on_garbage();
  machine.watch_ended(seconds{5});
  expect_watch(machine, "10");
  EXPECT_EQ(machine.on_event("NOVELTY", "11", {}), verdict::skip);
}

TEST(watch_machine, watches_are_asked_to_end_at_different_times) {
  watch_machine machine{{.watch_timeout_min = seconds{300}, .watch_timeout_max = seconds{600}}};
  std::vector<seconds> timeouts;
  for (int i = 0; i < 50; ++i) {
    machine.listed("1");
    timeouts.push_back(machine.next().timeout);
    EXPECT_GE(timeouts.back(), seconds{300});
    EXPECT_LE(timeouts.back(), seconds{600});
  }
  EXPECT_NE(timeouts.front(), timeouts.back());
}

std::vector<std::string> split(const std::vector<std::string>& chunks) {
  line_splitter lines{100};
  std::vector<std::string> got;
  for (const auto& chunk : chunks) {
    EXPECT_EQ(lines.feed(chunk, [&got](std::string_view line) { return got.emplace_back(line), true; }),
              line_splitter::outcome::more);
  }
  return got;
}

TEST(line_splitter, cuts_lines_wherever_the_chunks_end) {
  const std::vector<std::string> want{"one", "two", "three"};
  EXPECT_EQ(split({"one\ntwo\nthree\n"}), want);
  EXPECT_EQ(split({"o", "ne\nt", "wo", "\n", "three", "\n"}), want);
  EXPECT_EQ(split({"one\r\ntwo\n\n\nthree\nfou"}), want);
  const std::string all = "one\ntwo\nthree\n";
  std::vector<std::string> bytes;
  for (const char byte : all) {
    bytes.emplace_back(1, byte);
  }
  EXPECT_EQ(split(bytes), want);
}

TEST(line_splitter, refuses_a_line_over_its_maximum_and_holds_no_more_than_that) {
  const auto any = [](std::string_view) { return true; };
  line_splitter in_one{100};
  EXPECT_EQ(in_one.feed(std::string(101, 'x'), any), line_splitter::outcome::too_long);
  line_splitter in_two{100};
  EXPECT_EQ(in_two.feed(std::string(60, 'x'), any), line_splitter::outcome::more);
  EXPECT_EQ(in_two.feed(std::string(60, 'x') + "\n", any), line_splitter::outcome::too_long);
  EXPECT_LE(in_two.pending(), 100U);
}

TEST(line_splitter, stops_when_told) {
  line_splitter lines{100};
  int seen = 0;
  EXPECT_EQ(lines.feed("a\nb\nc\n", [&seen](std::string_view) { return ++seen < 2; }), line_splitter::outcome::stopped);
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace orrery::kube
