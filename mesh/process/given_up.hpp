#pragma once
#include "mesh/base/ids.hpp"
#include "mesh/base/time.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orrery::process {

/// Names whose processes went over their own budget of restarts: each is not to be started until its time has come or
/// somebody releases it. Beyond `names_max` the one whose time comes first makes room. Not thread-safe.
class given_up_names {
 public:
  static constexpr std::size_t names_max = 10'000;
  struct entry {
    std::string why;
    time_point until{};
  };

  void add(process_name name, entry what);
  /// Null if it is not given up.
  [[nodiscard]] const entry* find(const process_name& name) const;
  /// False if it was not given up.
  bool release(const process_name& name);
  /// The next one whose time has come, which is released with that.
  [[nodiscard]] std::optional<process_name> take_due(time_point now);
  [[nodiscard]] time_point next() const { return by_time_.empty() ? never : by_time_.begin()->first; }
  /// In the order of their keys, at most `most`.
  [[nodiscard]] std::vector<std::pair<process_name, entry>> of(const class_name& klass, std::size_t most) const;
  [[nodiscard]] std::size_t count(const class_name& klass) const;
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

 private:
  std::map<process_name, entry> names_;
  std::set<std::pair<time_point, process_name>> by_time_;
};

}  // namespace orrery::process
