#include "mesh/sdk/fields.hpp"

#include "mesh/base/ids.hpp"
#include "mesh/wire/cbor.hpp"
#include "mesh/wire/excerpt.hpp"

#include <algorithm>

namespace orrery::sdk {
namespace {

using cbor::major;

/// Is there one whole item of definite length at the start of these bytes? Everything after such a walk may use
/// cbor::reader, which trusts its input.
class walker {
 public:
  explicit walker(byte_view data) : data_(data) {}

  [[nodiscard]] bool item(int depth_left) {
    if (depth_left == 0 || at_ == data_.size()) return false;
    const unsigned head = data_[at_++];
    std::uint64_t number = head & 31U;
    if (number > 27) return false;
    if (number >= 24) {
      const std::size_t width = std::size_t{1} << (number - 24);
      if (data_.size() - at_ < width) return false;
      number = 0;
      for (std::size_t i = 0; i < width; ++i)
        number = number << 8U | data_[at_++];
    }
    switch (static_cast<major>(head >> 5U)) {
      case major::unsigned_integer:
      case major::negative_integer:
      case major::simple:
        return true;
      case major::byte_string:
      case major::text:
        if (number > data_.size() - at_) return false;
        at_ += static_cast<std::size_t>(number);
        return true;
      case major::tag:
        return item(depth_left - 1);
      case major::array:
        return items(number, depth_left);
      case major::map:
        return number <= data_.size() && items(number * 2, depth_left);
    }
    return false;
  }
  [[nodiscard]] bool at_end() const noexcept { return at_ == data_.size(); }

 private:
  bool items(std::uint64_t count, int depth_left) {
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!item(depth_left - 1)) return false;
    }
    return true;
  }

  byte_view data_;
  std::size_t at_ = 0;
};

bool is_null(byte_view encoded) { return cbor::reader(encoded).next().is_null(); }

}  // namespace

result<fields> fields::parse(byte_view encoded) {
  walker check(encoded);
  if (!check.item(frame_depth_max) || !check.at_end()) {
    return fail(errc::protocol, "not one whole CBOR item of definite length and at most " +
                                    std::to_string(frame_depth_max) + " levels");
  }
  cbor::reader in(encoded);
  const auto head = in.next();
  if (head.kind != major::map) return fail(errc::protocol, "not a map but " + std::string{cbor::describe(head)});
  if (head.number > fields_max)
    return fail(errc::protocol, "a map of more than " + std::to_string(fields_max) + " fields");
  fields out;
  out.fields_.reserve(static_cast<std::size_t>(head.number));
  for (std::uint64_t i = 0; i < head.number; ++i) {
    const auto key = in.next();
    if (key.kind != major::text) return fail(errc::protocol, "a map with a key that is no text");
    const auto name = in.take(key.number);
    out.fields_.push_back({name, in.whole()});
  }
  return out;
}

const fields::field* fields::find(std::string_view key) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const field& each) { return each.key == key; });
  return found == fields_.end() || is_null(found->encoded) ? nullptr : &*found;
}

bool fields::holds_null(std::string_view key) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const field& each) { return each.key == key && is_null(each.encoded); });
}

void fields::refuse(std::string_view key, std::string_view why, errc code) {
  if (!refusal_) refusal_ = error{code, "field '" + std::string{key} + "' " + std::string{why}};
}

void fields::refuse_inside(std::string_view where, const error& why) {
  if (!refusal_) refusal_ = error{why.code, std::string{where} + ": " + why.context};
}

std::optional<std::string_view> fields::only_key() const {
  return fields_.size() == 1 ? std::optional{fields_.front().key} : std::nullopt;
}

std::optional<std::string> fields::text(std::string_view key, std::size_t bytes_max) {
  const auto* found = find(key);
  if (found == nullptr) return {};
  cbor::reader in(found->encoded);
  const auto head = in.next();
  if (head.kind != major::text) {
    refuse(key, "must be text, not " + std::string{cbor::describe(head)});
    return {};
  }
  const auto content = in.take(head.number);
  if (content.size() > bytes_max) {
    refuse(key, "has " + std::to_string(content.size()) + " bytes; at most " + std::to_string(bytes_max),
           errc::too_large);
    return {};
  }
  if (!is_utf8(content)) {
    refuse(key, "is not UTF-8");
    return {};
  }
  return std::string{content};
}

std::optional<std::string> fields::prose(std::string_view key, std::size_t bytes_max) {
  const auto whole = text(key, SIZE_MAX);
  return whole ? std::optional{excerpt(*whole, bytes_max)} : std::nullopt;
}

std::optional<std::int64_t> fields::integer(std::string_view key, std::int64_t least, std::int64_t most) {
  const auto* found = find(key);
  if (found == nullptr) return {};
  const auto head = cbor::reader(found->encoded).next();
  const auto number = head.integer();
  if (!number || *number < least || *number > most) {
    refuse(key, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most) + ", not " +
                    (number ? std::to_string(*number) : std::string{cbor::describe(head)}));
    return {};
  }
  return number;
}

std::optional<bool> fields::flag(std::string_view key) {
  const auto* found = find(key);
  if (found == nullptr) return {};
  const auto head = cbor::reader(found->encoded).next();
  if (head.kind != major::simple || (head.info != 20 && head.info != 21)) {
    refuse(key, "must be true or false, not " + std::string{cbor::describe(head)});
    return {};
  }
  return head.info == 21;
}

std::optional<value> fields::item(std::string_view key) {
  const auto* found = find(key);
  if (found == nullptr) return {};
  auto made = value::from_cbor(found->encoded);
  if (made) return *std::move(made);
  refuse(key, "cannot be taken: " + made.error().context,
         made.error().code == errc::too_large ? errc::too_large : errc::invalid_argument);
  return {};
}

std::optional<std::vector<std::string>> fields::texts(std::string_view key, std::size_t count_max,
                                                      std::size_t bytes_max) {
  const auto* found = find(key);
  if (found == nullptr) return {};
  cbor::reader in(found->encoded);
  const auto head = in.next();
  if (head.kind != major::array || head.number > count_max) {
    refuse(key, "must be an array of at most " + std::to_string(count_max) + " texts");
    return {};
  }
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i < head.number; ++i) {
    cbor::reader one(in.whole());
    const auto text = one.next();
    if (text.kind != major::text || text.number == 0 || text.number > bytes_max) {
      refuse(key, "must hold texts of 1 to " + std::to_string(bytes_max) + " bytes");
      return {};
    }
    out.emplace_back(one.take(text.number));
    if (!is_utf8(out.back())) refuse(key, "holds what is not UTF-8");
  }
  return out;
}

std::optional<fields> fields::map(std::string_view key) {
  const auto* found = find(key);
  if (found == nullptr) return {};
  auto inner = parse(found->encoded);
  if (inner) return *std::move(inner);
  refuse(key, "must be a map: " + inner.error().context);
  return {};
}

std::optional<std::vector<fields>> fields::maps(std::string_view key, std::size_t count_max) {
  const auto* found = find(key);
  if (found == nullptr) return {};
  cbor::reader in(found->encoded);
  const auto head = in.next();
  if (head.kind != major::array) {
    refuse(key, "must be an array of maps, not " + std::string{cbor::describe(head)});
    return {};
  }
  if (head.number > count_max) {
    refuse(key, "has " + std::to_string(head.number) + " entries; at most " + std::to_string(count_max),
           errc::too_large);
    return {};
  }
  std::vector<fields> out;
  for (std::uint64_t i = 0; i < head.number; ++i) {
    auto inner = parse(in.whole());
    if (!inner) {
      refuse(key, "holds an entry that is no map: " + inner.error().context);
      return {};
    }
    out.push_back(*std::move(inner));
  }
  return out;
}

std::string fields::needed_text(std::string_view key, std::size_t bytes_max) {
  if (!has(key)) refuse(key, "is missing");
  return text(key, bytes_max).value_or("");
}

std::int64_t fields::needed_integer(std::string_view key, std::int64_t least, std::int64_t most) {
  if (!has(key)) refuse(key, "is missing");
  return integer(key, least, most).value_or(least);
}

}  // namespace orrery::sdk
