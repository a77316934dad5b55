#pragma once
#include "kube/local/json.hpp"
#include "kube/local/status.hpp"

#include <string>
#include <vector>

namespace orrery::local {

// Structural schemas (OpenAPI v3 as CustomResourceDefinitions use it). Pure. Not evaluated: x-kubernetes-validations.

/// Removes fields that the schema does not know and nulls that it does not allow; answers their paths ("spec.foo").
std::vector<std::string> prune(const json& schema, json& value);

/// Fills in `default`s, also inside of lists and maps.
void apply_defaults(const json& schema, json& value);

/// Every way in which `value` breaks the schema, in Kubernetes' words, each with its field path.
[[nodiscard]] std::vector<cause> validate(const json& schema, const json& value);

/// Types only, as a decoder of built-in kinds checks them (no `required`): empty when right, else one message.
[[nodiscard]] std::string first_type_error(const json& schema, const json& value, const std::string& path = "");

/// What is wrong with a CustomResourceDefinition's schema itself (not structural, unknown types).
[[nodiscard]] std::vector<cause> check_structural(const json& schema, const std::string& path);

/// The schema of a field of an object, resolved; nullptr when it is not known.
[[nodiscard]] const json* field_schema(const json& schema, const std::string& field);
/// The schema of a list's items, resolved; nullptr when it is not known.
[[nodiscard]] const json* item_schema(const json& schema);

}  // namespace orrery::local
