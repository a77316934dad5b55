#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/follow.hpp"
#include "cli/format.hpp"
#include "cli/sse.hpp"
#include "cli/target.hpp"
#include "cli/views.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::cli {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

TEST(urls, of_a_sidecar_are_http_host_and_port) {
  EXPECT_EQ(parse_url("http://127.0.0.1:3600")->port, 3600);
  EXPECT_EQ(parse_url("http://sidecar/")->host, "sidecar");
  EXPECT_EQ(parse_url("http://[::1]:3600")->host, "::1");
  for (const auto* bad :
       {"", "127.0.0.1:3600", "https://x", "http://", "http://x:0", "http://x:y", "http://x/path", "http://a b"}) {
    const auto parsed = parse_url(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error().context, HasSubstr("http://HOST:PORT"));
  }
}

TEST(timeouts, are_a_number_and_a_unit) {
  EXPECT_EQ(*parse_timeout("500ms"), 500ms);
  EXPECT_EQ(*parse_timeout("1.5s"), 1500ms);
  EXPECT_EQ(*parse_timeout("2m"), 120s);
  for (const auto* bad : {"", "5", "s", "-1s", "0s", "2h", "1us"})
    EXPECT_FALSE(parse_timeout(bad)) << bad;
}

TEST(ages, have_two_units_at_most) {
  EXPECT_EQ(age(0.2), "<1s");
  EXPECT_EQ(age(12), "12s");
  EXPECT_EQ(age(192), "3m12s");
  EXPECT_EQ(age(3600), "1h");
  EXPECT_EQ(age(90061), "1d1h");
  EXPECT_EQ(short_time(0.000085), "85us");
  EXPECT_EQ(short_time(0.0012), "1.2ms");
}

TEST(sizes, have_one_unit) {
  EXPECT_EQ(size_text(640), "640 B");
  EXPECT_EQ(size_text(1229), "1.2 KiB");
  EXPECT_EQ(size_text(34.0 * 1024 * 1024), "34 MiB");
}

TEST(tables, align_columns_also_with_colours_and_wide_characters) {
  table t({{"NAME"}, {"N", table::align::right}});
  t.add({{"kv/ä"}, {"7"}});
  t.add({{"counter/a", tone::good}, {"123"}});
  EXPECT_EQ(t.render(false), "NAME         N\nkv/ä         7\ncounter/a  123\n");
  EXPECT_THAT(t.render(true), HasSubstr("\x1b[32mcounter/a\x1b[0m"));
}

TEST(views, show_processes_with_ages_and_say_how_to_start_one_if_there_is_none) {
  const json full = {{"processes",
                      {{{"class", "counter"},
                        {"key", "a"},
                        {"node", "demo-1"},
                        {"state", "running"},
                        {"mailbox", 0},
                        {"handled", 5},
                        {"restarts", 1},
                        {"ageSeconds", 192.0},
                        {"pid", "p"},
                        {"lastExit", nullptr}}}},
                     {"unreachable", {"demo-2"}},
                     {"truncated", true}};
  const auto text = show_processes(full, {});
  EXPECT_THAT(text, HasSubstr("counter/a"));
  EXPECT_THAT(text, HasSubstr("3m12s"));
  EXPECT_THAT(show_gaps(full), HasSubstr("demo-2 did not answer"));
  EXPECT_THAT(show_gaps(full), HasSubstr("--limit"));
  EXPECT_THAT(show_processes({{"processes", json::array()}}, {}), HasSubstr("orrery call counter/a add 1"));
  EXPECT_EQ(show_gaps({{"unreachable", json::array()}, {"truncated", false}}), "");
}

TEST(views, show_a_process_with_what_waits_and_whom_it_is_tied_to) {
  const json busy = {{"class", "kv"},
                     {"key", "x"},
                     {"state", "suspended"},
                     {"mailbox", 3},
                     {"mailboxBytes", 2048},
                     {"oldestSeconds", 2.5},
                     {"memoryBytes", 4096},
                     {"links", {"root/kv", "n@1.2.3"}},
                     {"monitors", json::array()}};
  const auto text = show_process(busy, {});
  EXPECT_THAT(text, HasSubstr("Mailbox:       3 (2.0 KiB, the oldest for 2.5s)\n"));
  EXPECT_THAT(text, HasSubstr("State:         suspended\n"));
  EXPECT_THAT(text, HasSubstr("Links:         root/kv, n@1.2.3\n"));
  EXPECT_THAT(text, HasSubstr("Monitors:      -\n"));
}

TEST(views, show_groups_their_members_and_the_registry) {
  const json one{{"groups", {{{"name", "chat/1"}, {"members", 3}, {"here", 1}}}}};
  EXPECT_THAT(show_groups(one, {}), HasSubstr("chat/1"));
  EXPECT_THAT(show_groups({{"groups", json::array()}}, {}), HasSubstr("No such group"));
  const json members{{"group", "chat/1"}, {"members", {{{"pid", "demo-a@1.2.3"}, {"node", "demo-a"}}}}};
  EXPECT_THAT(show_group(members, {}), HasSubstr("demo-a@1.2.3"));
  const json entry{
      {"key", "user/1"}, {"unique", true}, {"pid", "demo-a@1.2.3"}, {"node", "demo-a"}, {"value", {{"a", 1}}}};
  const auto text = show_registry({{"entries", {entry}}}, {});
  EXPECT_THAT(text, HasSubstr("user/1"));
  EXPECT_THAT(text, HasSubstr("unique"));
  EXPECT_THAT(text, HasSubstr(R"({"a":1})"));
}

TEST(views, survive_documents_of_any_shape) {
  for (const auto& odd : {json(), json(3), json::array({1}), json{{"nodes", {1, "x", nullptr}}},
                          json{{"nodes", {{{"name", 5}, {"rttSeconds", "x"}}}}}, json{{"classes", {json::object()}}},
                          json{{"processes", {{{"lastExit", {{"reason", 1}}}}}}}}) {
    const auto all = show_nodes(odd, {.wide = true}) + show_processes(odd, {.wide = true}) +
                     show_classes(odd, {.wide = true}) + show_tree(odd, {}) + show_process(odd, {}) +
                     show_event("x", odd, {}) + show_groups(odd, {}) + show_group(odd, {}) + show_registry(odd, {});
    EXPECT_FALSE(all.empty());
  }
}

TEST(arguments, that_are_not_JSON_are_explained) {
  EXPECT_FALSE(json_fault(""));
  EXPECT_FALSE(json_fault("5"));
  EXPECT_FALSE(json_fault(R"({"a": 1})"));
  EXPECT_THAT(*json_fault("tea"), HasSubstr(R"('"tea"')"));
  EXPECT_THAT(*json_fault("{a: 1}"), HasSubstr("single quotes"));
}

TEST(problems, are_read_from_an_answer_and_anything_else_is_quoted) {
  const auto why = problem_of(
      {404, "application/problem+json", R"({"code":"not_found","detail":"no class 'x'","effect":"not_executed"})"});
  EXPECT_EQ(why.code, errc::not_found);
  EXPECT_EQ(why.context, "no class 'x'");
  EXPECT_THAT(problem_of({502, "text/html", "<html>"}).context, HasSubstr("HTTP 502"));
}

TEST(paths, encode_what_a_key_may_hold) {
  EXPECT_EQ(path_of(*parse_process_name("kv/a/b c?ä")), "/v1/processes/kv/a%2Fb%20c%3F%C3%A4");
}

TEST(sse, is_split_into_events_however_its_bytes_are_cut) {
  const std::string text = ":\n\nevent: node_up\ndata: {\"a\":1}\n\nevent: x\ndata: 1\ndata: 2\n\n";
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    sse_parser parser;
    std::vector<sse_event> got;
    for (std::size_t at = 0; at < text.size(); at += cut) {
      for (auto& each : parser.feed(std::string_view(text).substr(at, cut)))
        got.push_back(each);
    }
    ASSERT_EQ(got.size(), 2U) << cut;
    EXPECT_EQ(got[0].type, "node_up");
    EXPECT_EQ(got[0].data, "{\"a\":1}");
    EXPECT_EQ(got[1].data, "1\n2");
  }
}

json pod_with(const char* name, const char* list, bool sidecar_ready, bool app_ready) {
  json statuses = json::array();
  statuses.push_back({{"name", "app"}, {"ready", app_ready}});
  statuses.push_back({{"name", "orrery"}, {"ready", sidecar_ready}});
  return {{"metadata", {{"name", name}}}, {"status", {{list, statuses}}}};
}

TEST(targets, are_pods_with_a_ready_sidecar_that_are_not_being_deleted) {
  auto leaving = pod_with("leaving", "containerStatuses", true, true);
  leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  const std::vector<json> pods{pod_with("no", "containerStatuses", false, true), leaving,
                               pod_with("yes", "initContainerStatuses", true, true)};
  EXPECT_EQ(ready_pod(pods), &pods[2]);
  const std::vector<json> none{json::object(), pods[0], leaving};
  EXPECT_EQ(ready_pod(none), nullptr);
}

TEST(targets, need_no_app_that_works) {
  const std::vector<json> pods{pod_with("crashing", "containerStatuses", true, false)};
  EXPECT_EQ(ready_pod(pods), pods.data());
}

TEST(targets, are_followed_from_when_their_sidecar_runs_joined_or_not) {
  auto pod = pod_with("new", "containerStatuses", false, false);
  EXPECT_FALSE(sidecar_runs(pod));
  pod["status"]["containerStatuses"][0]["state"] = {{"running", json::object()}};
  EXPECT_FALSE(sidecar_runs(pod)) << "that is its app";
  pod["status"]["containerStatuses"][1]["state"] = {{"running", json::object()}};
  EXPECT_TRUE(sidecar_runs(pod));
  EXPECT_FALSE(sidecar_runs(json::object()));
}

TEST(events, of_many_nodes_name_theirs) {
  const sse_event started{"process_started", R"({"at":"t","node":"demo-1","class":"counter","key":"a","pid":"p"})"};
  EXPECT_EQ(event_line(started, output::table, false, "demo-9"), "t  process_started       demo-1  counter/a");
  EXPECT_EQ(event_line({"dropped", R"({"count":3})"}, output::table, false, "demo-9"),
            "-  dropped               demo-9  count=3");
  EXPECT_EQ(json::parse(event_line({"dropped", R"({"count":3})"}, output::json, false, "demo-9")),
            (json{{"type", "dropped"}, {"count", 3}, {"node", "demo-9"}}));
  EXPECT_EQ(event_line({"odd", "no JSON"}, output::json, false, "demo-9"), "\"no JSON\"");
}

TEST(targets, have_the_port_of_their_sidecar) {
  const auto pod = [](const char* list, const json& arguments) {
    json containers = json::array();
    containers.push_back({{"name", "app"}, {"args", {"--sdk", "127.0.0.1:1"}}});
    containers.push_back({{"name", "orrery"}, {"args", arguments}});
    return json{{"spec", {{list, containers}}}};
  };
  EXPECT_EQ(sdk_port_of(pod("containers", {"--tls", "/t", "--sdk", "127.0.0.1:3700"})), 3700);
  EXPECT_EQ(sdk_port_of(pod("initContainers", {"--sdk", "127.0.0.1:3700", "--x"})), 3700);
  EXPECT_EQ(sdk_port_of(pod("containers", {"--tls", "/t"})), 3600);
  EXPECT_EQ(sdk_port_of(pod("containers", {"--sdk", "127.0.0.1:seven"})), 3600);
  EXPECT_EQ(sdk_port_of(json::object()), 3600);
}

TEST(completion_scripts, exist_for_three_shells) {
  for (const auto* shell : {"bash", "zsh", "fish"})
    EXPECT_THAT(*completion(shell), HasSubstr("inspect")) << shell;
  EXPECT_FALSE(completion("tcsh"));
}

TEST(http, a_server_that_is_not_there_is_unavailable_and_named) {
  http_client client({"127.0.0.1", 1});
  const auto reply = client.send({}, 1s);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, errc::unavailable);
  EXPECT_THAT(reply.error().context, HasSubstr("cannot reach http://127.0.0.1:1: Connection refused"));
}

}  // namespace
}  // namespace orrery::cli
