#include "cli/observing_views.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::cli {
namespace {

namespace observing {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const json crash = {{"at", "2026-01-02T03:04:05.678Z"},
                    {"agoSeconds", 75.0},
                    {"class", "cart"},
                    {"key", "a"},
                    {"node", "demo-1"},
                    {"decision", "restarted"},
                    {"reason", "error: line 3: boom"},
                    {"message", {{"kind", "call"}, {"method", "add"}, {"argument", "{\"n\":5}"}, {"argumentBytes", 7}}},
                    {"state", "{\"n\":1}"},
                    {"stateBytes", 4},
                    {"mailbox", 2}};

TEST(crash_views, are_a_line_for_each_or_all_that_is_known) {
  const json all = {{"crashes", {crash}},
                    {"supervisors", {{{"at", "t"}, {"node", "demo-1"}, {"class", "cart"}, {"reason", "too many"}}}}};
  const auto lines = show_crashes(all, {});
  EXPECT_THAT(lines, HasSubstr("1m15s  cart/a  demo-1  restarted  call add {\"n\":5}  error: line 3: boom\n"));
  EXPECT_THAT(lines, HasSubstr("supervisor of cart gave up: too many\n"));
  const auto wide = show_crashes(all, {.wide = true});
  EXPECT_THAT(wide, HasSubstr("State:         {\"n\":1} (4 B)\n"));
  EXPECT_THAT(wide, HasSubstr("Mailbox:       2\n"));
  EXPECT_EQ(show_crashes({{"crashes", json::array()}}, {}), "No crashes are remembered.\n");
}

TEST(crash_views, cut_what_is_long_between_characters) {
  auto long_one = crash;
  long_one["reason"] = std::string(99, 'x') + "ää";
  const auto line = show_crashes({{"crashes", {long_one}}}, {});
  EXPECT_THAT(line, HasSubstr(std::string(99, 'x') + "…\n"));
}

TEST(top_views, show_rates_where_they_are_known) {
  const json process = {{"class", "kv"},
                        {"key", "x"},
                        {"node", "demo-1"},
                        {"state", "suspended"},
                        {"mailbox", 3},
                        {"oldestSeconds", 2.5},
                        {"memoryBytes", 2048},
                        {"handled", 9},
                        {"messagesPerSecond", 3.25},
                        {"reductionsPerSecond", nullptr}};
  const auto text = show_top({{"by", "mailbox"}, {"processes", {process}}}, {});
  EXPECT_THAT(text,
              HasSubstr("kv/x  demo-1  suspended        3    2.5s  2.0 KiB         3.2             -        9\n"));
  EXPECT_EQ(show_top({{"by", "age"}, {"processes", json::array()}}, {}), "Of age no process has any now; --by memory lists them all.\n");
}

TEST(trace_views, are_a_line_for_each_message) {
  const json call = {{"at", "t"},       {"kind", "call"},          {"method", "add"},         {"argument", "5"},
                     {"from", nullptr}, {"waitedSeconds", 0.0012}, {"tookSeconds", 0.000015}, {"outcome", "reply"},
                     {"answer", "6"}};
  EXPECT_EQ(show_traced("message", call, {}), "t  call add 5 → reply 6  (waited 1.2ms, took 15us)");
  const json life = {{"at", "t"}, {"kind", "exited"}, {"answer", "killed: by hand"}};
  EXPECT_EQ(show_traced("process", life, {}), "t  exited killed: by hand");
  EXPECT_EQ(show_traced("dropped", {{"count", 7}}, {}), "7 more were dropped");
  EXPECT_EQ(show_traced("ended", {{"reason", "limit"}}, {}), "ended: limit");
  EXPECT_EQ(show_traced("tracing", {{"class", "kv"}, {"key", "x"}, {"node", "n"}}, {}), "kv/x on n");
}

TEST(tree_views, show_processes_with_what_is_not_usual_about_them) {
  const json supervisor = {{"class", "kv"},
                           {"classVersion", 2},
                           {"strategy", "OneForOne"},
                           {"intensity", 3},
                           {"periodSeconds", 5.0},
                           {"budgetLeft", 1},
                           {"escalate", "Node"},
                           {"children", 5},
                           {"restarts", 2},
                           {"gaveUp", 0},
                           {"processes",
                            {{{"key", "a"}, {"state", "running"}, {"mailbox", 0}, {"restarts", 0}},
                             {{"key", "b"}, {"state", "suspended"}, {"mailbox", 4}, {"restarts", 2}}}}};
  const json tree = {{"nodes", {{{"node", "demo-1"}, {"supervisors", {supervisor}}}}}};
  EXPECT_EQ(show_tree(tree, {}),
            "demo-1\n"
            "└─ kv  v2, OneForOne, 3 in 5s (1 left), escalates to Node: 5 processes, 2 restarts\n"
            "   ├─ a  running\n"
            "   ├─ b  suspended, 4 waiting, 2 restarts\n"
            "   └─ and 3 more\n");
  EXPECT_THAT(show_tree_nodes(tree, {}), HasSubstr("demo-1            1          5         2\n"));
}

TEST(observing_views, survive_documents_of_any_shape) {
  for (const auto& odd :
       {json(), json(3), json{{"crashes", {1, "x", nullptr}}}, json{{"crashes", {{{"message", 5}}}}},
        json{{"processes", {json::object(), 7}}}, json{{"nodes", {{{"supervisors", {{{"processes", 3}}}}}}}}}) {
    EXPECT_FALSE((show_crashes(odd, {.wide = true}) + show_crashes(odd, {}) + show_top(odd, {.wide = true}) +
                  show_traced("message", odd, {}) + show_traced("ended", odd, {}) + show_tree(odd, {.wide = true}) +
                  show_tree_nodes(odd, {}))
                     .empty());
  }
}

}  // namespace observing

}  // namespace
}  // namespace orrery::cli
