#include "cli/views.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json supervisor(const std::string& path, json more = json::object()) {
  json out{{"class", path.substr(path.rfind('/') + 1)},
           {"classVersion", 1},
           {"path", path},
           {"strategy", "OneForOne"},
           {"intensity", 3},
           {"periodSeconds", 5.0},
           {"escalate", "Parent"},
           {"children", 2},
           {"restarts", 0},
           {"gaveUp", 0}};
  out.update(more);
  return out;
}

json tree_of(json supervisors) {
  return {{"nodes", json::array({{{"node", "demo-1"}, {"supervisors", std::move(supervisors)}}})}};
}

TEST(tree_view, shows_each_supervisor_below_its_parent_with_what_is_declared) {
  const json declared =
      json::array({{{"key", "reader"}, {"state", "running"}}, {{"key", "main"}, {"state", "absent"}}});
  const auto text = show_tree(tree_of({supervisor("root/cart"), supervisor("root/shop", {{"declared", declared}}),
                                       supervisor("root/shop/item")}),
                              {});
  EXPECT_EQ(text, R"(demo-1
├─ cart  v1, OneForOne, 3 in 5s, escalates to Parent: 2 processes, 0 restarts
└─ shop  v1, OneForOne, 3 in 5s, escalates to Parent: 2 processes, 0 restarts
   ├─ reader  running
   ├─ main  absent
   └─ item  v1, OneForOne, 3 in 5s, escalates to Parent: 2 processes, 0 restarts
)");
}

TEST(tree_view, tells_what_is_given_up_and_what_met_full_mailboxes) {
  const json given_up = json::array({{{"key", "bad"}, {"reason", "counter/bad is given up"}, {"secondsLeft", 25.0}}});
  const auto text = show_tree(tree_of({supervisor("root/counter", {{"givenUp", given_up},
                                                                   {"gaveUp", 2},
                                                                   {"childrenGivenUp", 7},
                                                                   {"finished", true},
                                                                   {"mailboxes", {{"refused", 5}, {"waited", 0}}}})}),
                              {});
  EXPECT_THAT(text,
              HasSubstr("gave up 2 times, gave up single processes 7 times, full mailboxes: 5 refused, finished"));
  EXPECT_THAT(text, HasSubstr("   └─ bad  given up for 25s more: counter/bad is given up\n"));
}

TEST(tree_view, says_once_of_what_happened_once) {
  const auto text = show_tree(tree_of({supervisor("root/counter", {{"gaveUp", 1}, {"childrenGivenUp", 1}})}), {});
  EXPECT_THAT(text, HasSubstr(", gave up once, gave up single processes once"));
}

TEST(tree_view, leaves_nobody_out_whatever_paths_it_is_told) {
  EXPECT_THAT(show_tree(tree_of({supervisor("root/nosuch/lost")}), {}), HasSubstr("lost"));
  for (const json& odd : {json{{"path", "root"}}, json{{"path", "x"}}, json{{"path", "/"}}, json{{"path", 5}}}) {
    auto strange = json::array({supervisor("root/a"), supervisor("root/a")});
    strange.push_back(odd);
    EXPECT_THAT(show_tree(tree_of(strange), {}), HasSubstr("demo-1"));
  }
}

}  // namespace
}  // namespace orrery::cli
