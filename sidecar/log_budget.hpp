#pragma once
// What may happen a hundred thousand times a second must not be a line of the log each time.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace orrery::sidecar {

/// So many lines of each kind between two calls of `renew`. Not thread-safe.
class log_budget {
 public:
  explicit log_budget(std::uint32_t lines_max) : lines_max_(lines_max) {}

  [[nodiscard]] bool admit(std::string_view kind) {
    auto found = spent_.find(kind);
    if (found == spent_.end()) found = spent_.emplace(std::string(kind), 0).first;
    return ++found->second <= lines_max_;
  }
  /// Begins anew. `told`: how many of a kind were not admitted, if any.
  void renew(const std::function<void(const std::string& kind, std::uint64_t count)>& told) {
    for (const auto& [kind, count] : spent_) {
      if (count > lines_max_) told(kind, count - lines_max_);
    }
    spent_.clear();
  }

 private:
  std::uint32_t lines_max_;
  std::map<std::string, std::uint64_t, std::less<>> spent_;
};

}  // namespace orrery::sidecar
