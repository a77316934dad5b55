#pragma once
// One socket to the sidecar: whole frames in and out. One thread receives; any may send.
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

namespace orrery::app {

/// What came is not the SDK protocol.
class protocol_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws `error`, `invalid_argument`, for what is no IP:PORT.
void check_tcp(const std::string& address);

class wire {
 public:
  /// Tries the socket's path, then IP:PORT, whichever is not empty. Throws std::runtime_error with what failed;
  /// `socket_denied` where neither connects and this user may not use the socket.
  wire(const std::string& socket, const std::string& tcp);
  ~wire();
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  /// A whole frame.
  [[nodiscard]] static std::string encode(const nlohmann::json& message);
  /// Never waits: what the socket does not take now is written by who receives. False: the connection has ended, and
  /// nothing of the frame went out.
  bool send(const std::string& frame);
  /// Not for who receives. Waits while more than `unwritten_bytes_max` are unwritten.
  void wait_writable();
  /// The next frame; nothing after `timeout`. Throws std::runtime_error when the connection has ended, protocol_error
  /// where a frame cannot be read. Looks for it without sleeping for as long as `spin`.
  std::optional<nlohmann::json> receive(std::chrono::milliseconds timeout, std::chrono::microseconds spin = {});
  /// The last `receive` slept.
  [[nodiscard]] bool slept() const noexcept { return slept_; }
  /// Wakes who receives, and ends the connection.
  void shut();

  static constexpr std::size_t length_bytes = 4;
  static constexpr std::size_t frame_bytes_max = 4U << 20U;
  static constexpr std::size_t unwritten_bytes_max = 4U << 20U;

 private:
  std::optional<nlohmann::json> take_frame();
  void write_more();
  /// How much of it the socket took.
  std::size_t write(const char* data, std::size_t size);
  void wait_for_socket(int timeout_ms);
  void read_some();

  int fd_ = -1;
  int wake_ = -1;
  std::mutex writing_;
  std::condition_variable written_;
  std::string unwritten_;
  bool ended_ = false;
  std::atomic<bool> backlog_ = false;  ///< something is unwritten: who receives looks at no lock while nothing is
  std::string buffer_;
  std::size_t taken_ = 0;
  bool slept_ = false;
};

}  // namespace orrery::app
