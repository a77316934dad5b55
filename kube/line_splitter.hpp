#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace orrery::kube {

/// Cuts a stream of bytes into lines, whatever the chunks in which it comes. Pure.
class line_splitter {
 public:
  explicit line_splitter(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  enum class outcome { more, stopped, too_long };

  /// Calls `on_line(std::string_view) -> bool` for each line that is complete now, without its end; empty lines are
  /// left out. Stops when it says false, or at a line over the maximum; feed nothing more then.
  template <class OnLine>
  [[nodiscard]] outcome feed(std::string_view bytes, OnLine&& on_line) {
    for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
      auto line = bytes.substr(0, end);
      bytes.remove_prefix(end + 1);
      if (pending_.size() + line.size() > line_bytes_max_) return outcome::too_long;
      if (!pending_.empty()) {
        whole_ = std::move(pending_);
        pending_.clear();
        whole_.append(line);
        line = whole_;
      }
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (!line.empty() && !on_line(line)) return outcome::stopped;
    }
    if (pending_.size() + bytes.size() > line_bytes_max_) return outcome::too_long;
    pending_.append(bytes);
    return outcome::more;
  }

  /// Bytes of a line that has not ended yet.
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

 private:
  std::size_t line_bytes_max_;
  std::string pending_;
  std::string whole_;
};

}  // namespace orrery::kube
