#include "mesh/process/builtin/arguments.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace orrery::process {
namespace {

using cbor::major;

std::string article(std::string_view noun) {
  const bool vowel = !noun.empty() && std::string_view{"aeiou"}.find(noun.front()) != std::string_view::npos;
  return (vowel ? "an " : "a ") + std::string{noun};
}

/// Beyond it, not every whole number is a double.
constexpr double exact_max = 9007199254740992.0;

bool is_whole(double number) { return std::nearbyint(number) == number && std::fabs(number) <= exact_max; }

std::string number_text(double number) {
  if (is_whole(number)) return std::to_string(static_cast<std::int64_t>(number));
  std::array<char, 32> text{};
  const auto [end, ec] = std::to_chars(text.data(), text.data() + text.size(), number);
  return ec == std::errc{} ? std::string{text.data(), end} : std::string{"a number"};
}

std::optional<double> number_of(const cbor::item& given) {
  if (given.is_float()) return given.floating();
  if (const auto whole = given.integer()) return static_cast<double>(*whole);
  return {};
}

double seconds_of(duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

std::string shown(std::string_view text) {
  constexpr std::size_t most = 80;
  return std::string{text.substr(0, most)} + (text.size() > most ? "..." : "");
}

std::string seconds_text(duration span) { return number_text(seconds_of(span)); }

// ---- arguments ----

arguments::arguments(std::string_view method, std::string_view form, const value& given, std::string_view short_form)
    : method_(method), form_(form) {
  cbor::reader in(given.cbor());
  const auto head = in.next();
  if (head.is_null()) return;
  if (head.kind != major::map) {
    if (short_form.empty()) {
      wrong(cbor::describe(head));
      return;
    }
    cbor::reader all(given.cbor());
    short_ = true;
    auto& only = fields_[count_++];
    only.name = short_form;
    only.held = all.whole(&only.depth);
    return;
  }
  if (head.number > fields_max) {
    wrong("an object with more than " + std::to_string(fields_max) + " fields");
    return;
  }
  for (std::uint64_t i = 0; i < head.number; ++i) {
    auto& field = fields_[count_++];
    field.name = in.take(in.next().number);
    field.held = in.whole(&field.depth);
  }
}

arguments::field_view* arguments::find(std::string_view name) {
  for (std::size_t i = 0; i < count_; ++i) {
    if (fields_[i].name != name) continue;
    fields_[i].known = true;
    return &fields_[i];
  }
  return nullptr;
}

bool arguments::has(std::string_view field) const {
  return std::any_of(fields_.begin(), fields_.begin() + static_cast<std::ptrdiff_t>(count_),
                     [&](const field_view& each) { return each.name == field; });
}

void arguments::wrong(std::string_view instead) {
  if (fault_) return;
  fault_ = error{errc::invalid_argument,
                 std::string{method_} + " takes " + std::string{form_} + ", not " + std::string{instead}};
}

void arguments::missing(std::string_view field) { wrong("an object without " + article(field)); }

void arguments::wrong_type(std::string_view field, const cbor::item& given) {
  wrong((short_ ? "" : article(field) + " that is ") + std::string{cbor::describe(given)});
}

void arguments::out_of_range(std::string_view field, const std::string& given, const std::string& accepted) {
  refuse(field, "is " + given + ", and has to be " + accepted);
}

void arguments::refuse(std::string_view field, std::string_view what) {
  if (fault_) return;
  fault_ = error{errc::invalid_argument, std::string{method_} + " takes " + std::string{form_} + ": " +
                                             std::string{field} + " " + std::string{what}};
}

std::optional<error> arguments::fault() {
  for (std::size_t i = 0; i < count_ && !fault_; ++i) {
    if (!fields_[i].known) wrong("an object with the field '" + shown(fields_[i].name) + "'");
  }
  return fault_;
}

std::optional<std::string_view> arguments::text(std::string_view field, range<std::size_t> bytes_accepted) {
  const auto* found = find(field);
  if (found == nullptr) return {};
  cbor::reader in(found->held);
  const auto head = in.next();
  if (head.kind != major::text) {
    wrong_type(field, head);
    return {};
  }
  const auto text = in.take(head.number);
  if (text.size() < bytes_accepted.least || text.size() > bytes_accepted.most) {
    refuse(field, "has " + std::to_string(text.size()) + " bytes, and may have " +
                      std::to_string(bytes_accepted.least) + " to " + std::to_string(bytes_accepted.most));
    return {};
  }
  return text;
}

std::optional<std::int64_t> arguments::integer(std::string_view field, range<std::int64_t> accepted) {
  const auto* found = find(field);
  if (found == nullptr) return {};
  const auto given = cbor::reader(found->held).next();
  if (!given.is_integer()) {
    wrong_type(field, given);
    return {};
  }
  const auto number = given.integer();
  if (number && *number >= accepted.least && *number <= accepted.most) return number;
  out_of_range(field, number ? std::to_string(*number) : "beyond 64 bits",
               std::to_string(accepted.least) + " to " + std::to_string(accepted.most));
  return {};
}

std::optional<double> arguments::number(std::string_view field, range<double> accepted) {
  const auto* found = find(field);
  if (found == nullptr) return {};
  const auto given = cbor::reader(found->held).next();
  const auto number = number_of(given);
  if (!number && !given.is_integer()) {
    wrong_type(field, given);
    return {};
  }
  if (number && *number >= accepted.least && *number <= accepted.most) return number;
  out_of_range(field, number ? number_text(*number) : "beyond 64 bits",
               number_text(accepted.least) + " to " + number_text(accepted.most));
  return {};
}

std::optional<duration> arguments::seconds(std::string_view field, range<duration> accepted) {
  const auto found = number(field, {seconds_of(accepted.least), seconds_of(accepted.most)});
  if (!found) return {};
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>(*found));
}

std::optional<bool> arguments::flag(std::string_view field) {
  const auto* found = find(field);
  if (found == nullptr) return {};
  const auto given = cbor::reader(found->held).next();
  if (given.kind == major::simple && (given.info == 20 || given.info == 21)) return given.info == 21;
  wrong_type(field, given);
  return {};
}

std::optional<byte_view> arguments::item(std::string_view field, int levels) {
  const auto* found = find(field);
  if (found == nullptr) return {};
  if (found->depth + levels <= value_depth_max) return found->held;
  if (!fault_) {
    fault_ = error{errc::too_large, std::string{method_} + ": the " + std::string{field} + " nests deeper than " +
                                        std::to_string(value_depth_max - levels) + " levels"};
  }
  return {};
}

// ---- writers ----

void object_writer::add(std::string_view name) {
  ORRERY_ASSERT(out_.front() < 0xb7);
  ++out_.front();
  cbor::put_text(out_, name);
}

object_writer& object_writer::integer(std::string_view name, std::int64_t number) {
  add(name);
  cbor::put_integer(out_, number);
  return *this;
}

object_writer& object_writer::number(std::string_view name, double number) {
  add(name);
  if (is_whole(number)) {
    cbor::put_integer(out_, static_cast<std::int64_t>(number));
  } else {
    cbor::put_float(out_, number);
  }
  return *this;
}

object_writer& object_writer::seconds(std::string_view name, duration span) { return number(name, seconds_of(span)); }

object_writer& object_writer::text(std::string_view name, std::string_view text) {
  add(name);
  cbor::put_text(out_, text);
  return *this;
}

object_writer& object_writer::flag(std::string_view name, bool flag) {
  add(name);
  cbor::put_bool(out_, flag);
  return *this;
}

object_writer& object_writer::null(std::string_view name) {
  add(name);
  cbor::put_null(out_);
  return *this;
}

object_writer& object_writer::item(std::string_view name, byte_view encoded) {
  add(name);
  cbor::put(out_, encoded);
  return *this;
}

bool array_writer::add(byte_view encoded, std::size_t after) {
  constexpr std::size_t head_max = 9;
  if (items_.size() + encoded.size() + head_max + after > room_) return false;
  cbor::put(items_, encoded);
  ++count_;
  return true;
}

bytes array_writer::finish() const {
  bytes out;
  out.reserve(items_.size() + 9);
  cbor::put_head(out, major::array, count_);
  cbor::put(out, items_);
  return out;
}

// ---- snapshots ----

std::optional<cbor::item> state_reader::next(major kind) {
  if (broken_) return {};
  const auto head = in_.next();
  if (head.kind == kind) return head;
  broken_ = true;
  return {};
}

void state_reader::array(std::uint64_t expected) {
  if (array() != expected) broken_ = true;
}

std::uint64_t state_reader::array() {
  const auto head = next(major::array);
  return head ? head->number : 0;
}

std::uint64_t state_reader::map() {
  const auto head = next(major::map);
  return head ? head->number : 0;
}

std::optional<std::int64_t> state_reader::integer_or_null() {
  if (broken_) return {};
  const auto head = in_.next();
  if (head.is_null()) return {};
  const auto number = head.integer();
  if (!number) broken_ = true;
  return number;
}

std::int64_t state_reader::integer() {
  const auto number = integer_or_null();
  if (!number) broken_ = true;
  return number.value_or(0);
}

double state_reader::number() {
  if (broken_) return 0;
  const auto found = number_of(in_.next());
  if (!found) broken_ = true;
  return found.value_or(0);
}

std::optional<std::string> state_reader::text_or_null() {
  if (broken_) return {};
  const auto head = in_.next();
  if (head.is_null()) return {};
  if (head.kind == major::text) return std::string{in_.take(head.number)};
  broken_ = true;
  return {};
}

std::string state_reader::text() {
  auto found = text_or_null();
  if (!found) broken_ = true;
  return std::move(found).value_or(std::string{});
}

bytes state_reader::item() {
  if (broken_) return {};
  const auto held = in_.whole();
  return {held.begin(), held.end()};
}

result<void> state_reader::finish(std::string_view what) const {
  if (!broken_) return {};
  return orrery::fail(errc::invalid_argument, "this is no state of a " + std::string{what});
}

}  // namespace orrery::process
