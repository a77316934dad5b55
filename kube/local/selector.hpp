#pragma once
#include "kube/local/json.hpp"
#include "kube/local/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orrery::local {

/// Which objects a list or watch is about: a label selector ("a=b,c in (d,e),!f") and a field selector
/// ("metadata.name=x").
class selector {
 public:
  /// 400 says what is wrong with either text.
  [[nodiscard]] static reply<selector> parse(std::string_view labels, std::string_view fields);
  /// From a LabelSelector object: matchLabels and matchExpressions. An absent selector matches nothing.
  [[nodiscard]] static selector from_object(const json& label_selector);

  [[nodiscard]] bool matches(const json& object) const;
  [[nodiscard]] bool matches_labels(const json& labels) const;
  [[nodiscard]] bool everything() const { return requirements_.empty() && fields_.empty() && !nothing_; }

 private:
  enum class operation { in, not_in, exists, absent };
  struct requirement {
    std::string key;
    operation what;
    std::vector<std::string> values;
  };
  struct field {
    std::string path;
    std::string value;
    bool equal;
  };
  static reply<std::vector<requirement>> parse_labels(std::string_view text);

  std::vector<requirement> requirements_;
  std::vector<field> fields_;
  bool nothing_ = false;
};

/// {"a": "b"} -> "a=b": for /scale's status.selector.
[[nodiscard]] std::string selector_text(const json& label_selector);

/// The value at a dotted path (".spec.nodeName"), or nullptr.
[[nodiscard]] const json* at_dotted(const json& object, std::string_view path);
/// Sets the value at a dotted path, making the maps on the way.
void set_dotted(json& object, std::string_view path, json value);

}  // namespace orrery::local
