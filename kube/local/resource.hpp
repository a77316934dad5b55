#pragma once
#include "kube/local/json.hpp"
#include "kube/local/status.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orrery::local {

/// Where a kind keeps its replica counts, as CustomResourceDefinitions write it (".spec.replicas").
struct scale_paths {
  std::string spec_replicas;
  std::string status_replicas;
  std::string selector;
};

/// One resource in one version, built in or from a CustomResourceDefinition.
struct resource_info {
  std::string group;
  std::string version;
  std::string plural;
  std::string singular;
  std::string kind;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  bool namespaced = true;
  bool custom = false;         ///< of a CustomResourceDefinition
  bool has_status = false;     ///< status is written through /status only
  bool has_generation = true;  ///< metadata.generation counts changes outside of metadata and status
  bool review = false;         ///< answered, never stored (SelfSubjectAccessReview)
  std::optional<scale_paths> scale;
  json schema;   ///< OpenAPI of the whole object, metadata included
  json columns;  ///< additionalPrinterColumns; null for built-in kinds

  /// Names the place of the objects in the store: "pods", "processmeshes.orrery.dev". The same for all versions.
  [[nodiscard]] std::string bucket() const { return qualified(plural, group); }
  [[nodiscard]] std::string api_version() const { return group.empty() ? version : group + "/" + version; }
};

using resource_ptr = std::shared_ptr<const resource_info>;

/// All served resources. Thread-safe; entries are immutable, so a request keeps the one that it started with.
class catalog {
 public:
  catalog();

  [[nodiscard]] resource_ptr find(std::string_view group, std::string_view version, std::string_view plural) const;
  /// Any version of it, by the bucket's name.
  [[nodiscard]] resource_ptr find_bucket(std::string_view bucket) const;
  [[nodiscard]] resource_ptr find_kind(std::string_view api_version, std::string_view kind) const;
  [[nodiscard]] std::vector<resource_ptr> all() const;

  /// Serves what a (validated) CustomResourceDefinition defines, in place of what it defined before.
  void define(const json& definition);
  /// Stops serving "plural.group".
  void forget(std::string_view bucket);

 private:
  mutable std::mutex mutex_;
  std::vector<resource_ptr> entries_;
};

/// What is wrong with a CustomResourceDefinition; empty when it can be served.
[[nodiscard]] std::vector<cause> check_definition(const json& definition);

}  // namespace orrery::local
