#pragma once
// For the parts of the module `orrery`: what arguments are checked into, and how a part talks to the kernel. What takes
// a lua_State may raise, and is called from frames without destructors; what takes a host does not.
#include "mesh/process/lua/engine.hpp"
#include "mesh/process/lua/host.hpp"

#include <lua.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace orrery::process {

inline constexpr std::uint64_t effect_cost = 100;  ///< in instructions, of what reaches others: bounds it in a callback
inline constexpr double seconds_max = 366.0 * 24 * 3600;
inline constexpr std::size_t word_bytes_max = 256;  ///< of methods and words

/// An argument that is a text. Lives as long as it is on the stack.
struct text_argument {
  const char* data = nullptr;
  std::size_t size = 0;
  [[nodiscard]] std::string_view view() const noexcept { return {data, size}; }
};
[[nodiscard]] text_argument check_text(lua_State* state, int index);
/// A method or a word of a message.
[[nodiscard]] text_argument check_word(lua_State* state, int index);
/// Seconds, as a duration of at least a millisecond.
[[nodiscard]] duration check_seconds(lua_State* state, int index);
/// The number of a timer, a monitor, an asked call.
[[nodiscard]] kernel::reference check_reference(lua_State* state, int index);
void push_reference(lua_State* state, kernel::reference ref);
/// The value at `index` into host.scratch, charged for; raises what is in the way of it.
void encode_argument(lua_State* state, int index, const char* function);
/// Raises unless it is the name of an errc.
void check_code(lua_State* state, text_argument code, const char* function);
/// Raises the job's refusal: as an error object, or as a text where it is of wrong arguments. Never returns.
int raise_refused(lua_State* state, const char* function);
/// Cuts the callback off where what it did has ended its process.
void unless_over(lua_State* state);
/// Raises unless the script has info.WORD.
void require_info(lua_State* state, std::string_view word, const char* function);

/// Raises where the callback cannot wait.
void check_can_wait(lua_State* state, const char* function);
/// Lets the callback wait for the reply to a call of its process; goes on with what it brings, or raises its error. To
/// be returned from a C function.
int wait_for_reply(lua_State* state, kernel::reference asked);

/// Takes what encode_argument wrote.
[[nodiscard]] value take_encoded(lua_host& host);
/// Nothing: the job's refusal says why.
[[nodiscard]] std::optional<kernel::handle> find_target(lua_host& host, std::string_view target);
[[nodiscard]] std::optional<kernel::atom> find_word(lua_host& host, std::string_view word);
/// Of the memory for messages of this node. False: the refusal says so.
[[nodiscard]] bool has_room(lua_host& host);
/// The refusal. Returns false.
bool refuse(lua_host& host, errc code, std::string_view why);

}  // namespace orrery::process
