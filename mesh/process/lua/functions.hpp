#pragma once
// The functions of one version of a script, and what a callback may wish for its end.
#include "mesh/base/time.hpp"
#include "mesh/kernel/exit_reason.hpp"
#include "mesh/kernel/handle.hpp"
#include "mesh/process/directory.hpp"
#include "mesh/wire/value.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::process {

/// As references into the registry; `none` where the script has no such function.
struct lua_functions {
  static constexpr int none = -2;  ///< LUA_NOREF
  enum class kind : std::uint8_t { call, cast, info };
  using by_name = std::map<std::string, int, std::less<>>;

  std::uint64_t serial = 0;   ///< of those that this engine has loaded, from 1 on
  std::uint64_t version = 0;  ///< of the class
  std::uint64_t code = 0;     ///< the script, as a hash of its text; not 0
  std::size_t users = 0;      ///< processes of this version
  bool released = false;      ///< the script's functions are gone from the registry
  int init = none;
  int terminate = none;
  int code_change = none;
  std::array<by_name, 3> named{};  ///< by kind

  [[nodiscard]] const by_name& of(kind which) const { return named[static_cast<std::size_t>(which)]; }
  [[nodiscard]] by_name& of(kind which) { return named[static_cast<std::size_t>(which)]; }
  [[nodiscard]] int find(kind which, std::string_view name) const {
    const auto found = of(which).find(name);
    return found == of(which).end() ? none : found->second;
  }
  /// As find. The words of messages are few, so that what was found last under a word is mostly it.
  [[nodiscard]] int find(kind which, kernel::atom word, std::string_view name) {
    quick& last = quick_[(word.value * named.size() + static_cast<std::size_t>(which)) % quick_.size()];
    if (last.word != word || last.which != which) last = {word, which, find(which, name)};
    return last.function;
  }

 private:
  struct quick {
    kernel::atom word{UINT32_MAX};
    kind which = kind::call;
    int function = none;
  };
  std::array<quick, 64> quick_{};
};

/// Words of `info` that come from the system, and that no process can send.
inline constexpr std::string_view info_of_down = "down";
inline constexpr std::string_view info_of_exit = "exit";
inline constexpr std::string_view info_of_reply = "reply";
inline constexpr std::string_view info_of_timeout = "timeout";
inline constexpr std::string_view info_of_continue = "continue";
inline constexpr std::string_view info_of_move = "moved";
// These come as plain messages.
inline constexpr std::string_view info_of_group_joined = group_joined_word;
inline constexpr std::string_view info_of_group_left = group_left_word;

/// Never a plain message.
[[nodiscard]] constexpr bool is_of_the_system(std::string_view word) noexcept {
  for (const auto each : {info_of_down, info_of_exit, info_of_reply, info_of_timeout, info_of_continue, info_of_move}) {
    if (word == each) return true;
  }
  return false;
}

/// No process can send it.
[[nodiscard]] constexpr bool is_reserved(std::string_view word) noexcept {
  return is_of_the_system(word) || word == info_of_group_joined || word == info_of_group_left;
}

/// What comes after a callback that ended well.
struct lua_wishes {
  std::optional<kernel::exit_reason> stop{};
  std::optional<value> go_on{};       ///< orrery.continue
  std::optional<duration> timeout{};  ///< orrery.timeout
  bool hibernate = false;
};

}  // namespace orrery::process
