#pragma once
// How built-in behaviours read what they are given and write what they answer.
#include "mesh/base/bytes.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"
#include "mesh/wire/cbor.hpp"
#include "mesh/wire/value.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::process {

/// Numbers between these, both included.
template <class T>
struct range {
  T least;
  T most;
};
inline constexpr range<std::size_t> name_bytes{1, 256};  ///< of an owner, a timer's name, a dedupId
inline constexpr range<duration> wait_accepted{duration::zero(), std::chrono::hours{1}};  ///< a waitSeconds
inline constexpr range<duration> up_to_a_year{duration::zero(), std::chrono::hours{24 * 366}};

/// Reads one argument, an object, field by field. The first thing that is wrong sticks; a getter then and for a missing
/// field returns nothing. When all fields have been asked for, `fault` says what was wrong, fields that nobody asked
/// for included: invalid_argument, and too_large for a value that nests too deep.
///
/// Texts and items that it returns are views into the value: valid as long as that lives where it is.
class arguments {
 public:
  static constexpr std::size_t fields_max = 16;

  /// `method`: whose argument, for people: "queue.ack". `form`: what it takes. `short_form`: the field that an argument
  /// which is no object stands for, if there is such a form. Null stands for {}.
  arguments(std::string_view method, std::string_view form, const value& given, std::string_view short_form = {});

  [[nodiscard]] bool has(std::string_view field) const;
  [[nodiscard]] std::optional<std::string_view> text(std::string_view field,
                                                     range<std::size_t> bytes_accepted = name_bytes);
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view field, range<std::int64_t> accepted);
  [[nodiscard]] std::optional<double> number(std::string_view field, range<double> accepted);
  /// A number of seconds, with a fraction or without.
  [[nodiscard]] std::optional<duration> seconds(std::string_view field, range<duration> accepted);
  [[nodiscard]] std::optional<bool> flag(std::string_view field);
  /// Any item, encoded. `levels`: how many are put around it, in a reply or a snapshot.
  [[nodiscard]] std::optional<byte_view> item(std::string_view field, int levels);
  /// As the getters, and a missing field is wrong.
  template <class T>
  [[nodiscard]] T need(std::string_view field, std::optional<T> found) {
    if (!found) missing(field);
    return std::move(found).value_or(T{});
  }

  /// Says itself what is wrong with a field: "FIELD WHAT", as in "time is no date".
  void refuse(std::string_view field, std::string_view what);
  [[nodiscard]] std::optional<error> fault();

 private:
  struct field_view {
    std::string_view name;
    byte_view held;
    int depth = 0;
    bool known = false;
  };
  [[nodiscard]] field_view* find(std::string_view field);
  void missing(std::string_view field);
  void wrong(std::string_view instead);
  void wrong_type(std::string_view field, const cbor::item& given);
  void out_of_range(std::string_view field, const std::string& given, const std::string& accepted);

  std::string_view method_;
  std::string_view form_;
  std::array<field_view, fields_max> fields_{};
  std::size_t count_ = 0;
  bool short_ = false;  ///< was given in short form
  std::optional<error> fault_;
};

/// Writes an object of at most 23 fields, in the order in which they are added.
class object_writer {
 public:
  object_writer& integer(std::string_view name, std::int64_t number);
  object_writer& number(std::string_view name, double number);
  /// Whole seconds as an integer.
  object_writer& seconds(std::string_view name, duration span);
  object_writer& text(std::string_view name, std::string_view text);
  object_writer& flag(std::string_view name, bool flag);
  object_writer& null(std::string_view name);
  object_writer& item(std::string_view name, byte_view encoded);

  [[nodiscard]] byte_view view() const noexcept { return out_; }
  [[nodiscard]] value finish() const { return value::adopt(out_); }

 private:
  void add(std::string_view name);

  bytes out_{0xa0};
};

/// Writes an array whose length shows in the end, and that may become no larger than a value.
class array_writer {
 public:
  /// `room`: bytes that the whole may have.
  explicit array_writer(std::size_t room = value_bytes_max) : room_(room) {}
  /// False where it has no room for it, and for so many bytes that come after the array.
  [[nodiscard]] bool add(byte_view encoded, std::size_t after = 0);
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] bytes finish() const;

 private:
  std::size_t room_;
  std::size_t count_ = 0;
  bytes items_;
};

/// Reads a snapshot: what is not of the expected shape makes `broken`, and everything after it a default.
class state_reader {
 public:
  explicit state_reader(const value& state) : in_(state.cbor()) {}

  /// An array of exactly so many items, or how many it has.
  void array(std::uint64_t expected);
  [[nodiscard]] std::uint64_t array();
  [[nodiscard]] std::uint64_t map();
  [[nodiscard]] std::int64_t integer();
  [[nodiscard]] std::optional<std::int64_t> integer_or_null();
  [[nodiscard]] double number();
  [[nodiscard]] std::string text();
  [[nodiscard]] std::optional<std::string> text_or_null();
  [[nodiscard]] bytes item();
  void fail() { broken_ = true; }
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// invalid_argument: "this is no state of a WHAT"
  [[nodiscard]] result<void> finish(std::string_view what) const;

 private:
  [[nodiscard]] std::optional<cbor::item> next(cbor::major kind);

  cbor::reader in_;
  bool broken_ = false;
};

/// For people: the start of a text that somebody sent.
[[nodiscard]] std::string shown(std::string_view text);
/// "2.5", "30"
[[nodiscard]] std::string seconds_text(duration span);

}  // namespace orrery::process
