#pragma once
// What is on its way to one client: frames, a batch at a time, and how many bytes of messages for its processes are
// among them. Pure: no sockets, no time.
#include "mesh/base/bytes.hpp"

#include <cstddef>
#include <utility>
#include <vector>

namespace orrery::sidecar {

class write_queue {
 public:
  void add(bytes frame) {
    waiting_.bytes += frame.size();
    waiting_.frames.push_back(std::move(frame));
  }
  /// So many bytes of messages (`process::frame_bytes_of`) are in the frame that was added last, or is added next.
  void add_messages(std::size_t bytes) noexcept { waiting_.messages += bytes; }

  /// What waits becomes the batch that is written. False where one is being written, or nothing waits.
  [[nodiscard]] bool begin() noexcept {
    if (!writing_.frames.empty() || waiting_.frames.empty()) return false;
    std::swap(writing_, waiting_);
    return true;
  }
  /// The batch has left.
  void written() noexcept {
    left_ += writing_.messages;
    writing_.frames.clear();  // keeps its memory for the next but one
    writing_.bytes = writing_.messages = 0;
  }
  /// Bytes of messages that have left and of which nobody was told yet; none where they are fewer than that.
  [[nodiscard]] std::size_t report(std::size_t at_least) noexcept {
    return left_ < at_least ? 0 : std::exchange(left_, 0);
  }

  [[nodiscard]] const std::vector<bytes>& batch() const noexcept { return writing_.frames; }
  [[nodiscard]] bool is_writing() const noexcept { return !writing_.frames.empty(); }
  [[nodiscard]] bool empty() const noexcept { return waiting_.frames.empty() && writing_.frames.empty(); }
  /// Bytes of frames that have not left. A batch counts until all of it has, as its memory does.
  [[nodiscard]] std::size_t unwritten() const noexcept { return waiting_.bytes + writing_.bytes; }

 private:
  struct part {
    std::vector<orrery::bytes> frames;
    std::size_t bytes = 0;
    std::size_t messages = 0;
  };
  part waiting_;
  part writing_;
  std::size_t left_ = 0;
};

}  // namespace orrery::sidecar
