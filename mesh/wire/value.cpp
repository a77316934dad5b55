#include "mesh/wire/value.hpp"

#include "mesh/base/assert.hpp"

#include <nlohmann/json.hpp>

#include <limits>
#include <new>

namespace orrery {
namespace {

using json = nlohmann::json;

/// Depth of nesting, walked without recursion on hostile depth: stops as soon as the bound is passed.
bool deeper_than(const json& document, int bound) {
  if (!document.is_structured()) return false;
  if (bound == 0) return true;
  for (const auto& child : document) {
    if (deeper_than(child, bound - 1)) return true;
  }
  return false;
}

/// Refuses too deep nesting while parsing, before the document exists: a parser callback may drop a subtree.
class depth_guard {
 public:
  bool operator()(int depth, json::parse_event_t, json&) {
    too_deep_ |= depth > value_depth_max;
    return !too_deep_;
  }
  [[nodiscard]] bool too_deep() const noexcept { return too_deep_; }

 private:
  bool too_deep_ = false;
};

std::string size_text(std::size_t size) {
  return std::to_string(size) + " bytes; at most " + std::to_string(value_bytes_max) + " are accepted";
}

tl::unexpected<error> too_deep() {
  return fail(errc::too_large, "nested deeper than " + std::to_string(value_depth_max) + " levels");
}

/// CBOR's nesting depth from its bytes alone, so that a hostile item cannot exhaust the decoder's stack.
/// Returns false where arrays, maps and tags nest deeper than value_depth_max or the item is truncated.
class cbor_walker {
 public:
  explicit cbor_walker(byte_view data) : data_(data) {}
  enum class verdict { fine, malformed, deep };

  verdict one_item() {
    const auto outcome = item(0);
    return outcome == verdict::fine && at_ != data_.size() ? verdict::malformed : outcome;
  }

 private:
  bool argument(unsigned info, std::uint64_t& out) {
    if (info < 24) {
      out = info;
      return true;
    }
    if (info > 27) return false;
    const std::size_t width = std::size_t{1} << (info - 24);
    if (data_.size() - at_ < width) return false;
    out = 0;
    for (std::size_t i = 0; i < width; ++i)
      out = out << 8U | data_[at_++];
    return true;
  }

  /// `depth`: how many are around the parent of these.
  verdict children(std::uint64_t count, int depth) {
    if (depth == value_depth_max) return verdict::deep;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (const auto outcome = item(depth + 1); outcome != verdict::fine) return outcome;
    }
    return verdict::fine;
  }

  verdict item(int depth) {
    if (at_ == data_.size()) return verdict::malformed;
    const unsigned head = data_[at_++];
    std::uint64_t number = 0;
    if (!argument(head & 31U, number)) return verdict::malformed;  // indefinite lengths are not part of our profile
    switch (head >> 5U) {
      case 2:
      case 3:
        if (number > data_.size() - at_) return verdict::malformed;
        at_ += static_cast<std::size_t>(number);
        return verdict::fine;
      case 4:
        return children(number, depth);
      case 5:
        return number > data_.size() ? verdict::malformed : children(number * 2, depth);
      case 6:
        return children(1, depth);
      default:
        return verdict::fine;
    }
  }

  byte_view data_;
  std::size_t at_ = 0;
};

}  // namespace

// One allocation for the count and the bytes: what no owning type of the library does where the size is known only now.
std::span<std::uint8_t> value::make_room(std::size_t size) {
  ORRERY_ASSERT(size > 0 && size <= std::numeric_limits<std::uint32_t>::max());
  raw_ = {};
  if (size <= small_max) {
    raw_.back() = static_cast<std::uint8_t>(size);
    return {raw_.data(), size};
  }
  auto* const made = ::new (::operator new(sizeof(block) + size)) block{{1}, static_cast<std::uint32_t>(size)};
  std::memcpy(raw_.data(), &made, sizeof made);
  raw_.back() = shared_mark;
  return {reinterpret_cast<std::uint8_t*>(made + 1), size};
}

void value::let_go(block* held) noexcept {
  // A single owner is nobody else's to copy: most blocks end here, without a locked instruction.
  if (held->owners.load(std::memory_order_acquire) != 1 && held->owners.fetch_sub(1, std::memory_order_acq_rel) != 1)
    return;
  held->~block();
  ::operator delete(held);
}

result<value> value::from_json(std::string_view text) {
  if (text.size() > 4 * value_bytes_max) return fail(errc::too_large, "the JSON text has " + size_text(text.size()));
  depth_guard guard;
  try {
    const json document = json::parse(
        text, [&](int depth, json::parse_event_t event, json& parsed) { return guard(depth, event, parsed); });
    if (guard.too_deep()) return too_deep();
    return from_document(document);
  } catch (const json::parse_error& malformed) {
    if (guard.too_deep()) return too_deep();  // the text may also end early: depth is what the caller can mend
    std::string what = malformed.what();      // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
    const auto start = what.find("parse error at");
    return fail(errc::invalid_argument, "not JSON: " + (start == std::string::npos ? what : what.substr(start)));
  } catch (const json::exception&) {  // out_of_range.406, its text as long as the number
    return fail(errc::invalid_argument, "holds a number beyond what a 64-bit float can hold; send it as a string");
  }
}

result<value> value::from_document(const json& document) {
  if (deeper_than(document, value_depth_max)) return too_deep();
  try {
    const bytes encoded = json::to_cbor(document);
    if (encoded.size() > value_bytes_max) return fail(errc::too_large, "the value has " + size_text(encoded.size()));
    return adopt(encoded);
  } catch (const json::exception& refused) {  // a string that is not UTF-8
    return fail(errc::invalid_argument, std::string{"cannot be encoded: "} + refused.what());
  }
}

result<value> value::from_cbor(byte_view encoded) {
  if (encoded.size() > value_bytes_max) return fail(errc::too_large, "the value has " + size_text(encoded.size()));
  switch (cbor_walker(encoded).one_item()) {
    case cbor_walker::verdict::malformed:
      return fail(errc::protocol, "not one well-formed CBOR item of definite length");
    case cbor_walker::verdict::deep:
      return too_deep();
    case cbor_walker::verdict::fine:
      break;
  }
  const json parsed = json::from_cbor(encoded.begin(), encoded.end(), true, false, json::cbor_tag_handler_t::ignore);
  if (parsed.is_discarded()) return fail(errc::protocol, "CBOR that JSON cannot express (maps need text keys)");
  return adopt(encoded);
}

nlohmann::json value::document() const {
  const auto encoded = cbor();
  return json::from_cbor(encoded.begin(), encoded.end(), true, true, json::cbor_tag_handler_t::ignore);
}

std::string value::json_text() const {
  return document().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace orrery
