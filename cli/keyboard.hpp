#pragma once
#include <chrono>
#include <memory>
#include <optional>

namespace orrery::cli {

/// The keys that are pressed, one by one and unseen, as long as it lives; then the terminal is as it was. Without a
/// terminal there are none.
class keyboard {
 public:
  keyboard();
  ~keyboard();
  keyboard(const keyboard&) = delete;
  keyboard& operator=(const keyboard&) = delete;

  /// The next key within this time; earlier where the program is interrupted.
  [[nodiscard]] std::optional<char> wait(std::chrono::milliseconds time) const;

 private:
  struct saved;
  std::unique_ptr<saved> saved_;
};

/// Of the terminal on standard output; nothing where it is none.
[[nodiscard]] std::optional<std::size_t> terminal_rows();

}  // namespace orrery::cli
