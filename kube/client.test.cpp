#include "kube/client.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

namespace orrery::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Answers from a script, in order, and keeps what was asked.
class scripted final : public transport {
 public:
  struct record {
    std::vector<request> asked;
    int refreshes = 0;
  };
  scripted(std::deque<result<response>> answers, record& into) : answers_(std::move(answers)), record_(into) {}

  result<response> send(const request& what, const call_options&) override {
    record_.asked.push_back(what);
    if (answers_.empty()) return fail(errc::internal, "the script is at its end");
    auto next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }
  result<response> stream(const request& what, const stream_options&, const chunk_handler& on_chunk) override {
    auto answer = send(what, {});
    if (!answer || answer->status != 200) return answer;
    if (on_chunk({})) on_chunk(answer->body);
    return response{.status = 200};
  }
  void refresh_credentials() override { ++record_.refreshes; }

 private:
  std::deque<result<response>> answers_;
  record& record_;
};

response ok(const std::string& body = "{}") { return {.status = 200, .retry_after = {}, .body = body}; }
response refusal(int status, std::optional<seconds> wait = {}) {
  return {.status = status, .retry_after = wait, .body = "no"};
}

class client_test : public ::testing::Test {
 protected:
  client& with(std::deque<result<response>> answers, client_options options = {}) {
    api = std::make_unique<client>(std::make_unique<scripted>(std::move(answers), seen), std::move(options));
    return *api;
  }

  scripted::record seen;
  std::unique_ptr<client> api;
  const object_key key{"ns", "a"};
};

TEST_F(client_test, waits_as_told_by_429_and_tries_again) {
  const auto started = std::chrono::steady_clock::now();
  EXPECT_TRUE(with({refusal(429, seconds{1}), ok()}).get(resources::pods, key));
  EXPECT_GE(std::chrono::steady_clock::now() - started, seconds{1});
  EXPECT_EQ(seen.asked.size(), 2U);
}

TEST_F(client_test, does_not_wait_longer_than_its_timeout_or_its_bound) {
  const auto late = with({refusal(429, seconds{20})}).get(resources::pods, key, {.timeout = seconds{10}});
  EXPECT_EQ(late.error().code, errc::unavailable);
  EXPECT_NE(late.error().context.find("retry after 20 s"), std::string::npos) << late.error().context;
  EXPECT_FALSE(with({refusal(503, seconds{100})}).get(resources::pods, key, {.timeout = seconds{1000}}));
  EXPECT_FALSE(with({refusal(500)}).get(resources::pods, key)) << "nobody said when to come back";
  EXPECT_EQ(seen.asked.size(), 3U);
}

TEST_F(client_test, a_create_that_may_have_happened_is_not_sent_again) {
  const auto pod = make_object(resources::pods, key);
  EXPECT_EQ(with({refusal(503, seconds{1}), ok()}).create(resources::pods, pod).error().effect, took_effect::unknown);
  EXPECT_TRUE(with({refusal(429, seconds{1}), ok()}).create(resources::pods, pod));
}

TEST_F(client_test, a_wait_is_given_up_when_stopped) {
  const auto stop = std::make_unique<std::stop_source>();  // as a variable, GCC 12 with -Og takes it for uninitialised
  stop->request_stop();
  const auto given_up = with({refusal(429, seconds{9})}).get(resources::pods, key, {.stop = stop->get_token()});
  EXPECT_EQ(given_up.error().code, errc::cancelled);
}

TEST_F(client_test, refreshes_credentials_once_on_401) {
  EXPECT_TRUE(with({refusal(401), ok()}).get(resources::pods, key));
  EXPECT_EQ(seen.refreshes, 1);
  EXPECT_EQ(with({refusal(401), refusal(401)}).get(resources::pods, key).error().code, errc::unauthenticated);
  EXPECT_EQ(seen.refreshes, 2);
}

TEST_F(client_test, a_read_on_a_broken_connection_is_tried_again_and_a_write_is_not) {
  EXPECT_TRUE(with({fail(errc::unavailable, "broken"), ok()}).get(resources::pods, key));
  const auto written = with({fail(errc::unavailable, "broken", took_effect::unknown), ok()})
                           .create(resources::pods, make_object(resources::pods, key));
  EXPECT_EQ(written.error().effect, took_effect::unknown);
}

TEST_F(client_test, lists_every_page_with_the_token_of_the_one_before) {
  const auto all =
      with({ok(R"({"metadata": {"resourceVersion": "5", "continue": "next"}, "items": [{"a": 1}, {"a": 2}]})"),
            ok(R"({"metadata": {"resourceVersion": "5"}, "items": [{"a": 3}]})")})
          .list_all(resources::pods, "ns", {.label_selector = "x"});
  ASSERT_TRUE(all) << to_string(all.error());
  EXPECT_EQ(all->items.size(), 3U);
  EXPECT_EQ(all->resource_version, "5");
  EXPECT_EQ(seen.asked.at(0).path, "/api/v1/namespaces/ns/pods?labelSelector=x&limit=500");
  EXPECT_EQ(seen.asked.at(1).path, "/api/v1/namespaces/ns/pods?labelSelector=x&limit=500&continue=next");
}

TEST_F(client_test, a_list_that_expires_half_way_starts_over_once) {
  const auto first = ok(R"({"metadata": {"continue": "next"}, "items": [{"a": 1}]})");
  const auto all = with({first, refusal(410), ok(R"({"metadata": {"resourceVersion": "9"}, "items": [{"a": 1}]})")})
                       .list_all(resources::pods, "");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->items.size(), 1U) << "nothing of the first try is left";
  EXPECT_EQ(with({first, refusal(410), first, refusal(410)}).list_all(resources::pods, "").error().code, errc::gone);
}

TEST_F(client_test, a_refused_list_says_what_the_server_asked_for) {
  api_status refused;
  EXPECT_FALSE(with({refusal(429, seconds{60})}).list_all(resources::pods, "", {}, {}, &refused));
  EXPECT_EQ(refused.code, 429);
  EXPECT_EQ(refused.retry_after, seconds{60});
}

TEST_F(client_test, what_is_no_list_is_an_error_and_never_an_empty_list) {
  for (const char* body : {"", "{}", "[]", "null", "not json", R"({"items": 3})", R"({"kind": "Status"})"}) {
    const auto listed = with({ok(body)}).list_all(resources::pods, "");
    ASSERT_FALSE(listed) << body;
    EXPECT_EQ(listed.error().code, errc::protocol) << body;
  }
  EXPECT_TRUE(with({ok(R"({"items": null, "metadata": {"resourceVersion": "1"}})")}).list_all(resources::pods, ""))
      << "Go writes an empty list so";
}

TEST_F(client_test, has_resource_cannot_tell_is_not_no) {
  const auto served =
      ok(R"({"resources": [{"name": "poddisruptionbudgets"}, {"name": "poddisruptionbudgets/status"}]})");
  EXPECT_TRUE(*with({served}).has_resource(resources::pod_disruption_budgets));
  EXPECT_FALSE(*with({ok(R"({"resources": []})")}).has_resource(resources::pod_disruption_budgets));
  EXPECT_FALSE(*with({refusal(404)}).has_resource(resources::pod_disruption_budgets));
  EXPECT_EQ(with({refusal(500)}).has_resource(resources::pod_disruption_budgets).error().code, errc::unavailable);
  EXPECT_FALSE(with({ok("{}")}).has_resource(resources::pod_disruption_budgets).has_value());
}

TEST_F(client_test, reads_versions_as_providers_write_them) {
  const auto version = with({ok(R"({"major": "1", "minor": "27+", "gitVersion": "v1.27.3-gke.100"})")}).version();
  ASSERT_TRUE(version);
  EXPECT_EQ(version->minor, 27);
  EXPECT_EQ(version->git, "v1.27.3-gke.100");
}

TEST_F(client_test, tells_its_observer_of_each_request) {
  struct counting final : request_observer {
    void on_request(verb what, std::string_view plural, int code, std::chrono::duration<double>) override {
      log.push_back(std::string{to_string(what)} + " " + std::string{plural} + " " + std::to_string(code));
    }
    std::vector<std::string> log;
  } observer;
  auto& watched = with({refusal(401), ok(), fail(errc::unavailable, "broken"), ok()}, {.observer = &observer});
  ASSERT_TRUE(watched.get(resources::pods, key));
  ASSERT_TRUE(watched.get(resources::secrets, key));
  EXPECT_EQ(observer.log,
            (std::vector<std::string>{"get pods 401", "get pods 200", "get secrets 0", "get secrets 200"}));
}

TEST_F(client_test, a_watch_tells_refusals_from_endings_and_bounds_its_lines) {
  std::vector<std::string> lines;
  const auto keep = [&lines](std::string_view line) { return lines.emplace_back(line), true; };
  EXPECT_TRUE(with({refusal(410)}).watch(resources::pods, "", {}, {}, keep)->status.expired());
  EXPECT_TRUE(lines.empty());
  EXPECT_FALSE(with({ok("one\ntwo\nthr")}).watch(resources::pods, "", {}, {}, keep)->refused);
  EXPECT_EQ(lines, (std::vector<std::string>{"", "one", "two"})) << "half a line is no event";
  const auto endless = with({ok(std::string(watch_line_bytes_max + 1, 'x'))}).watch(resources::pods, "", {}, {}, keep);
  EXPECT_EQ(endless.error().code, errc::too_large);
}

}  // namespace
}  // namespace orrery::kube
