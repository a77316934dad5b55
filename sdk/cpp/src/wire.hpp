#pragma once
// One socket to the sidecar: whole frames in and out.
#include <nlohmann/json.hpp>

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

namespace orrery::app {

class wire {
 public:
  /// Tries the socket's path, then IP:PORT, whichever is not empty. Throws std::runtime_error with what failed.
  wire(const std::string& socket, const std::string& tcp);
  ~wire();
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  /// A whole frame. Its size, less four bytes, must not be over frame_bytes_max to be sent.
  [[nodiscard]] static std::string encode(const nlohmann::json& message);
  /// Any thread. False where the connection has ended.
  bool send(const std::string& frame);
  /// One thread. The next frame; nothing after `timeout`. Throws std::runtime_error when the connection has ended.
  std::optional<nlohmann::json> receive(std::chrono::milliseconds timeout);
  /// Any thread: wakes who receives, and ends the connection.
  void shut();

  static constexpr std::size_t frame_bytes_max = 4U << 20U;

 private:
  int fd_ = -1;
  std::mutex writing_;
  std::string buffer_;
  std::size_t taken_ = 0;
};

}  // namespace orrery::app
