#pragma once
#include "kube/local/json.hpp"

namespace orrery::local {

/// The types of the built-in kinds, one per paragraph: `Name field:type field!:type ...`, `!` for required. Types:
///   s string, i integer, n number, b boolean, t time, B base64 bytes, q integer or string (quantity), o anything,
///   {T} map of T, [T] list of T that is replaced whole, [T]* list that is a set, Name another type.
///   [T]@a+b is a list of objects keyed by the fields a and b; ~c is the key of strategic merge patches where it
///   differs.
[[nodiscard]] const char* builtin_types_text();

/// OpenAPI v3 schemas of the built-in kinds by short name ("Pod"), with `$ref` to "#/components/schemas/NAME".
/// Parsed once; lives as long as the program.
[[nodiscard]] const json& builtin_schemas();

/// `schema`, or what its `$ref` names.
[[nodiscard]] const json& resolve(const json& schema);

}  // namespace orrery::local
