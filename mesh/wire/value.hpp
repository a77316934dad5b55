#pragma once
// mesh/wire: messages <-> bytes. Versioned, bounded, checksummed; knows nothing of sockets.
#include "mesh/base/bytes.hpp"
#include "mesh/base/result.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace orrery {

inline constexpr std::size_t value_bytes_max = 1U << 20U;  ///< one argument, reply or state, encoded
inline constexpr int value_depth_max = 64;                 ///< nesting of arrays and maps

/// What processes exchange and keep: one CBOR item (RFC 8949), immutable and shared, so that local delivery does not
/// copy. Copying is cheap. Safe to read from several threads.
class value {
 public:
  value();  ///< null

  /// Parses JSON text. Errors: invalid_argument with line and column; too_large over value_bytes_max or
  /// value_depth_max.
  [[nodiscard]] static result<value> from_json(std::string_view text);
  /// Encodes a JSON document (CBOR byte strings included). Errors: too_large.
  [[nodiscard]] static result<value> from_document(const nlohmann::json& document);
  /// Takes encoded CBOR from elsewhere. Errors: protocol where it is not exactly one well-formed item; too_large.
  [[nodiscard]] static result<value> from_cbor(byte_view encoded);
  /// Takes what an encoder of ours wrote, unchecked. REQUIRES: what from_cbor would accept.
  [[nodiscard]] static value adopt(bytes encoded) { return value(std::move(encoded)); }

  [[nodiscard]] byte_view cbor() const noexcept { return *encoded_; }
  [[nodiscard]] nlohmann::json document() const;
  /// JSON text; byte strings appear as {"bytes": [...], "subtype": null}.
  [[nodiscard]] std::string json_text() const;

  friend bool operator==(const value& a, const value& b) noexcept { return *a.encoded_ == *b.encoded_; }

 private:
  explicit value(bytes encoded) : encoded_(std::make_shared<const bytes>(std::move(encoded))) {}
  std::shared_ptr<const bytes> encoded_;
};

}  // namespace orrery
