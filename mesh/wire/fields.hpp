#pragma once
#include "mesh/base/bytes.hpp"
#include "mesh/base/result.hpp"
#include "mesh/wire/value.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::wire {

inline constexpr std::size_t fields_max = 23;       ///< fields that we write in one message: the map's head is one byte
inline constexpr std::size_t fields_read_max = 64;  ///< fields that we read: newer peers may send some we do not know

/// Writes one CBOR map with text keys, without a document in between: a frame costs one buffer.
class field_writer {
 public:
  field_writer() { out_.push_back(0xa0); }
  field_writer& number(std::string_view key, std::uint64_t number);
  field_writer& flag(std::string_view key, bool flag);
  field_writer& text(std::string_view key, std::string_view text);
  /// A value travels as a byte string that holds its CBOR, so that readers pass over it without a walk.
  field_writer& item(std::string_view key, const value& item);
  field_writer& maps(std::string_view key, std::span<const field_writer> entries);
  [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }
  [[nodiscard]] byte_view encoded() const noexcept { return out_; }
  [[nodiscard]] bytes take() && { return std::move(out_); }

 private:
  void key(std::string_view name);
  bytes out_;
};

/// Reads what field_writer wrote. Keeps views into the payload: it must outlive the reader. Getters fill `out` and
/// remember the first thing that was wrong; `refusal` says it. Fields that nobody asks for are ignored.
class field_reader {
 public:
  /// `message` names the message in errors. Errors: protocol.
  [[nodiscard]] static result<field_reader> parse(byte_view payload, std::string_view message);

  field_reader& number(std::string_view key, std::uint64_t& out);
  field_reader& flag(std::string_view key, bool& out);
  field_reader& text(std::string_view key, std::string& out, std::size_t bytes_max);
  field_reader& item(std::string_view key, value& out);
  field_reader& maps(std::string_view key, std::vector<field_reader>& out, std::size_t entries_max);
  [[nodiscard]] bool has(std::string_view key) const noexcept;

  /// Marks the message as wrong for a reason that the caller found.
  void refuse(std::string_view key, std::string_view why);
  [[nodiscard]] const std::optional<error>& refusal() const noexcept { return refusal_; }

 private:
  struct field {
    std::string_view key;
    byte_view encoded;  ///< the item with its head
  };
  const field* find(std::string_view key);
  std::string_view message_;
  std::vector<field> fields_;
  std::optional<error> refusal_;
};

}  // namespace orrery::wire
