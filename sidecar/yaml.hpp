#pragma once
// Reads mappings of a YAML document field by field: faults and unknown fields are collected with their paths and lines.
// Include in .cpp files only.
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"
#include "mesh/wire/value.hpp"

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::sidecar::yaml {

inline constexpr std::size_t faults_max = 10;

/// What is wrong with one document.
struct report {
  std::string origin;
  std::vector<std::string> faults;
  std::vector<std::string> warnings;

  void fault(const YAML::Node& where, const std::string& path, const std::string& what);
  [[nodiscard]] error as_error() const;
};

/// The document's root. Errors: invalid_argument with line and column where it is not YAML.
[[nodiscard]] result<YAML::Node> parse(std::string_view text, const std::string& origin);

/// One mapping. Each getter marks its field as known; the destructor warns of those that nobody asked for.
/// A missing optional field yields the default; a fault yields the default too, and is in the report.
class mapping {
 public:
  mapping(report& out, const YAML::Node& node, std::string path);
  ~mapping();
  mapping(const mapping&) = delete;
  mapping& operator=(const mapping&) = delete;

  [[nodiscard]] bool has(const char* key) const;
  [[nodiscard]] std::string text(const char* key, std::optional<std::string> otherwise = std::nullopt);
  [[nodiscard]] std::uint64_t number(const char* key, std::uint64_t otherwise, std::uint64_t least, std::uint64_t most);
  [[nodiscard]] duration span(const char* key, duration otherwise, duration least, duration most);
  /// The index of the field's value in `accepted`.
  [[nodiscard]] std::size_t choice(const char* key, std::span<const std::string_view> accepted,
                                   std::optional<std::size_t> otherwise);
  /// The field's node, undefined if missing; the caller reads it.
  [[nodiscard]] YAML::Node child(const char* key, bool required = false);
  /// The field as data, in YAML's core schema: quoted texts are texts, others may be numbers, booleans or null. Null if
  /// missing.
  [[nodiscard]] value plain(const char* key);
  /// The elements of a sequence; none if missing.
  [[nodiscard]] std::vector<YAML::Node> elements(const char* key, std::size_t most);
  void fault(const char* key, const std::string& what);
  [[nodiscard]] std::string path_of(const char* key) const;
  [[nodiscard]] report& reporting() { return out_; }

 private:
  std::optional<std::string> scalar(const char* key, bool required);

  report& out_;
  const YAML::Node node_;
  std::string path_;
  std::set<std::string> known_;
};

}  // namespace orrery::sidecar::yaml
