#include "operator/plan/testing.hpp"

namespace orrery::plan::testing {

// ---- pods that end, crash, escalate, or are lost with their host ----

TEST(plan, a_pod_that_is_being_deleted_is_replaced_at_once) {
  world w;
  w.form();
  w.pods.begin()->second["metadata"]["deletionTimestamp"] = pki::to_text(w.now + 30s);
  w.settle();
  EXPECT_EQ(w.present(), 3);
  EXPECT_EQ(w.pods.size(), 4U);
  EXPECT_EQ(w.status()["terminatingReplicas"], 1);
  EXPECT_EQ(w.phase(), "Degraded");
}

TEST(plan, a_pod_that_ended_is_removed_and_replaced) {
  world w;
  w.form();
  w.pods.begin()->second["status"]["phase"] = "Failed";
  w.present_max = 4;  // one that failed, and its successor
  w.settle();
  w.finish_deletions();
  EXPECT_EQ(w.present(), 3);
  EXPECT_EQ(w.status()["lastReplacement"]["reason"], "its phase is Failed");
}

TEST(plan, a_crash_looping_pod_is_left_to_the_kubelet_and_reported) {
  world w;
  w.form();
  auto& status = w.pods.begin()->second["status"];
  status["containerStatuses"] = json::array(
      {{{"name", "orrery"},
        {"ready", false},
        {"restartCount", 4},
        {"state", {{"waiting", {{"reason", "CrashLoopBackOff"}}}}},
        {"lastState", {{"terminated", {{"exitCode", 70}, {"message", "class kids: supervisor root gave up\n"}}}}}}});
  w.settle();
  EXPECT_EQ(w.pods.size(), 3U);
  EXPECT_EQ(w.phase(), "Degraded");
  EXPECT_NE(w.condition("Ready", "message")
                .find("container orrery: CrashLoopBackOff (it ended with: class kids: supervisor root gave up)"),
            std::string::npos)
      << w.condition("Ready", "message");
  EXPECT_EQ(w.status()["members"][0]["restarts"], 4);
}

// ---- escalation to the pod ----

TEST(escalation, only_a_sidecar_that_asked_for_it_gets_its_pod_replaced) {
  const auto at = pki::to_text(world().now + 1min);
  const auto before = pki::to_text(world().now - 1min);
  struct row {
    int exit_code;
    json terminated;
    bool replaced;
    const char* why;
  };
  const std::vector<row> table{
      {71,
       {{"finishedAt", at}, {"message", "cart gave up\n"}},
       true,
       "a supervisor escalated to the pod: cart gave up"},
      {71, {{"finishedAt", at}}, true, "a supervisor escalated to the pod: it did not say why"},
      {70, {{"finishedAt", at}}, false, ""},
      {0, {{"finishedAt", at}}, false, ""},
      {71, {{"finishedAt", before}}, false, ""},
      {71, {{"finishedAt", "soon"}}, false, ""},
      {71, json::object(), false, ""},
  };
  for (const auto& one : table) {
    world w;
    w.form();
    const auto victim = w.pod_names()[1];
    w.now += 2min;
    w.end_sidecar(victim, one.exit_code, one.terminated);
    const auto deletions = only<delete_pod>(w.think());
    ASSERT_EQ(deletions.size(), one.replaced ? 1U : 0U) << one.exit_code << one.terminated;
    if (!one.replaced) continue;
    EXPECT_EQ(deletions[0].name, victim);
    EXPECT_FALSE(deletions[0].force);
    EXPECT_TRUE(deletions[0].voluntary);
    EXPECT_EQ(deletions[0].why, one.why);
    EXPECT_EQ(note_of(deletions[0]).reason, "ProcessEscalated");
    EXPECT_TRUE(note_of(deletions[0]).warning);
  }
}

TEST(escalation, the_class_whose_supervisor_asked_for_it_is_told_too) {
  world w;
  w.add_class("cart", {{"behaviour", {{"builtin", "counter"}}}});
  w.form();
  w.settle();
  const auto victim = w.pod_names()[1];
  w.now += 2min;
  w.end_sidecar(victim, 71,
                {{"finishedAt", pki::to_text(w.now)}, {"message", "class cart: supervisor root/cart gave up"}});
  const auto deletions = only<delete_pod>(w.think());
  ASSERT_EQ(deletions.size(), 1U);
  ASSERT_NE(deletions[0].asked_by, nullptr);
  EXPECT_EQ(kube::name_of(*deletions[0].asked_by), "cart");
  w.end_sidecar(victim, 71, {{"finishedAt", pki::to_text(w.now)}, {"message", "class cartoon: gave up"}});
  EXPECT_EQ(only<delete_pod>(w.think())[0].asked_by, nullptr);
}

TEST(escalation, the_pod_that_comes_says_in_whose_place_and_why) {
  world w;
  w.form();
  const auto victim = w.pod_names()[1];
  w.now += 2min;
  w.end_sidecar(victim, 71,
                {{"finishedAt", pki::to_text(w.now)}, {"message", "class cart: supervisor root/cart gave up"}});
  w.act(w.think());
  w.finish_deletions();
  w.now += 5s;
  const auto created = only<create_pod>(w.think());
  ASSERT_EQ(created.size(), 1U);
  EXPECT_EQ(
      created[0].why,
      fmt::format("3 pods are wanted, and there are 2; in place of pod {}: a supervisor escalated to the pod: class "
                  "cart: supervisor root/cart gave up",
                  victim));
  w.settle();
  w.join_all();
  w.now += 5s;
  w.set_spec("/replicas", 4);
  const auto more = only<create_pod>(w.think());
  ASSERT_EQ(more.size(), 1U);
  EXPECT_EQ(more[0].why, "4 pods are wanted, and there are 3") << "that one is nobody's successor";
}

TEST(escalation, pods_go_one_at_a_time_and_not_in_a_storm) {
  world w;
  w.form();
  w.now += 2min;
  const auto first = w.pod_names();
  for (const auto& name : first)
    w.end_sidecar(name, 71, {{"finishedAt", pki::to_text(w.now)}});
  w.settle();
  EXPECT_EQ(w.status()["terminatingReplicas"], 1);
  w.finish_deletions();
  w.settle();
  EXPECT_EQ(w.present(), 3);
  EXPECT_EQ(w.status()["terminatingReplicas"], 0) << "waits for the successor";
  for (const auto& name : w.pod_names()) {
    if (std::find(first.begin(), first.end(), name) == first.end()) w.join(name);
  }
  const auto what = w.settle();
  EXPECT_EQ(w.status()["terminatingReplicas"], 0) << "waits for its pace";
  ASSERT_TRUE(what.again_at);
  EXPECT_LE(*what.again_at, w.now + 30s);
  w.now += 31s;
  w.settle();
  EXPECT_EQ(w.status()["terminatingReplicas"], 1);
  EXPECT_EQ(w.status()["lastReplacement"]["reason"], "a supervisor escalated to the pod: it did not say why");
}

// A kubelet may keep the object of a pod of which nothing runs for a minute.
TEST(healing, a_pod_whose_containers_have_all_ended_holds_up_no_update) {
  const json running = {{"name", "app"}, {"state", {{"running", {{"startedAt", "2026-01-01T00:00:00Z"}}}}}};
  const json ended = {{"name", "orrery"}, {"state", {{"terminated", {{"exitCode", 0}}}}}};
  const json not_found = {{"name", "app"},  // what a kubelet says that lost sight of it
                          {"state", {{"waiting", {{"reason", "ContainerCreating"}}}}},
                          {"lastState", {{"terminated", {{"reason", "ContainerStatusUnknown"}}}}}};
  const json restarted = {{"name", "app"},
                          {"state", {{"running", {{"startedAt", "2026-01-01T00:00:00Z"}}}}},
                          {"lastState", {{"terminated", {{"exitCode", 1}}}}}};
  const json not_started = {{"name", "app"}, {"state", {{"waiting", {{"reason", "ContainerCreating"}}}}}};
  struct sample {
    const char* what;
    json containers;
    bool next_goes;
  };
  for (const auto& one : {sample{"one runs", json::array({running, ended}), false},
                          sample{"all have ended", json::array({ended, ended}), true},
                          sample{"one is not found any more", json::array({not_found, ended}), true},
                          sample{"one was started again", json::array({restarted, ended}), false},
                          sample{"one may yet start", json::array({not_started, ended}), false},
                          sample{"nothing is known", json::array(), false}}) {
    world w;
    w.form();
    w.set_spec("/sidecar/image", "orrery-sidecar:next");
    w.settle();
    w.say_of_deleted(one.containers);
    w.settle();
    EXPECT_EQ(w.status()["updatedReplicas"], 1) << one.what << ": the successor has yet to join";
    w.join_all();
    w.settle();
    EXPECT_EQ(w.status()["updatedReplicas"], one.next_goes ? 2 : 1) << one.what;
    EXPECT_EQ(w.status()["terminatingReplicas"], one.next_goes ? 2 : 1) << one.what << ": objects are counted";
  }
}

TEST(escalation, until_the_successor_has_joined_the_conditions_tell_why_a_pod_is_missing) {
  world w;
  w.form();
  w.now += 2min;
  const auto victim = w.pod_names()[1];
  w.end_sidecar(victim, 71, {{"finishedAt", pki::to_text(w.now)}, {"message", "supervisor root/cart gave up"}});
  w.settle();
  w.finish_deletions();
  w.settle();
  const auto story =
      fmt::format("pod {} is replaced: a supervisor escalated to the pod: supervisor root/cart gave up", victim);
  for (const auto* type : {"Ready", "Progressing"})
    EXPECT_NE(w.condition(type, "message").find(story), std::string::npos) << w.condition(type, "message");
  EXPECT_EQ(w.condition("Ready"), "False");
  w.join_all();
  w.settle();
  EXPECT_EQ(w.condition("Ready", "message"), "3/3 pods joined");
  w.now += 1h;
  w.pods.begin()->second["status"]["containerStatuses"][0]["ready"] = false;
  w.settle();
  EXPECT_EQ(w.condition("Ready", "message"), "2/3 pods joined") << "it has nothing to do with that any more";
}

// ---- lost hosts ----

TEST(plan, a_host_that_a_copy_lacks_is_a_doubt_and_no_loss) {
  world w;
  w.form();
  w.now += 1h;
  w.put_on_host(w.pod_names()[0], "node9");
  const auto what = w.think();
  EXPECT_TRUE(what.in_doubt);
  EXPECT_TRUE(what.is_consequential());
  EXPECT_TRUE(only<delete_pod>(what).empty());
  EXPECT_EQ(what.status["joined"], "3/3");
}

TEST(plan, a_host_that_is_gone_counts_from_when_it_was_first_missed) {
  world w;
  w.form();
  w.now += 1h;
  const auto victim = w.pod_names()[0];
  w.put_on_host(victim, "node9");
  w.hosts_missing["node9"] = w.now;
  w.settle();
  EXPECT_TRUE(w.pods.contains(victim)) << "however old the pod is";
  w.now += 31s;
  w.settle();
  EXPECT_FALSE(w.pods.contains(victim));
}

TEST(plan, what_should_have_ended_long_ago_is_not_polled_for) {
  world w;
  w.form();
  w.hosts_known = false;
  w.hosts.clear();
  auto& pod = w.pods.begin()->second;
  pod["metadata"]["deletionTimestamp"] = pki::to_text(w.now - 1h);  // and its kubelet does not say that it is gone
  pod["status"]["conditions"] =
      json::array({{{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", pki::to_text(w.now - 2h)}},
                   {{"type", "ContainersReady"}, {"status", "True"}}});
  w.settle();
  const auto what = w.think();
  ASSERT_TRUE(what.again_at);
  EXPECT_GE(*what.again_at, w.now + 5s);
}

TEST(plan, times_that_cannot_be_read_are_never_overdue) {
  world w;
  w.form();
  const auto victim = w.pod_names()[0];
  w.put_on_host(victim, "node2");
  w.hosts["node2"] = read_host(
      {{"status", {{"conditions", {{{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", "?"}}}}}}});
  EXPECT_TRUE(only<delete_pod>(w.think()).empty());
  w.hosts["node2"] = {false, w.now - 1h};
  w.pods.at(victim)["metadata"]["deletionTimestamp"] = "soon";
  w.settle();
  EXPECT_TRUE(w.pods.contains(victim));
}

TEST(plan, a_pod_on_a_lost_host_is_given_up_after_its_time_and_not_before) {
  world w;
  w.form();
  const auto victim = w.pod_names()[0];
  w.put_on_host(victim, "node2");
  w.hosts["node2"] = {false, w.now};
  auto what = w.settle();
  EXPECT_EQ(w.pods.size(), 3U);
  EXPECT_EQ(w.status()["joined"], "2/3");
  ASSERT_TRUE(what.again_at);
  EXPECT_LE(*what.again_at, w.now + 32s);
  w.now += 31s;
  const auto deletions = only<delete_pod>(w.think());
  ASSERT_EQ(deletions.size(), 1U);
  EXPECT_TRUE(deletions[0].force);
  EXPECT_EQ(deletions[0].reason, "NodeLost");
  w.settle();
  EXPECT_FALSE(w.pods.contains(victim));
  EXPECT_EQ(w.present(), 3);
}

TEST(plan, when_no_host_answers_it_is_the_control_plane_that_is_blind) {
  world w;
  w.form();
  for (auto& [name, host] : w.hosts)
    host = {false, w.now};
  w.now += 10min;
  EXPECT_TRUE(only<delete_pod>(w.think()).empty());
}

// The API server hung for a minute, and the controller manager's judgement of that time is written before any kubelet's
// word: of some hosts at first, with a time that is long past.
TEST(plan, what_was_written_of_a_host_before_the_operator_listened_gives_up_no_pod) {
  world w;
  w.form();
  const auto victim = w.pod_names()[0];
  w.put_on_host(victim, "node2");
  w.hosts["node2"] = {false, w.now - 50s};
  w.in_contact_since.reset();
  EXPECT_TRUE(only<delete_pod>(w.think()).empty()) << "it does not lead";
  w.in_contact_since = w.now;
  auto what = w.think();
  EXPECT_TRUE(only<delete_pod>(what).empty());
  ASSERT_TRUE(what.again_at);
  EXPECT_GE(*what.again_at, w.now + 20s);
  EXPECT_LE(*what.again_at, w.now + 22s);
  w.now += 19s;
  EXPECT_TRUE(only<delete_pod>(w.think()).empty()) << "its kubelet may be about to report";
  w.now += 1s;
  EXPECT_EQ(only<delete_pod>(w.think()).size(), 1U) << "it was silent while the operator listened";
  w.set_spec("/disruption/nodeLostAfter", "5s");
  w.in_contact_since = w.now - 5s;
  EXPECT_EQ(only<delete_pod>(w.think()).size(), 1U) << "who asks for haste has it";
}

TEST(plan, where_hosts_may_not_be_read_and_no_pod_is_heard_of_it_is_the_control_plane_that_is_blind) {
  world w;
  w.form();
  w.hosts_known = false;
  w.hosts.clear();
  for (auto& [name, pod] : w.pods) {
    pod["status"]["conditions"] =
        json::array({{{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", pki::to_text(w.now - 1min)}},
                     {{"type", "ContainersReady"}, {"status", "True"}}});
  }
  EXPECT_TRUE(only<delete_pod>(w.think()).empty());
  w.pods.begin()->second["status"]["conditions"][0]["status"] = "True";
  EXPECT_EQ(only<delete_pod>(w.think()).size(), 2U) << "one host is heard of";
}

TEST(plan, a_pod_stuck_in_deletion_on_a_lost_host_is_removed_by_force_once_its_grace_is_over) {
  world w;
  w.form();
  const auto victim = w.pod_names()[0];
  w.put_on_host(victim, "node2");
  w.hosts["node2"] = {false, w.now - 1min};
  w.pods.at(victim)["metadata"]["deletionTimestamp"] = pki::to_text(w.now + 30s);
  w.settle();
  EXPECT_TRUE(w.pods.contains(victim));
  w.now += 32s;
  w.settle();
  EXPECT_FALSE(w.pods.contains(victim));
}

TEST(plan, an_update_goes_no_further_than_the_first_pod_whose_containers_do_not_work) {
  world w;
  w.form();
  const auto before = w.pod_names();
  w.set_spec("/template/spec/containers/0/image", "shop:broken");
  w.settle();
  const auto step = [&](bool app_ready, const std::string& ended) {
    w.finish_deletions();
    for (auto& [name, pod] : w.pods) {
      if (std::find(before.begin(), before.end(), name) != before.end()) continue;
      w.join(name);
      json app{{"name", "app"}, {"ready", app_ready}};
      if (!ended.empty()) app["lastState"]["terminated"]["finishedAt"] = ended;
      pod["status"]["containerStatuses"].push_back(app);
    }
    w.settle();
  };
  const auto old_ones = [&] {
    return std::count_if(before.begin(), before.end(), [&](const auto& name) { return w.pods.contains(name); });
  };
  step(false, "");
  step(false, "");
  EXPECT_EQ(old_ones(), 2) << "its app does not start";
  step(true, pki::to_text(w.now - 1s));
  EXPECT_EQ(old_ones(), 2) << "it runs, as it did before it ended a second ago";
  w.now += 10s;
  step(true, "");
  for (int round = 0; round < 5; ++round)
    step(true, "");
  EXPECT_EQ(old_ones(), 0);
}

TEST(plan, a_pod_that_lingers_beyond_its_grace_is_named_while_the_others_wait_for_it) {
  world w;
  w.form();
  const auto victim = w.pod_names()[0];
  w.pods.at(victim)["metadata"]["deletionTimestamp"] = pki::to_text(w.now + 30s);
  w.settle();
  EXPECT_EQ(w.condition("Progressing", "message").find("should have ended"), std::string::npos);
  w.now += 61s;
  for (auto& [name, pod] : w.pods)
    if (name != victim) w.join(name);
  w.settle();
  EXPECT_EQ(w.condition("Progressing", "reason"), "PodLingers");
  EXPECT_NE(w.condition("Progressing", "message").find("pod " + victim + " should have ended 31s ago"),
            std::string::npos);
}

TEST(plan, what_a_sidecar_reads_only_when_it_starts_is_a_part_of_its_template) {
  world w;
  w.form();
  w.set_spec("/failureDetection", {{"heartbeatInterval", "100ms"}, {"downAfter", "500ms"}});
  w.settle();
  EXPECT_EQ(w.condition("Progressing", "reason"), "RollingUpdate");
}

TEST(plan, without_the_right_to_read_hosts_nothing_is_forced) {
  world w;
  w.form();
  w.hosts_known = false;
  w.hosts.clear();
  auto& status = w.pods.begin()->second["status"];
  status["conditions"] =
      json::array({{{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", pki::to_text(w.now)}},
                   {{"type", "ContainersReady"}, {"status", "True"}}});
  w.settle();
  EXPECT_EQ(w.status()["joined"], "2/3");
  w.now += 31s;
  const auto deletions = only<delete_pod>(w.think());
  ASSERT_EQ(deletions.size(), 1U);
  EXPECT_FALSE(deletions[0].force);
}

}  // namespace orrery::plan::testing
