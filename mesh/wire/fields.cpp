#include "mesh/wire/fields.hpp"

#include "mesh/base/assert.hpp"

#include <algorithm>

namespace orrery::wire {
namespace {

enum major : unsigned { unsigned_number = 0, byte_string = 2, text_string = 3, array = 4, map = 5 };
constexpr std::uint8_t cbor_false = 0xf4;
constexpr std::uint8_t cbor_true = 0xf5;

void put_head(bytes& out, unsigned kind, std::uint64_t number) {
  const auto top = static_cast<std::uint8_t>(kind << 5U);
  if (number < 24) {
    out.push_back(static_cast<std::uint8_t>(top | number));
    return;
  }
  const unsigned log2_width = number <= 0xff ? 0 : number <= 0xffff ? 1 : number <= 0xffffffff ? 2 : 3;
  out.push_back(static_cast<std::uint8_t>(top | (24 + log2_width)));
  for (unsigned i = 1U << log2_width; i-- > 0;)
    out.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}

struct head {
  unsigned kind = 0;
  unsigned info = 0;
  std::uint64_t number = 0;
};

/// Walks CBOR items of definite length; every step is bounded by the bytes that are there.
class cursor {
 public:
  explicit cursor(byte_view data) : data_(data) {}

  bool take_head(head& out) {
    if (at_ == data_.size()) return false;
    out.kind = data_[at_] >> 5U;
    out.info = data_[at_++] & 31U;
    out.number = out.info;
    if (out.info < 24) return true;
    if (out.info > 27) return false;
    const std::size_t width = std::size_t{1} << (out.info - 24);
    if (data_.size() - at_ < width) return false;
    out.number = 0;
    for (std::size_t i = 0; i < width; ++i)
      out.number = out.number << 8U | data_[at_++];
    return true;
  }

  bool take_bytes(std::uint64_t count, byte_view& out) {
    if (count > data_.size() - at_) return false;
    out = data_.subspan(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return true;
  }

  bool skip(int depth_left) {
    head next;
    byte_view ignored;
    if (depth_left == 0 || !take_head(next)) return false;
    switch (next.kind) {
      case byte_string:
      case text_string:
        return take_bytes(next.number, ignored);
      case array:
        return skip_children(next.number, depth_left);
      case map:
        return next.number <= data_.size() && skip_children(next.number * 2, depth_left);
      case 6:
        return skip_children(1, depth_left);
      default:
        return true;
    }
  }

  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == data_.size(); }

 private:
  bool skip_children(std::uint64_t count, int depth_left) {
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!skip(depth_left - 1)) return false;
    }
    return true;
  }

  byte_view data_;
  std::size_t at_ = 0;
};

/// The bytes of a string item, if it is one of that kind.
bool string_of(byte_view encoded, unsigned kind, byte_view& out) {
  cursor walk(encoded);
  head start;
  return walk.take_head(start) && start.kind == kind && walk.take_bytes(start.number, out);
}

}  // namespace

void field_writer::key(std::string_view name) {
  ORRERY_ASSERT(out_[0] < 0xa0 + fields_max);
  ++out_[0];
  put_head(out_, text_string, name.size());
  out_.insert(out_.end(), name.begin(), name.end());
}

field_writer& field_writer::number(std::string_view name, std::uint64_t number) {
  key(name);
  put_head(out_, unsigned_number, number);
  return *this;
}

field_writer& field_writer::flag(std::string_view name, bool flag) {
  key(name);
  out_.push_back(flag ? cbor_true : cbor_false);
  return *this;
}

field_writer& field_writer::text(std::string_view name, std::string_view text) {
  key(name);
  put_head(out_, text_string, text.size());
  out_.insert(out_.end(), text.begin(), text.end());
  return *this;
}

field_writer& field_writer::item(std::string_view name, const value& item) {
  key(name);
  put_head(out_, byte_string, item.cbor().size());
  out_.insert(out_.end(), item.cbor().begin(), item.cbor().end());
  return *this;
}

field_writer& field_writer::maps(std::string_view name, std::span<const field_writer> entries) {
  key(name);
  put_head(out_, array, entries.size());
  for (const auto& entry : entries)
    out_.insert(out_.end(), entry.out_.begin(), entry.out_.end());
  return *this;
}

result<field_reader> field_reader::parse(byte_view payload, std::string_view message) {
  const auto refuse_all = [&](std::string_view why) {
    return fail(errc::protocol, std::string{message} + ": " + std::string{why});
  };
  field_reader made;
  made.message_ = message;
  cursor walk(payload);
  head start;
  if (!walk.take_head(start) || start.kind != map) return refuse_all("the payload is not a CBOR map");
  if (start.number > fields_read_max) return refuse_all("more than 64 fields");
  for (std::uint64_t i = 0; i < start.number; ++i) {
    head key_head;
    byte_view key;
    if (!walk.take_head(key_head) || key_head.kind != text_string || !walk.take_bytes(key_head.number, key)) {
      return refuse_all("a field without a text key");
    }
    const std::size_t from = walk.at();
    if (!walk.skip(value_depth_max)) return refuse_all("field '" + std::string{as_text(key)} + "' is truncated");
    const field found{as_text(key), payload.subspan(from, walk.at() - from)};
    if (made.has(found.key)) return refuse_all("field '" + std::string{found.key} + "' appears twice");
    made.fields_.push_back(found);
  }
  if (!walk.at_end()) return refuse_all("bytes after the map");
  return made;
}

bool field_reader::has(std::string_view key) const noexcept {
  return std::any_of(fields_.begin(), fields_.end(), [&](const field& each) { return each.key == key; });
}

const field_reader::field* field_reader::find(std::string_view key) {
  for (const auto& each : fields_) {
    if (each.key == key) return &each;
  }
  refuse(key, "is missing");
  return nullptr;
}

void field_reader::refuse(std::string_view key, std::string_view why) {
  if (refusal_) return;
  refusal_ = error{errc::protocol, std::string{message_} + ": field '" + std::string{key} + "' " + std::string{why}};
}

field_reader& field_reader::number(std::string_view key, std::uint64_t& out) {
  const field* found = find(key);
  head start;
  if (found == nullptr) return *this;
  cursor walk(found->encoded);
  if (!walk.take_head(start) || start.kind != unsigned_number) {
    refuse(key, "is not an unsigned number");
  } else {
    out = start.number;
  }
  return *this;
}

field_reader& field_reader::flag(std::string_view key, bool& out) {
  const field* found = find(key);
  if (found == nullptr) return *this;
  const std::uint8_t byte = found->encoded.front();
  if (found->encoded.size() != 1 || (byte != cbor_false && byte != cbor_true)) {
    refuse(key, "is not true or false");
  } else {
    out = byte == cbor_true;
  }
  return *this;
}

field_reader& field_reader::text(std::string_view key, std::string& out, std::size_t bytes_max) {
  const field* found = find(key);
  byte_view content;
  if (found == nullptr) return *this;
  if (!string_of(found->encoded, text_string, content)) {
    refuse(key, "is not a text");
  } else if (content.size() > bytes_max) {
    refuse(key, "has " + std::to_string(content.size()) + " bytes; at most " + std::to_string(bytes_max));
  } else {
    out = std::string{as_text(content)};
  }
  return *this;
}

field_reader& field_reader::item(std::string_view key, value& out) {
  const field* found = find(key);
  byte_view content;
  if (found == nullptr) return *this;
  if (!string_of(found->encoded, byte_string, content)) {
    refuse(key, "is not a byte string");
    return *this;
  }
  auto parsed = value::from_cbor(content);
  if (!parsed) {
    refuse(key, "holds no value: " + parsed.error().context);
  } else {
    out = std::move(*parsed);
  }
  return *this;
}

field_reader& field_reader::maps(std::string_view key, std::vector<field_reader>& out, std::size_t entries_max) {
  const field* found = find(key);
  if (found == nullptr) return *this;
  cursor walk(found->encoded);
  head start;
  if (!walk.take_head(start) || start.kind != array) {
    refuse(key, "is not an array");
    return *this;
  }
  if (start.number > entries_max) {
    refuse(key, "has too many entries");
    return *this;
  }
  for (std::uint64_t i = 0; i < start.number; ++i) {
    const std::size_t from = walk.at();
    ORRERY_ASSERT(walk.skip(value_depth_max));  // parse walked it already
    auto entry = parse(found->encoded.subspan(from, walk.at() - from), message_);
    if (!entry) {
      refuse(key, "holds an entry that is no map");
      return *this;
    }
    out.push_back(std::move(*entry));
  }
  return *this;
}

}  // namespace orrery::wire
