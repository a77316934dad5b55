#pragma once
#include "kube/local/json.hpp"
#include "kube/local/resource.hpp"
#include "kube/local/selector.hpp"
#include "kube/local/status.hpp"
#include "kube/local/store.hpp"
#include "kube/local/util.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orrery::local {

enum class field_validation { ignore, warn, strict };

/// How a client asked for a write.
struct write_options {
  std::string manager = "unknown";  ///< fieldManager; empty for the server itself, which is not tracked
  std::string subresource;          ///< "" or "status"
  bool dry_run = false;
  bool force = false;  ///< server-side apply: take fields over
  field_validation fields = field_validation::warn;
  std::vector<std::string>* warnings = nullptr;  ///< unknown fields, for the Warning header
};

enum class patch_type { operations, merge, strategic, apply };

struct delete_options {
  std::optional<std::int64_t> grace_seconds;
  std::string propagation;  ///< "", Background, Foreground, Orphan
  std::string uid;          ///< precondition
  std::string resource_version;
  bool dry_run = false;
};

/// The verbs of the API over the store: admission, defaults, validation, generations, field ownership, optimistic
/// concurrency, graceful deletion and finalizers. Knows nothing of HTTP. Thread-safe.
class registry {
 public:
  using clock = std::function<wall_time()>;
  registry(store& objects, catalog& kinds, clock now);

  [[nodiscard]] reply<object_ptr> get(const resource_info& info, const std::string& space,
                                      const std::string& name) const;
  reply<object_ptr> create(const resource_info& info, const std::string& space, json object,
                           const write_options& options);
  reply<object_ptr> update(const resource_info& info, const std::string& space, const std::string& name,
                           const json& object, const write_options& options);
  /// `apply` creates what does not exist; `created` (if given) tells.
  reply<object_ptr> patch(const resource_info& info, const std::string& space, const std::string& name, patch_type type,
                          const json& body, const write_options& options, bool* created = nullptr);
  /// The object as it was removed, or (`pending`) as it waits for its finalizers or its grace period.
  struct removed {
    object_ptr object;
    bool pending = false;
  };
  reply<removed> remove(const resource_info& info, const std::string& space, const std::string& name,
                        const delete_options& options);

  /// For controllers and the kubelet: changes the object in place (status too) without admission. Nothing happens
  /// when it is gone or `edit` leaves it equal. `edit` runs with the store locked.
  object_ptr edit(const object_key& key, const std::function<void(json&)>& edit);
  /// For controllers: create that does not mind if it is there already.
  void ensure(const std::string& bucket, const std::string& space, const json& object);

  [[nodiscard]] store& objects() { return objects_; }
  [[nodiscard]] catalog& kinds() { return kinds_; }
  [[nodiscard]] wall_time now() const { return now_(); }

 private:
  reply<void> admit_create(const resource_info& info, const std::string& space, json& object) const;
  reply<decision> finish(const resource_info& info, const object_ptr& before, json after,
                         const write_options& options) const;
  reply<void> check(const resource_info& info, const json& before, json& after, const write_options& options) const;
  void written(const resource_info& info, const object_ptr& object);

  store& objects_;
  catalog& kinds_;
  clock now_;
};

}  // namespace orrery::local
