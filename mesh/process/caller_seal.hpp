#pragma once
// Whom to answer, as data that a process may keep in its state or send on.
#include "mesh/base/siphash.hpp"
#include "mesh/kernel/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::process {

/// Makes texts of callers, and callers of such texts. A text carries a seal over its content with a key that only this
/// life of the runtime has: one that was made up, changed, or comes from another node or life is none.
class caller_seal {
 public:
  caller_seal(std::uint64_t seed, std::string_view node) noexcept
      : key_{siphash({seed, 1}, node), siphash({seed, 2}, node)} {}

  [[nodiscard]] std::string text_of(const kernel::caller& whom) const;
  [[nodiscard]] std::optional<kernel::caller> open(std::string_view text) const;

 private:
  sip_key key_;
};

}  // namespace orrery::process
