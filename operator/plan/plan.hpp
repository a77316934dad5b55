#pragma once
#include "operator/plan/observed.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orrery::plan {

// ---- what can be done: each is idempotent, or refused by the API server when the world has moved on ----

/// Server-side apply of an object that is missing or differs.
struct apply_object {
  kube::resource kind;
  json object;
};
/// Create, and leave alone what is there: genesis.
struct create_once {
  kube::resource kind;
  json object;
};
struct delete_object {
  kube::resource kind;
  kube::object_key key;
  std::string uid;
};
/// Makes a certificate authority and writes the mesh's CA Secret. `staged`: beside the present one, to be promoted when
/// every pod trusts it.
struct make_authority {
  bool staged = false;
  std::string also_trust;        ///< PEM of authorities that pods may still hold certificates of
  std::string resource_version;  ///< of the Secret that was decided upon; empty: there is none, create it
  std::chrono::seconds valid_for{};
  std::string why;
};
/// The staged authority becomes the one that issues; the old one stays trusted until it expires.
struct promote_authority {
  std::string resource_version;
};
/// Issues a certificate by the mesh's CA and writes the pod's Secret.
struct issue_certificate {
  std::string pod;
  std::chrono::seconds valid_for{};
  std::string why;
};
/// Asks the API server whether it would accept the pod, without making it.
struct check_template {
  std::string hash;
  json pod;
};
/// Issues the pod's certificate, then makes the pod.
struct create_pod {
  std::string name;
  json pod;            ///< complete but for its config hash, which covers the certificate to be issued
  std::string config;  ///< the text of config.yaml
  std::chrono::seconds certificate_valid_for{};
  std::string why;
};
struct delete_pod {
  std::string name;
  std::string uid;
  bool force = false;      ///< its host is gone: do not wait for a kubelet that does not answer
  bool voluntary = false;  ///< it may serve, and goes only because its successor can be made
  std::string reason;      ///< CamelCase
  std::string why;
  object_ptr asked_by{};  ///< the ProcessClass whose supervisor asked for it; null where that is not known
};
/// Changes an annotation, so that the kubelet refreshes the pod's files now.
struct touch_pod {
  std::string name;
  std::string uid;
  std::string config_hash;
};
using action = std::variant<apply_object, create_once, delete_object, make_authority, promote_authority,
                            issue_certificate, check_template, delete_pod, create_pod, touch_pod>;

/// What a pod cannot be made without: it failed, so no pod is made, and none goes for a successor's sake.
[[nodiscard]] bool is_needed_by_pods(const action& what);
[[nodiscard]] bool needs_the_others(const action& what);

/// Something that an SRE wants to be told.
struct note {
  bool warning = false;
  std::string reason;  ///< CamelCase, of a closed set
  std::string message;
};

/// What is told of a deletion.
[[nodiscard]] note note_of(const delete_pod& what);

struct class_status {
  object_ptr object;
  json status;
  bool quiet = false;  ///< nothing that an event is made of
};

struct decision {
  wall_time decided_at{};
  std::vector<action> actions;  ///< in this order; one that fails stops only those that need it
  json status;                  ///< of the ProcessMesh
  std::vector<class_status> class_statuses;
  std::vector<note> notes;
  std::optional<wall_time> again_at;  ///< look again then, even if nothing happens

  bool in_doubt = false;  ///< a copy that may be old is not enough to tell what is

  /// Makes, deletes or certifies pods, or is in doubt: must rest on what the API server says now, not on a copy.
  [[nodiscard]] bool is_consequential() const;
  /// What should have happened already may still happen, but is not polled for.
  static constexpr std::chrono::seconds look_again_min{5};
  void look_again(wall_time at) {
    at = std::max(at, decided_at + look_again_min);
    if (!again_at || at < *again_at) again_at = at;
  }
};

struct settings {
  std::string sidecar_image;
};

/// What to do about one mesh. `random` names new pods.
[[nodiscard]] decision decide(const observed& seen, const settings& chosen, wall_time now, seeded_random& random);

/// How long a class waits for its mesh before somebody is warned: `kubectl apply` makes one after the other.
inline constexpr std::chrono::seconds mesh_awaited{10};

/// About classes whose mesh does not exist: their statuses, and when to look again.
[[nodiscard]] decision judge_orphan_classes(const std::vector<class_view>& classes, wall_time now);

}  // namespace orrery::plan
