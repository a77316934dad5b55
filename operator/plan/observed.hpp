#pragma once
#include "kube/informer.hpp"
#include "mesh/pki/certificate.hpp"
#include "operator/plan/pod.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::plan {

using kube::object_ptr;
using pki::wall_time;

/// What stands for a time that cannot be read: it is never past, so that nobody is removed because of it.
inline constexpr wall_time far_away{std::chrono::sys_days{std::chrono::year{2200} / 1 / 1}};
/// RFC 3339 as Kubernetes writes it; `far_away` for anything else.
[[nodiscard]] wall_time time_or_far_away(std::string_view text);

/// A pod of the mesh, read out of its object.
struct pod_view {
  std::string name;
  std::string uid;
  std::string host;           ///< empty until it is scheduled
  std::string phase;          ///< Pending, Running, Succeeded, Failed, Unknown
  std::string template_hash;  ///< empty: not one of ours, or older than the annotation
  std::string config_hash;
  std::int64_t mesh_port = 0;  ///< that its sidecar listens on
  wall_time created{};
  std::optional<wall_time> delete_by;  ///< being deleted, with its grace period over then
  bool sidecar_ready = false;          ///< the sidecar says that it has joined
  bool crash_looping = false;
  bool containers_ready = false;  ///< all of them, the user's too
  bool containers_ended = false;  ///< all of them, by their kubelet's word: until they start again, nothing runs
  wall_time last_end{};           ///< of any container that has ended, most recently
  std::int64_t restarts = 0;      ///< of the sidecar
  std::string trouble;            ///< why a container waits: "ErrImagePull: ..."; empty if none does
  bool status_is_stale = false;   ///< its containers were ready when its host was last heard of, but the pod is not
  wall_time stale_since{};
  std::optional<std::string> escalation;  ///< a supervisor asked for the pod's replacement, and why
};
[[nodiscard]] pod_view read_pod(const json& pod);

/// A machine that pods run on.
struct host_view {
  bool ready = false;
  wall_time since{};  ///< it is, or is not
};
[[nodiscard]] host_view read_host(const json& node);

/// A ProcessClass of the mesh, with the judgement of its script.
struct class_view {
  object_ptr object;
  std::string script_error;  ///< "line 3: ..."; empty if in order, or not a script
};

/// What the API server said when it was asked whether it would accept the template's pods.
struct template_check {
  std::string hash;
  bool accepted = false;
  std::string message;
  wall_time at{};
};

/// An object that has a name that the mesh needs for its own, as it was met last.
struct obstacle {
  bool passes = false;  ///< it belongs to a deleted mesh of the same name, and is about to be collected
  std::string message;
};

/// Everything that a decision rests on.
struct observed {
  object_ptr mesh;
  std::vector<class_view> classes;  ///< of this mesh, by name
  std::vector<object_ptr> pods;     ///< of this mesh, by name; the same for the others:
  std::vector<object_ptr> secrets;
  std::vector<object_ptr> config_maps;
  std::map<std::string, std::vector<object_ptr>> others;  ///< services, accounts, roles, bindings, budgets, by kind
  std::map<std::string, host_view> hosts;
  bool hosts_known = false;  ///< false where the operator may not read nodes, or has not heard of them for too long
  /// Hosts that pods run on and that are not in the API server's own list, since when. A host that is in neither map
  /// is one that the copy may just not have heard of.
  std::map<std::string, wall_time> hosts_missing;
  /// Since when this operator has led, and has been answered, without a break; nothing: it does not. Where the API server
  /// hung for a minute, the first thing to be heard is that hosts have not reported for a minute.
  std::optional<wall_time> in_contact_since;
  server_features server;
  std::optional<template_check> check;
  std::optional<obstacle> blocked;
};

/// The object of that name, or null.
[[nodiscard]] const json* find_object(const std::vector<object_ptr>& among, std::string_view name);

/// One entry of a Secret's data, decoded; empty if there is none, or it is not base64.
[[nodiscard]] std::string secret_value(const json& secret, std::string_view key);

}  // namespace orrery::plan
