#pragma once
// mesh/wire: messages <-> bytes. Versioned, bounded, checksummed; knows nothing of sockets.
#include "mesh/base/bytes.hpp"
#include "mesh/base/result.hpp"

#include <nlohmann/json_fwd.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace orrery {

inline constexpr std::size_t value_bytes_max = 1U << 20U;  ///< one argument, reply or state, encoded
inline constexpr int value_depth_max = 64;                 ///< nesting of arrays and maps

/// What processes exchange and keep: one CBOR item (RFC 8949), immutable, so that local delivery does not copy.
///
/// Sixteen bytes. Items of up to small_max encoded bytes (null, numbers, booleans, short texts) live in the value
/// itself; larger ones in one block that its copies share. Copying is cheap; making null and moving cost nothing, and
/// what was moved from is null.
///
/// Threads: like std::shared_ptr. Different values may be used from different threads even where they share a block;
/// one value may be read from several, as long as none assigns to it or moves from it.
class value {
 public:
  static constexpr std::size_t small_max = 15;  ///< encoded bytes that need no block

  constexpr value() noexcept = default;  ///< null
  value(const value& other) noexcept : raw_(other.raw_) { retain(); }
  value(value&& other) noexcept : raw_(std::exchange(other.raw_, null)) {}
  value& operator=(const value& other) noexcept {
    other.retain();  // before letting go of what may be the same block
    release();
    raw_ = other.raw_;
    return *this;
  }
  value& operator=(value&& other) noexcept {
    const auto taken = std::exchange(other.raw_, null);  // first, so that moving to itself keeps it
    release();
    raw_ = taken;
    return *this;
  }
  ~value() { release(); }

  /// Parses JSON text. Errors: invalid_argument with line and column; too_large over value_bytes_max or
  /// value_depth_max.
  [[nodiscard]] static result<value> from_json(std::string_view text);
  /// Encodes a JSON document (CBOR byte strings included). Errors: too_large.
  [[nodiscard]] static result<value> from_document(const nlohmann::json& document);
  /// Takes encoded CBOR from elsewhere. Errors: protocol where it is not exactly one well-formed item; too_large.
  [[nodiscard]] static result<value> from_cbor(byte_view encoded);
  /// Copies what an encoder of ours wrote, unchecked. REQUIRES: what from_cbor would accept.
  [[nodiscard]] static value adopt(byte_view encoded) {
    return written(encoded.size(), [&](std::span<std::uint8_t> room) { std::ranges::copy(encoded, room.begin()); });
  }
  /// For encoders that know their size: `write(std::span<std::uint8_t>)` fills the value's own bytes, which are zero
  /// at first or of no known content. REQUIRES: size > 0; what is written is what from_cbor would accept.
  template <class Write>
  [[nodiscard]] static value written(std::size_t size, Write&& write) {
    value made;
    write(made.make_room(size));
    return made;
  }

  /// Of a small value this points into the value itself: it lasts until the value is moved, assigned to or gone, even
  /// where copies live on.
  [[nodiscard]] byte_view cbor() const& noexcept {
    if (!is_shared()) return {raw_.data(), raw_.back()};
    const block* const held = shared();
    return {reinterpret_cast<const std::uint8_t*>(held + 1), held->size};
  }
  byte_view cbor() const&& = delete;  ///< the bytes would be gone with the temporary
  [[nodiscard]] nlohmann::json document() const;
  /// JSON text; byte strings appear as {"bytes": [...], "subtype": null}.
  [[nodiscard]] std::string json_text() const;

  /// The same encoded bytes?
  friend bool operator==(const value& a, const value& b) noexcept {
    if (a.raw_ == b.raw_) return true;  // unused bytes are zero, and a size has one place to live
    return a.is_shared() && b.is_shared() && std::ranges::equal(a.cbor(), b.cbor());
  }

 private:
  /// What comes before the bytes of a larger item. 2^32 owners would take 64 GiB of values.
  struct block {
    std::atomic<std::uint32_t> owners;
    std::uint32_t size;
  };
  /// The encoded bytes, zeros, their number; or a block's address, zeros, shared_mark.
  using storage = std::array<std::uint8_t, small_max + 1>;
  static constexpr std::uint8_t shared_mark = 0xff;
  static constexpr storage null{0xf6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

  [[nodiscard]] bool is_shared() const noexcept { return raw_.back() == shared_mark; }
  [[nodiscard]] block* shared() const noexcept {
    block* held = nullptr;
    std::memcpy(&held, raw_.data(), sizeof held);
    return held;
  }
  void retain() const noexcept {
    if (is_shared()) shared()->owners.fetch_add(1, std::memory_order_relaxed);
  }
  void release() const noexcept {
    if (is_shared()) let_go(shared());
  }
  static void let_go(block* held) noexcept;
  /// REQUIRES: this is null. What it returns must be filled.
  std::span<std::uint8_t> make_room(std::size_t size);

  alignas(block*) storage raw_ = null;
};
static_assert(sizeof(value) == 16);

}  // namespace orrery
