#include "operator/plan/testing.hpp"

#include <yaml-cpp/yaml.h>

namespace orrery::plan::testing {

namespace {

YAML::Node config_of(const world& w) {
  return YAML::Load(std::string(kube::text_at(w.config_maps.at("demo-config"), {"data", "config.yaml"})));
}
json lua(const std::string& script) { return {{"behaviour", {{"lua", {{"script", script}}}}}}; }

}  // namespace

TEST(classes, they_are_delivered_by_name_with_their_generation) {
  world w;
  w.add_class("kv", {{"behaviour", {{"builtin", "kv"}}}}, "", 7);
  w.add_class("counter", {{"behaviour", {{"builtin", "counter"}}}, {"callTimeout", "1m30s"}});
  w.settle();
  const auto classes = config_of(w)["classes"];
  ASSERT_EQ(classes.size(), 2U);
  EXPECT_EQ(classes[0]["name"].Scalar(), "counter");
  EXPECT_EQ(classes[0]["callTimeout"].Scalar(), "90s");
  EXPECT_EQ(classes[0]["supervision"]["restart"].Scalar(), "Permanent");
  EXPECT_EQ(classes[0]["limits"]["mailbox"].as<int>(), 10000);
  EXPECT_EQ(classes[1]["version"].as<int>(), 7);
  EXPECT_EQ(w.condition("ClassesAccepted", "message"), "2 delivered");
}

TEST(classes, a_script_comes_through_to_the_letter) {
  for (const std::string script :
       {"return {}\n", "  indented\nreturn {}", "a\n\n\n", "tab\there\n", "quote \" and \\ \n x",
        "-- ümlaut\nreturn {}\n", "no newline", "# not a comment\n: - x\n", "\n leading\n"}) {
    world w;
    w.add_class("cart", lua(script));
    w.settle();
    EXPECT_EQ(config_of(w)["classes"][0]["behaviour"]["lua"]["script"].Scalar(), script);
  }
}

TEST(classes, a_broken_one_is_left_out_and_said_so) {
  world w;
  w.add_class("cart", lua("return {"), "line 1: unexpected symbol");
  w.settle();
  EXPECT_EQ(config_of(w)["classes"].size(), 0U);
  const auto what = w.think();
  ASSERT_EQ(what.class_statuses.size(), 1U);
  const auto& condition = what.class_statuses[0].status["conditions"][0];
  EXPECT_EQ(condition["status"], "False");
  EXPECT_EQ(condition["reason"], "ScriptInvalid");
  EXPECT_NE(condition["message"].get<std::string>().find("line 1"), std::string::npos);
  EXPECT_EQ(w.condition("ClassesAccepted"), "False");
}

TEST(classes, one_that_breaks_later_goes_on_as_it_was_last_accepted) {
  world w;
  w.add_class("cart", lua("return {}\n"), "", 1);
  w.settle();
  w.add_class("cart", lua("return {"), "line 1: unexpected symbol", 2);
  w.settle();
  const auto klass = config_of(w)["classes"][0];
  EXPECT_EQ(klass["version"].as<int>(), 1);
  EXPECT_EQ(klass["behaviour"]["lua"]["script"].Scalar(), "return {}\n");
  EXPECT_EQ(w.think().class_statuses[0].status["acceptedGeneration"], 1);
  w.add_class("cart", lua("return {}\n"), "", 3);
  w.settle();
  EXPECT_EQ(config_of(w)["classes"][0]["version"].as<int>(), 3);
}

TEST(classes, a_change_reaches_running_pods_without_replacing_them) {
  world w;
  w.form();
  const auto names = w.pod_names();
  w.add_class("counter", {{"behaviour", {{"builtin", "counter"}}}});
  const auto what = w.think();
  EXPECT_EQ(only<touch_pod>(what).size(), 3U);
  w.settle();
  EXPECT_EQ(w.pod_names(), names);
  EXPECT_TRUE(w.think().actions.empty());
}

TEST(classes, more_than_a_config_map_holds_are_refused_by_name) {
  world w;
  for (int i = 0; i < 5; ++i)
    w.add_class(fmt::format("c{}", i), lua(std::string(120'000, 'x') + "\n"));
  w.settle();
  EXPECT_EQ(config_of(w)["classes"].size(), 3U);
  const auto statuses = w.think().class_statuses;
  EXPECT_EQ(statuses[4].status["conditions"][0]["reason"], "ConfigurationTooLarge");
  EXPECT_NE(statuses[4].status["conditions"][0]["message"].get<std::string>().find("bytes left"), std::string::npos);
}

TEST(classes, are_measured_as_they_are_written_so_that_the_config_map_always_fits) {
  std::string many_lines;  // each of which is indented in config.yaml
  for (int i = 0; i < 40'000; ++i)
    many_lines += ";\n";
  world w;
  for (int i = 0; i < 5; ++i)
    w.add_class(fmt::format("lines{}", i), lua(many_lines));
  w.add_class("small", {{"behaviour", {{"builtin", "counter"}}}});
  w.settle();
  const auto& data = w.config_maps.at("demo-config").at("data");
  EXPECT_LT(data["config.yaml"].get<std::string>().size() + data["classes.json"].get<std::string>().size(), 1U << 20U);
  EXPECT_EQ(w.condition("ClassesAccepted"), "False");
  const auto statuses = w.think().class_statuses;
  EXPECT_EQ(statuses.back().status["conditions"][0]["status"], "True") << "what still fits is kept";
}

TEST(classes, one_that_grew_too_large_goes_on_as_it_was) {
  world w;
  w.add_class("cart", lua("return {}\n"), "", 1);
  w.settle();
  w.add_class("cart", lua(std::string(900'000, 'x') + "\n"), "", 2);
  w.settle();
  EXPECT_EQ(config_of(w)["classes"][0]["version"].as<int>(), 1);
  const auto status = w.think().class_statuses[0].status;
  EXPECT_EQ(status["conditions"][0]["reason"], "ConfigurationTooLarge");
  EXPECT_EQ(status["acceptedGeneration"], 1);
}

TEST(classes, more_state_than_fits_into_a_message_is_refused) {
  world w;
  w.add_class("kv", {{"behaviour", {{"builtin", "kv"}}}, {"limits", {{"stateBytes", (1 << 20) + 1}}}});
  const auto status = w.think().class_statuses[0].status["conditions"][0];
  EXPECT_EQ(status["reason"], "InvalidField");
  EXPECT_NE(status["message"].get<std::string>().find("spec.limits.stateBytes"), std::string::npos);
}

TEST(classes, durations_out_of_range_are_refused_with_their_field) {
  world w;
  w.add_class("counter", {{"behaviour", {{"builtin", "counter"}}}, {"supervision", {{"period", "48h"}}}});
  const auto status = w.think().class_statuses[0].status["conditions"][0];
  EXPECT_EQ(status["reason"], "InvalidField");
  EXPECT_NE(status["message"].get<std::string>().find("spec.supervision.period"), std::string::npos);
}

TEST(classes, an_app_hosted_one_is_delivered_with_what_it_says_of_its_app) {
  world w;
  w.add_class("cart", {{"behaviour", {{"app", {{"handlerTimeout", "5s"}, {"waitForApp", "1m"}}}}}});
  w.add_class("plain", {{"behaviour", {{"app", json::object()}}}});
  w.settle();
  const auto classes = config_of(w)["classes"];
  ASSERT_EQ(classes.size(), 2U);
  EXPECT_EQ(classes[0]["behaviour"]["app"]["handlerTimeout"].Scalar(), "5s");
  EXPECT_TRUE(classes[1]["behaviour"]["app"].IsMap());
  EXPECT_EQ(w.think().class_statuses[0].status["behaviour"], "app");
}

TEST(classes, an_app_hosted_one_with_a_wrong_duration_is_refused_with_its_field) {
  world w;
  w.add_class("cart", {{"behaviour", {{"app", {{"waitForApp", "2h"}}}}}});
  const auto condition = w.think().class_statuses[0].status["conditions"][0];
  EXPECT_EQ(condition["reason"], "InvalidField");
  EXPECT_NE(condition["message"].get<std::string>().find("spec.behaviour.app.waitForApp: 2h is out of range"),
            std::string::npos);
}

TEST(classes, one_with_no_behaviour_or_two_is_refused_with_what_to_give) {
  const std::vector<std::pair<json, const char*>> table{
      {{{"durability", "Memory"}}, "spec.behaviour: is missing: give builtin, lua or app"},
      {{{"behaviour", json::object()}}, "spec.behaviour: is empty: give builtin, lua or app"},
      {{{"behaviour", {{"builtin", "counter"}, {"lua", {{"script", "return {}"}}}}}},
       "spec.behaviour: has more than one of builtin, lua and app"},
      {{{"behaviour", {{"builtin", "cache"}}}},
       "spec.behaviour.builtin: 'cache' is not one of counter, kv, queue, lock, semaphore, limiter, timer, log"},
      {{{"behaviour", {{"lua", {{"script", "return {}"}}}, {"options", json::object()}}}},
       "spec.behaviour.options: are for builtin, not for lua or app"}};
  for (const auto& [spec, why] : table) {
    world w;
    w.add_class("odd", spec);
    const auto condition = w.think().class_statuses[0].status["conditions"][0];
    EXPECT_EQ(condition["reason"], "InvalidField");
    EXPECT_EQ(condition["message"], std::string(why) + "; mesh demo does not have the class");
  }
}

TEST(classes, options_of_a_builtin_are_delivered_with_it) {
  world w;
  w.add_class("jobs",
              {{"behaviour", {{"builtin", "queue"}, {"options", {{"maxReceives", 3}, {"visibilitySeconds", 1.5}}}}}});
  w.settle();
  const auto options = config_of(w)["classes"][0]["behaviour"]["options"];
  EXPECT_EQ(options["maxReceives"].as<int>(), 3);
  EXPECT_EQ(options["visibilitySeconds"].as<double>(), 1.5);
}

TEST(classes, options_that_a_builtin_does_not_take_are_refused_with_their_field) {
  const std::vector<std::pair<json, const char*>> table{
      {{{"maxReceives", "3"}}, "not a maxReceives that is a string"},
      {{{"maxReceives", -1}}, "maxReceives is -1, and has to be 0 to 1000000"},
      {{{"maxRetries", 3}}, "not an object with the field 'maxRetries'"},
      {json::array(), "spec.behaviour.options takes {\"visibilitySeconds\": 30"}};
  for (const auto& [options, why] : table) {
    world w;
    w.add_class("jobs", {{"behaviour", {{"builtin", "queue"}, {"options", options}}}});
    const auto condition = w.think().class_statuses[0].status["conditions"][0];
    EXPECT_EQ(condition["reason"], "InvalidField");
    EXPECT_NE(condition["message"].get<std::string>().find("spec.behaviour.options"), std::string::npos);
    EXPECT_NE(condition["message"].get<std::string>().find(why), std::string::npos) << condition["message"];
  }
}

TEST(classes, one_without_a_mesh_is_told_so_and_warned_of_only_when_it_has_waited) {
  world w;
  w.add_class("counter", {{"behaviour", {{"builtin", "counter"}}}});
  const auto judged = [&] {
    auto what = judge_orphan_classes({w.classes.at("counter")}, w.now);
    json klass = *w.classes.at("counter").object;
    klass["status"] = what.class_statuses.at(0).status;
    w.classes.at("counter").object = std::make_shared<const json>(std::move(klass));
    return what;
  };
  const auto first = judged();
  EXPECT_EQ(first.class_statuses[0].status["conditions"][0]["reason"], "WaitingForMesh");
  EXPECT_EQ(first.class_statuses[0].status["conditions"][0]["message"],
            "spec.meshRef.name: there is no ProcessMesh demo in namespace default yet");
  EXPECT_TRUE(first.class_statuses[0].quiet);
  ASSERT_TRUE(first.again_at);
  w.now = *first.again_at - 1s;
  EXPECT_TRUE(judged().class_statuses[0].quiet);
  w.now += 1s;
  const auto late = judged();
  EXPECT_EQ(late.class_statuses[0].status["conditions"][0]["reason"], "MeshNotFound");
  EXPECT_FALSE(late.class_statuses[0].quiet);
  EXPECT_FALSE(late.again_at);
  w.now += 1h;
  EXPECT_EQ(judged().class_statuses[0].status["conditions"][0]["reason"], "MeshNotFound");
}

TEST(durations, are_read_and_written) {
  EXPECT_EQ(*parse_milliseconds("1m30s"), 90s);
  EXPECT_EQ(*parse_milliseconds("500ms"), 500ms);
  for (const auto* bad : {"", "5", "s", "5x", "-1s", "99999999999999999999h", "1h 2m", "500us"}) {
    EXPECT_FALSE(parse_milliseconds(bad)) << bad;
  }
  EXPECT_EQ(to_text(90s), "90s");
  EXPECT_EQ(to_text(24h), "24h");
  EXPECT_EQ(to_text(1500ms), "1500ms");
  EXPECT_EQ(to_text(0ms), "0s");
}

TEST(covers, ignores_what_the_server_adds_and_sees_what_was_changed) {
  const json wanted{{"a", 1}, {"list", json::array({{{"x", 1}}})}, {"none", json::object()}};
  EXPECT_TRUE(covers({{"a", 1}, {"b", 2}, {"list", json::array({{{"x", 1}, {"y", 2}}})}}, wanted));
  EXPECT_FALSE(covers({{"a", 2}, {"list", json::array({{{"x", 1}}})}}, wanted));
  EXPECT_FALSE(covers({{"a", 1}, {"list", json::array()}}, wanted));
  EXPECT_FALSE(covers({{"a", 1}, {"list", json::array({{{"x", 1}}, {{"x", 2}}})}}, wanted));
}

}  // namespace orrery::plan::testing
