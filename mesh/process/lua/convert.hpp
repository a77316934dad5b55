#pragma once
// Values <-> Lua. Integers stay integers and floats floats. null is `orrery.null` inside tables, nil alone. Arrays
// carry a mark, so that an empty one is written as [] again; a table without mark is an array if it is a sequence, an
// object if its keys are strings; empty it is {}. Lua strings that are not UTF-8 are CBOR byte strings, and back.
#include "mesh/base/bytes.hpp"
#include "mesh/wire/value.hpp"

#include <lua.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {

/// Pushes a value. Raises Lua errors (memory); returns false, with nothing pushed or half-made tables left for the
/// caller to drop, where an integer has more than 64 bits.
[[nodiscard]] bool push_cbor(lua_State* state, byte_view encoded);

/// Writes Lua values as CBOR, object keys in order of their bytes: the same table gives the same bytes on every node.
/// Raises no Lua error.
class lua_encoder {
 public:
  /// Appends the value at `index` to `out`, which may reach `size_max`. False: `why()` tells people what was in the
  /// way (of several things the first in the order of keys), and `out` is as it was.
  [[nodiscard]] bool encode(lua_State* state, int index, std::size_t size_max, bytes& out);
  [[nodiscard]] const std::string& why() const noexcept { return why_; }
  /// Was size_max the reason?
  [[nodiscard]] bool too_large() const noexcept { return too_large_; }
  /// The longest string of the last value.
  [[nodiscard]] std::size_t largest_string() const noexcept { return largest_string_; }

 private:
  struct field {
    std::size_t key_at, key_size, begin, end;
  };
  enum class shape { array, object, neither };

  static constexpr std::size_t explain_steps_max = 100'000;  ///< values looked at for a reason

  bool item(lua_State* state, int index, int depth);
  bool text(std::string_view content);
  bool table(lua_State* state, int index, int depth);
  bool array(lua_State* state, int index, int depth, std::size_t count);
  bool object(lua_State* state, int index, int depth, std::size_t count);
  bool is_plain(lua_State* state, int index, int depth, bool& marked);
  shape shape_of(lua_State* state, int index, bool marked, std::size_t& count);
  /// True: `why_` and `path_` tell of the first thing, in the order of keys, that is no data. False: there is none, or,
  /// with nothing left of explain_left_, too much to look at.
  bool explain(lua_State* state, int index, int depth);
  bool explain_array(lua_State* state, int index, int depth, std::size_t count);
  bool explain_object(lua_State* state, int index, int depth);
  void sort_fields(std::size_t first_field, std::size_t begin);
  bool refuse(std::string_view what);

  bytes* out_ = nullptr;
  std::size_t size_max_ = 0;
  std::size_t largest_string_ = 0;
  bool too_large_ = false;
  std::size_t explain_left_ = 0;
  std::string why_;
  std::string path_;
  std::vector<field> fields_;  ///< of the objects that are being written, innermost last
  bytes sorted_;
};

}  // namespace orrery::process
