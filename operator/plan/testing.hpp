#pragma once
// A world in memory that does what a decision says, as an API server, a kubelet and the sidecars would.
#include "mesh/base/base64.hpp"
#include "mesh/pki/authority.hpp"
#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace orrery::plan::testing {

using namespace std::chrono_literals;

template <class T>
std::vector<T> only(const decision& from) {
  std::vector<T> out;
  for (const auto& one : from.actions) {
    if (const auto* found = std::get_if<T>(&one)) out.push_back(*found);
  }
  return out;
}

class world {
 public:
  explicit world(json spec = json::object()) {
    mesh_ = kube::make_object(kube::resources::process_meshes, {"default", "demo"});
    mesh_["metadata"]["uid"] = "mesh-uid";
    mesh_["metadata"]["generation"] = 1;
    mesh_["spec"] = std::move(spec);
    for (const auto* host : {"node1", "node2", "node3"})
      hosts[host] = {true, now};
  }

  // ---- what users and the cluster do ----
  void set_spec(const char* pointer, json value) {
    mesh_["spec"][json::json_pointer(pointer)] = std::move(value);
    mesh_["metadata"]["generation"] = mesh_["metadata"]["generation"].get<int>() + 1;
  }
  void add_class(const std::string& name, json spec, std::string script_error = {}, int generation = 1) {
    json klass = kube::make_object(kube::resources::process_classes, {"default", name});
    klass["metadata"]["uid"] = "class-" + name;
    klass["metadata"]["generation"] = generation;
    spec["meshRef"] = {{"name", "demo"}};
    klass["spec"] = std::move(spec);
    classes[name] = {std::make_shared<const json>(std::move(klass)), std::move(script_error)};
  }
  void join(const std::string& pod) {
    pods.at(pod)["status"] = {{"phase", "Running"},
                              {"containerStatuses", json::array({{{"name", "orrery"}, {"ready", true}}})}};
  }
  /// The sidecar's container ended with a code, and was started again.
  void end_sidecar(const std::string& pod, int exit_code, json terminated) {
    terminated["exitCode"] = exit_code;
    join(pod);
    pods.at(pod)["status"]["containerStatuses"][0]["lastState"] = {{"terminated", std::move(terminated)}};
  }
  void join_all() {
    for (auto& [name, pod] : pods) {
      if (!kube::is_deleting(pod)) join(name);
    }
  }
  /// What a kubelet says of a pod that is being deleted, as the states of its containers.
  void say_of_deleted(const json& containers) {
    for (auto& [name, pod] : pods) {
      if (kube::is_deleting(pod)) pod["status"]["containerStatuses"] = containers;
    }
  }
  void finish_deletions() {
    std::erase_if(pods, [](const auto& one) { return kube::is_deleting(one.second); });
  }
  void put_on_host(const std::string& pod, const std::string& host) { pods.at(pod)["spec"]["nodeName"] = host; }

  // ---- what the operator sees and does ----
  observed look() const {
    observed out;
    out.mesh = std::make_shared<const json>(mesh_);
    for (const auto& [name, one] : classes)
      out.classes.push_back(one);
    const auto all = [](const std::map<std::string, json>& from) {
      std::vector<object_ptr> list;
      for (const auto& [name, one] : from)
        list.push_back(std::make_shared<const json>(one));
      return list;
    };
    out.pods = all(pods);
    out.secrets = all(secrets);
    out.config_maps = all(config_maps);
    for (const auto& [kind, from] : others)
      out.others[kind] = all(from);
    out.hosts = hosts;
    out.hosts_known = hosts_known;
    out.in_contact_since = in_contact_since;
    out.server = server;
    out.check = check;
    out.hosts_missing = hosts_missing;
    out.blocked = blocked;
    return out;
  }
  decision think() {
    auto what = decide(look(), {.sidecar_image = "orrery-sidecar:test"}, now, random);
    EXPECT_TRUE(!what.again_at || *what.again_at > now) << "looks again in the past: it would spin";
    return what;
  }

  /// Does the first `count` actions, as an operator that is killed then would; and the status, if all were done.
  void act(const decision& what, std::size_t count = 1000) {
    for (const auto& one : what.actions) {
      if (count-- == 0) return;
      const auto before = present();
      std::visit([this](const auto& a) { act_on(a); }, one);
      ASSERT_LE(present(), std::max({replicas(), before, present_max})) << "too many pods";
    }
    report(what);
  }
  void report(const decision& what) {
    mesh_["status"] = what.status;
    notes.insert(notes.end(), what.notes.begin(), what.notes.end());
  }
  /// Decides and acts until nothing is left to do. Fails if that never comes.
  decision settle() {
    for (int i = 0; i < 50; ++i) {
      auto what = think();
      const bool idle = what.actions.empty();
      act(what);
      if (idle) return what;
    }
    ADD_FAILURE() << "the operator does not come to rest";
    return {};
  }
  void form() {
    settle();
    join_all();
    settle();
  }

  [[nodiscard]] std::int64_t present() const {
    return std::count_if(pods.begin(), pods.end(), [](const auto& one) { return !kube::is_deleting(one.second); });
  }
  [[nodiscard]] std::int64_t replicas() const { return kube::integer_at(mesh_, {"spec", "replicas"}, 3); }
  [[nodiscard]] std::string condition(std::string_view type, std::string_view field = "status") const {
    for (const auto& one : mesh_.at("status").at("conditions")) {
      if (kube::text_at(one, {"type"}) == type) return std::string(kube::text_at(one, {field}));
    }
    return {};
  }
  [[nodiscard]] const json& status() const { return mesh_.at("status"); }
  [[nodiscard]] std::string phase() const { return std::string(kube::text_at(mesh_, {"status", "phase"})); }
  [[nodiscard]] std::vector<std::string> pod_names() const {
    std::vector<std::string> out;
    for (const auto& [name, pod] : pods)
      out.push_back(name);
    return out;
  }
  [[nodiscard]] bool told(std::string_view reason) const {
    return std::any_of(notes.begin(), notes.end(), [&](const note& one) { return one.reason == reason; });
  }

  wall_time now = std::chrono::system_clock::from_time_t(1'795'000'000);
  std::map<std::string, json> pods, secrets, config_maps;
  std::map<std::string, std::map<std::string, json>> others;
  std::map<std::string, class_view> classes;
  std::map<std::string, host_view> hosts;
  std::map<std::string, wall_time> hosts_missing;
  std::optional<obstacle> blocked;
  bool hosts_known = true;
  std::optional<wall_time> in_contact_since = now - std::chrono::hours{1};
  server_features server;
  std::optional<template_check> check;
  std::string refuse_template;  ///< what the API server says of new pods; empty: it accepts them
  std::int64_t present_max = 0;
  std::vector<note> notes;
  seeded_random random{42};

 private:
  void stamp(json& object) {
    object["metadata"]["uid"] = fmt::format("uid-{}", ++uids_);
    object["metadata"]["resourceVersion"] = std::to_string(uids_);
    object["metadata"]["creationTimestamp"] = pki::to_text(now);
  }
  void act_on(const apply_object& what) {
    auto object = what.object;
    stamp(object);
    auto& into = what.kind == kube::resources::config_maps ? config_maps : others[std::string(what.kind.kind)];
    into[std::string(kube::name_of(object))] = object;
  }
  void act_on(const create_once& what) {
    auto object = what.object;
    stamp(object);
    ASSERT_TRUE(config_maps.emplace(std::string(kube::name_of(object)), object).second) << "genesis was written twice";
  }
  void act_on(const delete_object& what) {
    secrets.erase(what.key.name);
    if (what.kind != kube::resources::secrets) others[std::string(what.kind.kind)].erase(what.key.name);
  }
  void act_on(const make_authority& what) {
    const auto made = *pki::make_authority("default", "demo", now, what.valid_for);
    auto& secret = secrets["demo-ca"];
    if (what.resource_version.empty()) secret = owned_object(kube::resources::secrets, mesh_, "demo-ca", "authority");
    const auto old = what.resource_version.empty() ? what.also_trust : secret_value(secret, "ca.crt");
    const auto bundle = what.staged ? *pki::combine_bundles(old, made.certificate_pem, now)
                                    : *pki::combine_bundles(made.certificate_pem, old, now);
    secret["data"][what.staged ? "next.crt" : "tls.crt"] = base64_encode(made.certificate_pem);
    secret["data"][what.staged ? "next.key" : "tls.key"] = base64_encode(made.key_pem);
    secret["data"]["ca.crt"] = base64_encode(bundle);
    secret["metadata"]["annotations"][std::string(annotations::bundle_since)] = pki::to_text(now);
    stamp(secret);
  }
  void act_on(const promote_authority&) {
    auto& data = secrets.at("demo-ca")["data"];
    data["tls.crt"] = data["next.crt"];
    data["tls.key"] = data["next.key"];
    data.erase("next.crt");
    data.erase("next.key");
    stamp(secrets.at("demo-ca"));
  }
  void issue(const std::string& pod, std::chrono::seconds valid_for) {
    const auto& ca = secrets.at("demo-ca");
    const auto issued = *pki::issue({secret_value(ca, "tls.crt"), secret_value(ca, "tls.key")},
                                    {"default", "demo", pod}, now, valid_for);
    json secret = owned_object(kube::resources::secrets, mesh_, certificate_secret(pod), "certificate");
    stamp(secret);
    secret["metadata"]["annotations"] = {{std::string(annotations::pod), pod},
                                         {std::string(annotations::bundle_since), pki::to_text(now)}};
    secret["data"] = {{"tls.crt", base64_encode(issued.certificate_pem)},
                      {"tls.key", base64_encode(issued.key_pem)},
                      {"ca.crt", ca["data"]["ca.crt"]}};
    secrets[certificate_secret(pod)] = secret;
  }
  void act_on(const issue_certificate& what) { issue(what.pod, what.valid_for); }
  void act_on(const check_template& what) { check = {what.hash, refuse_template.empty(), refuse_template, now}; }
  void act_on(const create_pod& what) {
    issue(what.name, what.certificate_valid_for);
    ASSERT_FALSE(pods.contains(what.name)) << "a pod's name was given twice";
    auto pod = what.pod;
    stamp(pod);
    pod["metadata"]["annotations"][std::string(annotations::config_hash)] =
        hash_of_files(what.config, secrets.at(certificate_secret(what.name)));
    pod["status"] = {{"phase", "Pending"}};
    pod["spec"]["nodeName"] = "node1";
    pods[what.name] = pod;
  }
  void act_on(const delete_pod& what) {
    if (what.force) {
      pods.erase(what.name);
    } else {
      pods.at(what.name)["metadata"]["deletionTimestamp"] = pki::to_text(now + 30s);
    }
  }
  void act_on(const touch_pod& what) {
    pods.at(what.name)["metadata"]["annotations"][std::string(annotations::config_hash)] = what.config_hash;
  }

  json mesh_;
  int uids_ = 0;
};

}  // namespace orrery::plan::testing
