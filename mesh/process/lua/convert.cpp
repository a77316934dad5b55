#include "mesh/process/lua/convert.hpp"

#include "mesh/base/ids.hpp"
#include "mesh/process/lua/host.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>

namespace orrery::process {
namespace {

using cbor::major;

bool push_item(lua_State* state, cbor::reader& in, bool alone);

bool push_array(lua_State* state, cbor::reader& in, std::uint64_t count) {
  lua_createtable(state, lua_meter::room_for(count), 0);
  mark_array(state);
  for (std::uint64_t i = 1; i <= count; ++i) {
    if (!push_item(state, in, false)) return false;
    lua_rawseti(state, -2, static_cast<lua_Integer>(i));
  }
  return true;
}

bool push_object(lua_State* state, cbor::reader& in, std::uint64_t count) {
  lua_createtable(state, 0, static_cast<int>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!push_item(state, in, false) || !push_item(state, in, false)) return false;
    lua_rawset(state, -3);
  }
  return true;
}

bool push_item(lua_State* state, cbor::reader& in, bool alone) {
  luaL_checkstack(state, 4, "nested too deep");
  const cbor::item read = in.next();
  switch (read.kind) {
    case major::unsigned_integer:
    case major::negative_integer: {
      const auto number = read.integer();
      if (number) lua_pushinteger(state, *number);
      return number.has_value();
    }
    case major::byte_string:
    case major::text: {
      const auto content = in.take(read.number);
      lua_pushlstring(state, content.data(), content.size());
      return true;
    }
    case major::array:
      return push_array(state, in, read.number);
    case major::map:
      return push_object(state, in, read.number);
    case major::tag:
    case major::simple:
      break;
  }
  if (read.is_float()) {
    lua_pushnumber(state, read.floating());
  } else if (read.info == 20 || read.info == 21) {
    lua_pushboolean(state, read.info == 21 ? 1 : 0);
  } else if (alone) {
    lua_pushnil(state);
  } else {
    lua_pushlightuserdata(state, nullptr);
  }
  return true;
}

}  // namespace

bool push_cbor(lua_State* state, byte_view encoded) {
  cbor::reader in(encoded);
  return push_item(state, in, true);
}

bool lua_encoder::encode(lua_State* state, int index, std::size_t size_max, bytes& out) {
  const auto begin = out.size();
  out_ = &out;
  size_max_ = size_max;
  largest_string_ = 0;
  too_large_ = false;
  path_.clear();
  fields_.clear();
  index = lua_absindex(state, index);
  if (item(state, index, 0)) return true;
  out.resize(begin);
  explain_left_ = explain_steps_max;
  const bool explained = lua_checkstack(state, 4 * value_depth_max) != 0 && explain(state, index, 0);
  if (explained && !path_.empty()) why_ += " at " + path_.substr(0, 200);
  if (!explained) why_ = "more than " + std::to_string(size_max) + " bytes";
  if (explain_left_ == 0) {
    why_ +=
        ", or more than " + std::to_string(explain_steps_max) + " values that are not all data (does it hold itself?)";
  }
  too_large_ = !explained;
  return false;
}

bool lua_encoder::refuse(std::string_view what) {
  why_ = what;
  return false;
}

bool lua_encoder::item(lua_State* state, int index, int depth) {
  switch (lua_type(state, index)) {
    case LUA_TNIL:
      cbor::put_null(*out_);
      break;
    case LUA_TBOOLEAN:
      cbor::put_bool(*out_, lua_toboolean(state, index) != 0);
      break;
    case LUA_TNUMBER:
      if (lua_isinteger(state, index) != 0) {
        cbor::put_integer(*out_, lua_tointeger(state, index));
      } else {
        cbor::put_float(*out_, lua_tonumber(state, index));
      }
      break;
    case LUA_TSTRING: {
      std::size_t size = 0;
      const char* data = lua_tolstring(state, index, &size);
      if (!text({data, size})) return false;
      break;
    }
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(state, index) != nullptr) return refuse("a value that is no data");
      cbor::put_null(*out_);
      break;
    case LUA_TTABLE:
      if (!table(state, index, depth)) return false;
      break;
    default:
      return refuse(std::string{"a "} + lua_typename(state, lua_type(state, index)) + ", which is no data,");
  }
  too_large_ |= out_->size() > size_max_;
  return !too_large_;
}

bool lua_encoder::text(std::string_view content) {
  largest_string_ = std::max(largest_string_, content.size());
  if (content.size() > size_max_) {
    too_large_ = true;
    return false;
  }
  cbor::put_head(*out_, is_utf8(content) ? major::text : major::byte_string, content.size());
  out_->insert(out_->end(), content.begin(), content.end());
  return true;
}

bool lua_encoder::table(lua_State* state, int index, int depth) {
  bool marked = false;
  if (!is_plain(state, index, depth, marked)) return false;
  std::size_t count = 0;
  switch (shape_of(state, index, marked, count)) {
    case shape::array:
      return array(state, index, depth, count);
    case shape::object:
      return object(state, index, depth, count);
    case shape::neither:
      break;
  }
  return false;
}

bool lua_encoder::is_plain(lua_State* state, int index, int depth, bool& marked) {
  if (depth >= value_depth_max || lua_checkstack(state, 5) == 0) {
    return refuse("a table that nests deeper than " + std::to_string(value_depth_max) + " levels or holds itself");
  }
  if (lua_getmetatable(state, index) == 0) return true;
  marked = lua_topointer(state, -1) == host_of(state).array_metatable;
  lua_pop(state, 1);
  return marked || refuse("a table with a metatable, which is no plain data,");
}

lua_encoder::shape lua_encoder::shape_of(lua_State* state, int index, bool marked, std::size_t& count) {
  const auto length = static_cast<std::size_t>(lua_rawlen(state, index));
  std::size_t strings = 0;
  std::size_t in_sequence = 0;
  count = 0;
  lua_pushnil(state);
  while (lua_next(state, index) != 0) {
    lua_pop(state, 1);
    ++count;
    if (lua_type(state, -1) == LUA_TSTRING) {
      ++strings;
    } else if (lua_isinteger(state, -1) != 0) {
      const auto at = lua_tointeger(state, -1);
      if (at >= 1 && static_cast<std::size_t>(at) <= length) ++in_sequence;
    }
  }
  if (in_sequence == count && count == length && (count > 0 || marked)) return shape::array;
  if (strings == count && !marked) return shape::object;
  refuse(strings == 0 ? "a table with gaps in its indices or keys that are neither indices nor strings (use strings as "
                        "keys, or orrery.null in the gaps)"
                      : "a table with both indices and named fields");
  return shape::neither;
}

bool lua_encoder::array(lua_State* state, int index, int depth, std::size_t count) {
  cbor::put_head(*out_, major::array, count);
  for (std::size_t i = 1; i <= count; ++i) {
    lua_rawgeti(state, index, static_cast<lua_Integer>(i));
    const bool fine = item(state, lua_gettop(state), depth + 1);
    lua_pop(state, 1);
    if (!fine) return false;
  }
  return true;
}

bool lua_encoder::object(lua_State* state, int index, int depth, std::size_t count) {
  cbor::put_head(*out_, major::map, count);
  const auto begin = out_->size();
  const auto first_field = fields_.size();
  lua_pushnil(state);
  while (lua_next(state, index) != 0) {
    field written{};
    std::size_t size = 0;
    const char* data = lua_tolstring(state, -2, &size);
    const std::string_view key{data, size};
    written.begin = out_->size();
    if (!is_utf8(key)) {
      lua_pop(state, 2);
      return refuse("a table with a key that is not UTF-8");
    }
    bool fine = text(key);
    written.key_at = out_->size() - key.size();
    written.key_size = key.size();
    fine = fine && item(state, lua_gettop(state), depth + 1);
    written.end = out_->size();
    fields_.push_back(written);
    if (!fine) {
      lua_pop(state, 2);
      return false;
    }
    lua_pop(state, 1);
  }
  sort_fields(first_field, begin);
  return true;
}

void lua_encoder::sort_fields(std::size_t first_field, std::size_t begin) {
  const auto first = fields_.begin() + static_cast<std::ptrdiff_t>(first_field);
  const auto key = [&](const field& of) { return as_text(byte_view{*out_}.subspan(of.key_at, of.key_size)); };
  const auto less = [&](const field& a, const field& b) { return key(a) < key(b); };
  if (!std::is_sorted(first, fields_.end(), less)) {
    std::sort(first, fields_.end(), less);
    sorted_.clear();
    for (auto at = first; at != fields_.end(); ++at) {
      sorted_.insert(sorted_.end(), out_->begin() + static_cast<std::ptrdiff_t>(at->begin),
                     out_->begin() + static_cast<std::ptrdiff_t>(at->end));
    }
    std::copy(sorted_.begin(), sorted_.end(), out_->begin() + static_cast<std::ptrdiff_t>(begin));
  }
  fields_.resize(first_field);
}

}  // namespace orrery::process
