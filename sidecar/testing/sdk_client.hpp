#pragma once
// A client of the SDK protocol for tests: blocking, one frame at a time, documents instead of types.
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sidecar::fixtures {

class sdk_client {
 public:
  /// `at`: "unix:PATH" or "IP:PORT". Says hello and waits for the welcome, unless `greet` is false. Throws
  /// std::runtime_error where the environment fails.
  explicit sdk_client(const std::string& at, bool as_json = false, bool greet = true);
  ~sdk_client();
  sdk_client(sdk_client&& other) noexcept;
  sdk_client(const sdk_client&) = delete;
  sdk_client& operator=(const sdk_client&) = delete;
  sdk_client& operator=(sdk_client&&) = delete;

  void send(const nlohmann::json& message);
  void send_raw(const std::string& bytes);
  /// The next frame; nothing after `timeout` or at the end of the connection.
  std::optional<nlohmann::json> receive(std::chrono::milliseconds timeout = std::chrono::seconds{5});
  /// The next frame of that type; others are kept.
  std::optional<nlohmann::json> receive_type(const std::string& type,
                                             std::chrono::milliseconds timeout = std::chrono::seconds{5});
  /// Sends with a number of its own, and waits for the result: the whole frame.
  nlohmann::json ask(nlohmann::json message, std::chrono::milliseconds timeout = std::chrono::seconds{5});
  /// Sends, and gives the number.
  std::uint64_t begin(nlohmann::json message);
  nlohmann::json result(std::uint64_t id, std::chrono::milliseconds timeout = std::chrono::seconds{5});
  /// Answers pings and work with `handle` until it says false, or the connection ends.
  void serve(const std::function<std::optional<nlohmann::json>(const nlohmann::json& work)>& handle,
             const std::function<bool()>& go_on);
  [[nodiscard]] bool at_end() const { return ended_; }
  [[nodiscard]] const nlohmann::json& welcome() const { return welcome_; }
  void hang_up();

 private:
  std::optional<nlohmann::json> next(std::chrono::steady_clock::time_point deadline);

  int fd_ = -1;
  bool as_json_ = false;
  bool ended_ = false;
  std::string buffer_;
  std::deque<nlohmann::json> kept_;
  nlohmann::json welcome_;
  std::uint64_t last_ = 0;
};

}  // namespace orrery::sidecar::fixtures
