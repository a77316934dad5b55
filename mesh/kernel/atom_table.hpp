#pragma once
#include "mesh/kernel/handle.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace orrery::kernel {

/// Words as small numbers, so that messages carry and compare no texts. Atoms are never forgotten: intern only what is
/// bounded (methods of a class, names that code registers), never what a client sends. Atom 0 is "".
class atom_table {
 public:
  static constexpr std::size_t atoms_max = 1U << 20U;  ///< OTP's default too

  atom_table() { static_cast<void>(intern({})); }

  /// Nothing where the table is full.
  std::optional<atom> intern(std::string_view text) {
    if (const auto known = find(text)) return known;
    if (texts_.size() == atoms_max) return {};
    const atom added{static_cast<std::uint32_t>(texts_.size())};
    by_text_.emplace(texts_.emplace_back(text), added);
    return added;
  }
  [[nodiscard]] std::optional<atom> find(std::string_view text) const {
    const auto found = by_text_.find(text);
    return found == by_text_.end() ? std::nullopt : std::optional{found->second};
  }
  [[nodiscard]] std::string_view text(atom of) const { return texts_.at(of.value); }
  [[nodiscard]] std::size_t size() const noexcept { return texts_.size(); }

 private:
  std::deque<std::string> texts_;                         // never moves what the map's views look at
  std::unordered_map<std::string_view, atom> by_text_{};  // never iterated
};

}  // namespace orrery::kernel
