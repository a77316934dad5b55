#include "operator/plan/testing.hpp"

namespace orrery::plan::testing {

// ---- forming ----

TEST(plan, a_new_mesh_gets_all_it_needs_and_its_pods) {
  world w;
  w.settle();
  EXPECT_EQ(w.present(), 3);
  EXPECT_TRUE(w.config_maps.contains("demo-config"));
  EXPECT_TRUE(w.config_maps.contains("demo-genesis"));
  EXPECT_TRUE(w.secrets.contains("demo-ca"));
  for (const auto* kind : {"ServiceAccount", "Role", "RoleBinding", "Service", "PodDisruptionBudget"}) {
    EXPECT_EQ(w.others[kind].size(), 1U) << kind;
  }
  EXPECT_EQ(w.phase(), "Forming");
  EXPECT_EQ(w.condition("Ready"), "False");
  w.join_all();
  w.settle();
  EXPECT_EQ(w.phase(), "Ready");
  EXPECT_EQ(w.status()["joined"], "3/3");
  EXPECT_EQ(w.condition("Ready"), "True");
  EXPECT_TRUE(w.told("MeshReady"));
}

TEST(plan, everything_carries_the_mesh_label_the_recommended_labels_and_its_owner) {
  world w;
  w.settle();
  const auto check = [](const json& object) {
    EXPECT_EQ(kube::label_of(object, "orrery.dev/mesh"), "demo") << object.dump();
    EXPECT_EQ(kube::label_of(object, "app.kubernetes.io/name"), "orrery");
    EXPECT_EQ(kube::label_of(object, "app.kubernetes.io/instance"), "demo");
    EXPECT_EQ(kube::label_of(object, "app.kubernetes.io/managed-by"), "orrery-operator");
    EXPECT_FALSE(kube::label_of(object, "app.kubernetes.io/component").empty());
    ASSERT_TRUE(kube::controller_of(object));
    EXPECT_EQ(kube::controller_of(object)->uid, "mesh-uid");
  };
  for (const auto* map : {&w.pods, &w.secrets, &w.config_maps}) {
    for (const auto& [name, object] : *map)
      check(object);
  }
  for (const auto& [kind, map] : w.others) {
    for (const auto& [name, object] : map)
      check(object);
  }
}

TEST(plan, the_first_pods_are_those_of_genesis_and_later_ones_are_not) {
  world w;
  w.form();
  const auto first = members_of(w.config_maps.at("demo-genesis"));
  auto names = w.pod_names();
  EXPECT_EQ(std::set(first.begin(), first.end()), std::set(names.begin(), names.end()));
  w.pods.erase(names[0]);
  w.settle();
  names = w.pod_names();
  EXPECT_EQ(std::count_if(names.begin(), names.end(),
                          [&](const auto& one) { return std::find(first.begin(), first.end(), one) != first.end(); }),
            2);
}

TEST(plan, an_operator_killed_between_genesis_and_the_pods_makes_the_pods_of_genesis) {
  world w;
  for (int i = 0; i < 30 && w.pods.empty(); ++i)
    w.act(w.think(), 1 + static_cast<std::size_t>(i) / 3);
  w.settle();
  const auto first = members_of(w.config_maps.at("demo-genesis"));
  const auto names = w.pod_names();
  EXPECT_EQ(std::set(first.begin(), first.end()), std::set(names.begin(), names.end()));
}

TEST(plan, pod_names_are_short_and_of_letters_that_make_no_words) {
  seeded_random random{7};
  const object_names names{std::string(mesh_name_bytes_max, 'm')};
  for (int i = 0; i < 200; ++i) {
    const auto name = names.pod(random);
    EXPECT_LE(name.size(), 63U - std::string_view("-tls").size());
    EXPECT_EQ(name.find_first_of("aeiouy013", mesh_name_bytes_max), std::string::npos) << name;
  }
}

// ---- the pod ----

TEST(plan, a_pod_has_the_sidecar_first_and_tells_the_app_where_it_is) {
  world w(json{{"template", {{"spec", {{"containers", json::array({{{"name", "app"}, {"image", "app:1"}}})}}}}}});
  w.settle();
  const auto& spec = w.pods.begin()->second["spec"];
  EXPECT_EQ(spec["containers"][0]["name"], "orrery");
  EXPECT_EQ(spec["containers"][0]["image"], "orrery-sidecar:test");
  EXPECT_EQ(spec["containers"][1]["name"], "app");
  EXPECT_EQ(spec["containers"][1]["env"], json::array({{{"name", "ORRERY_SIDECAR"}, {"value", "http://127.0.0.1:3600"}},
                                                       {{"name", "ORRERY_SOCKET"}, {"value", "/run/orrery/sdk.sock"}},
                                                       {{"name", "ORRERY_TCP"}, {"value", "127.0.0.1:3603"}}}));
  EXPECT_EQ(spec["automountServiceAccountToken"], false);
  EXPECT_GE(spec["terminationGracePeriodSeconds"].get<int>(), 30);
}

TEST(plan, the_app_shares_the_sidecars_socket_and_cannot_replace_it) {
  const json app{{"name", "app"}, {"image", "app:1"}};
  json own = app;
  own["name"] = "own";
  own["volumeMounts"] = json::array({{{"name", "mine"}, {"mountPath", "/run/orrery"}}});
  own["env"] = json::array({{{"name", "ORRERY_SOCKET"}, {"value", "/elsewhere"}}});
  world w(json{{"template", {{"spec", {{"containers", json::array({app, own})}}}}}, {"sdk", {{"streamPort", 3700}}}});
  w.settle();
  const auto& spec = w.pods.begin()->second["spec"];
  const auto args = spec["containers"][0]["args"].get<std::vector<std::string>>();
  EXPECT_EQ(std::find(args.begin(), args.end(), "--sdk-socket")[1], "/run/orrery/sdk.sock");
  EXPECT_EQ(std::find(args.begin(), args.end(), "--sdk-stream")[1], "127.0.0.1:3700");
  const json mount{{"name", "orrery-sdk"}, {"mountPath", "/run/orrery"}, {"readOnly", true}};
  EXPECT_EQ(spec["containers"][1]["volumeMounts"], json::array({mount}));
  EXPECT_EQ(spec["containers"][2]["volumeMounts"], own["volumeMounts"]);
  EXPECT_EQ(spec["containers"][2]["env"][0]["value"], "/elsewhere");
}

TEST(plan, the_sidecar_alone_has_a_place_that_outlives_its_container) {
  world w(json{{"template", {{"spec", {{"containers", json::array({{{"name", "app"}, {"image", "app:1"}}})}}}}}});
  w.settle();
  const auto& spec = w.pods.begin()->second["spec"];
  const auto args = spec["containers"][0]["args"].get<std::vector<std::string>>();
  const auto named = std::find(args.begin(), args.end(), "--member-cache");
  ASSERT_NE(named, args.end());
  EXPECT_EQ(named[1], "/var/lib/orrery/members.json");
  const json mount{{"name", "orrery-state"}, {"mountPath", "/var/lib/orrery"}};
  const json volume{{"name", "orrery-state"}, {"emptyDir", {{"sizeLimit", "16Mi"}}}};
  const auto has = [](const json& list, const json& entry) {
    return std::find(list.begin(), list.end(), entry) != list.end();
  };
  EXPECT_TRUE(has(spec["containers"][0]["volumeMounts"], mount)) << spec["containers"][0]["volumeMounts"];
  EXPECT_TRUE(has(spec["volumes"], volume)) << spec["volumes"];
  EXPECT_FALSE(has(spec["containers"][1]["volumeMounts"], mount));
}

TEST(plan, where_the_server_has_native_sidecars_the_sidecar_is_one) {
  world w(json{{"template", {{"spec", {{"containers", json::array({{{"name", "app"}, {"image", "app:1"}}})}}}}}});
  w.server.native_sidecars = true;
  w.settle();
  const auto& spec = w.pods.begin()->second["spec"];
  EXPECT_EQ(spec["initContainers"][0]["name"], "orrery");
  EXPECT_EQ(spec["initContainers"][0]["restartPolicy"], "Always");
  EXPECT_EQ(spec["containers"].size(), 1U);
}

TEST(plan, the_grace_period_covers_the_drain_and_the_users_own_wish) {
  world w(json{{"drainTimeout", "90s"}});
  w.settle();
  EXPECT_EQ(w.pods.begin()->second["spec"]["terminationGracePeriodSeconds"], 100);
  world longer(json{{"template", {{"spec", {{"terminationGracePeriodSeconds", 300}}}}}});
  longer.settle();
  EXPECT_EQ(longer.pods.begin()->second["spec"]["terminationGracePeriodSeconds"], 300);
}

TEST(plan, the_disruption_budget_follows_the_server_and_is_not_made_for_one_pod) {
  world w;
  w.settle();
  EXPECT_EQ(w.others["PodDisruptionBudget"]["demo"]["apiVersion"], "policy/v1beta1");
  world newer;
  newer.server.policy_v1 = true;
  newer.settle();
  EXPECT_EQ(newer.others["PodDisruptionBudget"]["demo"]["apiVersion"], "policy/v1");
  w.join_all();
  w.set_spec("/replicas", 1);
  w.settle();
  EXPECT_TRUE(w.others["PodDisruptionBudget"].empty());
}

TEST(plan, what_somebody_changed_or_deleted_is_put_back) {
  world w;
  w.form();
  w.others["Service"]["demo"]["spec"]["selector"] = {{"app", "other"}};
  w.others["Role"].clear();
  w.config_maps["demo-config"]["data"]["config.yaml"] = "mesh: {}";
  w.settle();
  EXPECT_EQ(w.others["Service"]["demo"]["spec"]["selector"]["orrery.dev/role"], "node");
  EXPECT_EQ(w.others["Role"].size(), 1U);
  EXPECT_NE(kube::text_at(w.config_maps["demo-config"], {"data", "config.yaml"}).find("selector"), std::string::npos);
}

// ---- numbers of pods ----

TEST(plan, scaling_up_adds_and_scaling_down_takes_what_has_not_joined_then_the_youngest) {
  world w;
  w.form();
  const auto old = w.pod_names();
  w.now += 1min;
  w.set_spec("/replicas", 6);
  w.settle();
  EXPECT_EQ(w.present(), 6);
  EXPECT_EQ(w.phase(), "Scaling");
  EXPECT_TRUE(w.told("Scaled"));
  w.join_all();
  w.settle();
  EXPECT_EQ(w.phase(), "Ready");
  w.pods.at(old[1])["status"]["containerStatuses"][0]["ready"] = false;
  w.set_spec("/replicas", 2);
  w.settle();
  w.finish_deletions();
  w.settle();
  EXPECT_EQ(w.pod_names(), (std::vector{old[0], old[2]}));
  EXPECT_EQ(w.phase(), "Ready");
}

TEST(plan, scaled_to_nothing_it_is_empty_and_keeps_its_identity) {
  world w;
  w.form();
  const auto id = w.status()["meshID"];
  w.set_spec("/replicas", 0);
  w.settle();
  w.finish_deletions();
  w.settle();
  EXPECT_EQ(w.phase(), "Empty");
  w.set_spec("/replicas", 2);
  w.form();
  EXPECT_EQ(w.status()["meshID"], id);
  EXPECT_EQ(w.status()["joined"], "2/2");
}

TEST(plan, a_genesis_that_was_deleted_is_written_again_with_the_same_identity) {
  world w;
  w.form();
  const auto id = w.status()["meshID"].get<std::string>();
  w.config_maps.erase("demo-genesis");
  w.pods.erase(w.pods.begin());  // and one pod is missing
  const auto survivors = w.pod_names();
  w.settle();
  EXPECT_EQ(mesh_id_of(w.config_maps.at("demo-genesis")), id);
  EXPECT_EQ(members_of(w.config_maps.at("demo-genesis")), survivors);
  EXPECT_EQ(w.status()["meshID"], id);
  EXPECT_EQ(w.present(), 3);
}

TEST(plan, the_reported_identity_stays_whatever_is_deleted_or_broken) {
  world w;
  w.form();
  const auto id = w.status()["meshID"].get<std::string>();
  w.config_maps.erase("demo-genesis");
  w.set_spec("/drainTimeout", "eternity");
  w.settle();
  EXPECT_EQ(w.status()["meshID"], id) << "while the spec is broken";
  w.set_spec("/drainTimeout", "20s");
  w.set_spec("/replicas", 0);
  w.settle();
  w.finish_deletions();
  w.config_maps.erase("demo-genesis");
  w.settle();
  EXPECT_EQ(w.status()["meshID"], id) << "without pods or genesis";
  w.set_spec("/replicas", 2);
  w.form();
  EXPECT_EQ(mesh_id_of(w.config_maps.at("demo-genesis")), id);
  w.config_maps.at("demo-genesis")["data"]["genesis.yaml"] = "]broken";
  w.settle();
  EXPECT_EQ(w.status()["meshID"], id) << "with a genesis that cannot be read";
}

TEST(plan, a_pod_that_was_scaled_away_was_not_replaced) {
  world w;
  w.form();
  w.set_spec("/replicas", 2);
  w.settle();
  EXPECT_FALSE(w.status().contains("lastReplacement"));
}

TEST(plan, scaled_down_and_changed_at_once_no_pod_is_deleted_twice) {
  world w;
  w.form();
  w.set_spec("/sidecar/image", "orrery-sidecar:next");
  w.act(w.think());  // asks for the template
  w.set_spec("/replicas", 2);
  std::set<std::string> names;
  for (const auto& one : only<delete_pod>(w.think()))
    EXPECT_TRUE(names.insert(one.name).second) << one.name;
}

TEST(plan, what_is_in_the_way_is_named_and_told_once) {
  world w;
  w.blocked = {.passes = false, .message = "ConfigMap default/demo-genesis exists"};
  w.report(w.think());
  EXPECT_EQ(w.condition("Progressing", "reason"), "ForeignObject");
  EXPECT_EQ(w.condition("Ready", "reason"), "ForeignObject");
  EXPECT_NE(w.condition("Ready", "message").find("demo-genesis"), std::string::npos);
  EXPECT_TRUE(w.told("ForeignObject"));
  EXPECT_TRUE(w.think().notes.empty());
  w.blocked.reset();
  w.form();
  EXPECT_EQ(w.phase(), "Ready");
}

TEST(plan, an_app_that_crash_loops_shows_although_the_mesh_is_whole) {
  world w{{{"template", {{"spec", {{"containers", {{{"name", "app"}, {"image", "x"}}}}}}}}}};
  w.form();
  EXPECT_EQ(w.phase(), "Ready");
  EXPECT_EQ(w.condition("AppsRunning"), "True");
  auto& pod = w.pods.begin()->second;
  EXPECT_EQ(kube::annotation_of(pod, "kubectl.kubernetes.io/default-container"), "app");
  pod["status"]["containerStatuses"].push_back(
      {{"name", "app"}, {"ready", false}, {"state", {{"waiting", {{"reason", "CrashLoopBackOff"}}}}}});
  w.settle();
  EXPECT_EQ(w.phase(), "Degraded");
  EXPECT_EQ(w.status()["readyReplicas"], 3) << "its sidecar serves";
  EXPECT_EQ(w.condition("Ready"), "True");
  EXPECT_EQ(w.condition("AppsRunning"), "False");
  EXPECT_NE(w.condition("AppsRunning", "message").find("container app: CrashLoopBackOff"), std::string::npos);
}

TEST(plan, a_pod_that_somebody_else_took_away_is_told_of) {
  world w;
  w.form();
  EXPECT_FALSE(w.told("MemberLost"));
  w.pods.erase(w.pods.begin());
  w.settle();
  EXPECT_TRUE(w.told("MemberLost"));
}

TEST(plan, what_is_left_of_a_deleted_mesh_of_that_name_is_waited_for_without_a_warning) {
  world w;
  w.blocked = {.passes = true, .message = "ConfigMap default/demo-genesis is of a mesh that was deleted"};
  const auto what = w.think();
  EXPECT_EQ(what.status["conditions"][1]["reason"], "WaitingForCollection");
  EXPECT_TRUE(std::none_of(what.notes.begin(), what.notes.end(), [](const note& one) { return one.warning; }));
}

TEST(plan, a_pod_is_not_made_without_what_it_needs_and_none_goes_for_its_sake) {
  const json object = json::object();
  EXPECT_TRUE(is_needed_by_pods(apply_object{kube::resources::service_accounts, object}));
  EXPECT_TRUE(is_needed_by_pods(create_once{kube::resources::config_maps, object}));
  EXPECT_TRUE(is_needed_by_pods(make_authority{}));
  EXPECT_FALSE(is_needed_by_pods(apply_object{kube::resources::pod_disruption_budgets_v1beta1, object}));
  EXPECT_FALSE(is_needed_by_pods(touch_pod{}));
  EXPECT_TRUE(needs_the_others(create_pod{}));
  delete_pod for_a_successor;
  for_a_successor.voluntary = true;
  EXPECT_TRUE(needs_the_others(for_a_successor));
  EXPECT_FALSE(needs_the_others(delete_pod{}));
  EXPECT_FALSE(needs_the_others(issue_certificate{}));
}

// ---- updates ----

TEST(plan, a_template_change_replaces_one_pod_at_a_time_and_waits_for_its_successor) {
  world w;
  w.form();
  w.set_spec("/sidecar/image", "orrery-sidecar:next");
  for (int replaced = 1; replaced <= 3; ++replaced) {
    w.settle();
    EXPECT_EQ(w.status()["terminatingReplicas"], 1);
    EXPECT_EQ(w.status()["updatedReplicas"], replaced);
    w.settle();
    EXPECT_EQ(w.status()["updatedReplicas"], replaced) << "the next must wait for the successor";
    w.join_all();
    w.settle();
    EXPECT_EQ(w.status()["updatedReplicas"], replaced) << "the next must wait until the last one is gone";
    w.finish_deletions();
  }
  w.settle();
  EXPECT_EQ(w.phase(), "Ready");
  EXPECT_TRUE(w.told("RolloutStarted"));
  EXPECT_TRUE(w.told("RolloutFinished"));
}

TEST(plan, a_template_that_the_server_refuses_deletes_nothing_and_says_what_it_said) {
  world w;
  w.form();
  const auto before = w.pod_names();
  w.refuse_template = "spec.containers[1].image: Required value";
  w.set_spec("/template/spec/priority", "high");
  w.settle();
  EXPECT_EQ(w.pod_names(), before);
  EXPECT_EQ(w.condition("TemplateValid"), "False");
  EXPECT_NE(w.condition("TemplateValid", "message").find("spec.containers[1].image"), std::string::npos);
  EXPECT_EQ(w.phase(), "Invalid");
  EXPECT_TRUE(w.told("RolloutBlocked"));
  w.refuse_template.clear();
  w.now += 31s;
  w.settle();
  EXPECT_EQ(w.condition("TemplateValid"), "True");
  EXPECT_EQ(w.status()["terminatingReplicas"], 1);
}

TEST(plan, a_paused_update_waits_and_healing_goes_on) {
  world w;
  w.form();
  w.set_spec("/update/paused", true);
  w.set_spec("/sidecar/image", "orrery-sidecar:next");
  w.settle();
  EXPECT_EQ(w.status()["terminatingReplicas"], 0);
  EXPECT_EQ(w.condition("Progressing", "reason"), "UpdatePaused");
  w.pods.erase(w.pods.begin());
  w.settle();
  EXPECT_EQ(w.present(), 3);
}

TEST(plan, a_rollout_that_went_wrong_is_replaced_by_the_next_without_taking_a_pod_that_serves) {
  world w;
  w.form();
  w.set_spec("/sidecar/image", "orrery-sidecar:broken");
  w.settle();
  w.finish_deletions();
  w.settle();
  EXPECT_EQ(w.status()["joined"], "2/3");
  w.set_spec("/sidecar/image", "orrery-sidecar:good");
  w.settle();
  w.finish_deletions();
  w.settle();
  EXPECT_EQ(w.status()["joined"], "2/3");
  for (int i = 0; i < 4; ++i) {
    w.join_all();
    w.settle();
    w.finish_deletions();
  }
  w.settle();
  EXPECT_EQ(w.status()["joined"], "3/3");
  EXPECT_EQ(w.status()["updatedReplicas"], 3);
}

// ---- bad specs ----

TEST(plan, a_spec_that_cannot_be_followed_is_named_by_its_field_and_changes_nothing) {
  struct row {
    const char* pointer;
    json value;
    const char* field;
  };
  const std::vector<row> table{
      {"/failureDetection/downAfter", "600ms", "spec.failureDetection.downAfter"},
      {"/failureDetection/heartbeatInterval", "1h", "spec.failureDetection.heartbeatInterval"},
      {"/drainTimeout", "eternity", "spec.drainTimeout"},
      {"/security/caTTL", "48h", "spec.security.caTTL"},
      {"/network/adminPort", 3601, "spec.network"},
      {"/network/meshPort", 4601, "spec.network.meshPort"},
      {"/template/spec/restartPolicy", "Never", "spec.template.spec.restartPolicy"},
      {"/template/spec/containers", json::array({{{"name", "orrery"}}}), "spec.template.spec.containers[0].name"},
      {"/template/spec/containers", "app", "spec.template.spec.containers"},
      {"/template/spec/containers", json::array({{{"name", "a"}, {"ports", json::array({{{"containerPort", 3602}}})}}}),
       "spec.template.spec.containers[0].ports[0].containerPort"},
      {"/template/spec/volumes", json::array({{{"name", "orrery-tls"}}}), "spec.template.spec.volumes[0].name"},
  };
  for (const auto& one : table) {
    world w;
    w.form();
    const auto before = w.pod_names();
    w.set_spec("/replicas", 5);
    w.set_spec(one.pointer, one.value);
    w.settle();
    EXPECT_EQ(w.pod_names(), before) << one.pointer;
    EXPECT_EQ(w.condition("SpecValid"), "False") << one.pointer;
    EXPECT_EQ(w.condition("SpecValid", "message").find(std::string(one.field) + ":"), 0U)
        << one.pointer << ": " << w.condition("SpecValid", "message");
    EXPECT_EQ(w.phase(), "Invalid");
    EXPECT_TRUE(w.told("SpecInvalid"));
  }
}

TEST(plan, certificates_are_renewed_even_while_the_spec_is_broken) {
  world w;
  w.form();
  w.set_spec("/drainTimeout", "eternity");
  w.now += 20h;
  EXPECT_EQ(only<issue_certificate>(w.think()).size(), 3U);
}

// ---- killed anywhere ----

TEST(plan, an_operator_killed_at_any_action_converges_without_a_pod_too_many_or_a_certificate_missing) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    seeded_random dice{seed};
    world w;
    for (int step = 0; step < 40; ++step) {
      if (dice.below(6) == 0) w.set_spec("/replicas", 1 + dice.below(6));
      if (dice.below(10) == 0) w.set_spec("/sidecar/image", fmt::format("sidecar:{}", dice.below(3)));
      if (dice.below(4) == 0) w.join_all();
      if (dice.below(4) == 0) w.finish_deletions();
      if (dice.below(8) == 0 && !w.pods.empty()) w.pods.erase(w.pods.begin());
      const auto what = w.think();
      w.act(what, dice.below(what.actions.size() + 2));
      if (::testing::Test::HasFatalFailure()) return;
      for (const auto& [name, pod] : w.pods) {
        ASSERT_TRUE(w.secrets.contains(certificate_secret(name))) << "seed " << seed << ": no certificate";
      }
      w.now += 1s;
    }
    for (int i = 0; i < 8; ++i) {
      w.settle();
      w.join_all();
      w.finish_deletions();
      w.now += 61s;
    }
    w.settle();
    EXPECT_EQ(w.phase(), "Ready") << "seed " << seed;
    EXPECT_EQ(w.present(), w.replicas()) << "seed " << seed;
    EXPECT_EQ(w.secrets.size(), w.pods.size() + 1) << "seed " << seed << ": certificates of pods that are gone";
  }
}

}  // namespace orrery::plan::testing
