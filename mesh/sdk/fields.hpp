#pragma once
// mesh/sdk: the SDK protocol (docs/sdk-protocol.md): frames of clients, and what one connection may say and hear. Pure.
#include "mesh/base/bytes.hpp"
#include "mesh/base/result.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::sdk {

inline constexpr std::size_t fields_max = 64;  ///< of one map of ours; values may have as many as they like
/// Maps of ours around a value nest this deep at most.
inline constexpr int frame_depth_max = value_depth_max + 8;

/// Reads one CBOR map from a client: any bytes are safe. Keeps views into them: they must outlive the reader. Getters
/// give what is there, or nothing where the field is absent or null; the first thing that is wrong is remembered.
class fields {
 public:
  /// Errors: protocol, where it is not exactly one map of definite length with text keys.
  [[nodiscard]] static result<fields> parse(byte_view encoded);

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] bool holds_null(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view key, std::size_t bytes_max);
  /// For people: what is too long is cut, and not wrong.
  [[nodiscard]] std::optional<std::string> prose(std::string_view key, std::size_t bytes_max);
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most);
  [[nodiscard]] std::optional<bool> flag(std::string_view key);
  [[nodiscard]] std::optional<value> item(std::string_view key);
  [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view key, std::size_t count_max,
                                                              std::size_t bytes_max);
  [[nodiscard]] std::optional<fields> map(std::string_view key);
  [[nodiscard]] std::optional<std::vector<fields>> maps(std::string_view key, std::size_t count_max);

  /// As the getters, but an absent field is wrong.
  [[nodiscard]] std::string needed_text(std::string_view key, std::size_t bytes_max);
  [[nodiscard]] std::int64_t needed_integer(std::string_view key, std::int64_t least, std::int64_t most);

  void refuse(std::string_view key, std::string_view why, errc code = errc::invalid_argument);
  /// Of a map within this one: "effects[3].timer: ...".
  void refuse_inside(std::string_view where, const error& why);
  [[nodiscard]] const std::optional<error>& refusal() const noexcept { return refusal_; }
  /// The key of a map that has exactly one field.
  [[nodiscard]] std::optional<std::string_view> only_key() const;

 private:
  struct field {
    std::string_view key;
    byte_view encoded;
  };
  [[nodiscard]] const field* find(std::string_view key) const;

  std::vector<field> fields_;
  std::optional<error> refusal_;
};

}  // namespace orrery::sdk
