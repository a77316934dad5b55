#pragma once
// What is on its way to one client: frames in their order, and how many bytes of messages for its processes are among
// them. Pure: no sockets, no time.
#include "mesh/base/assert.hpp"
#include "mesh/base/bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

namespace orrery::sidecar {

class write_queue {
 public:
  /// `messages`: `sdk::send::weight`.
  void add(bytes frame, std::size_t messages = 0) {
    unwritten_ += frame.size();
    frames_.push_back({std::move(frame), messages});
  }

  [[nodiscard]] bool empty() const noexcept { return frames_.empty(); }
  /// Bytes that have not left.
  [[nodiscard]] std::size_t unwritten() const noexcept { return unwritten_; }
  /// Nothing of the first frame has left. REQUIRES: !empty().
  [[nodiscard]] bool at_start() const noexcept { return written_ == 0; }
  /// What has not left of the first frame; valid until that has left. REQUIRES: !empty().
  [[nodiscard]] byte_view first() const { return byte_view{frames_.front().content}.subspan(written_); }
  /// `first`, and the frames after it, `most` in all.
  [[nodiscard]] std::vector<byte_view> several(std::size_t most) const {
    std::vector<byte_view> all;
    for (const auto& each : frames_) {
      if (all.size() == most) break;
      all.emplace_back(each.content);
    }
    if (!all.empty()) all.front() = first();
    return all;
  }

  /// So many bytes have left. REQUIRES: as many were there.
  void left(std::size_t count) {
    ORRERY_ASSERT(count <= unwritten_);
    unwritten_ -= count;
    while (count > 0) {
      auto& frame = frames_.front();
      const auto part = std::min(count, frame.content.size() - written_);
      count -= part;
      written_ += part;
      const bool whole = written_ == frame.content.size();
      const auto messages = whole ? frame.messages : std::min(part, frame.messages);
      frame.messages -= messages;
      left_ += messages;
      if (!whole) return;
      frames_.pop_front();
      written_ = 0;
    }
  }
  /// Bytes of messages that have left and of which nobody was told yet; none where they are fewer than that.
  [[nodiscard]] std::size_t report(std::size_t at_least) noexcept {
    return left_ < at_least ? 0 : std::exchange(left_, 0);
  }

 private:
  struct entry {
    bytes content;  ///< not empty
    std::size_t messages = 0;
  };
  std::deque<entry> frames_;
  std::size_t written_ = 0;  ///< of the first
  std::size_t unwritten_ = 0;
  std::size_t left_ = 0;
};

}  // namespace orrery::sidecar
