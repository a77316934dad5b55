#pragma once
// A client of the SDK protocol over WebSocket that can also break its rules: blocking, frames written by hand.
#include <nlohmann/json.hpp>

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace orrery::sidecar::fixtures {

class websocket_client {
 public:
  static constexpr unsigned continuation = 0;
  static constexpr unsigned text = 1;
  static constexpr unsigned binary = 2;
  static constexpr unsigned close = 8;
  static constexpr unsigned ping = 9;
  static constexpr unsigned pong = 10;

  struct options {
    std::string headers = "Sec-WebSocket-Protocol: orrery.v1\r\n";
    bool as_json = false;
    bool greet = true;
    std::string more{};  ///< sent together with the request
    int holds = 0;       ///< bytes that the kernel keeps for it unread; 0: as it likes
  };
  struct frame {
    unsigned opcode = 0;
    bool last = true;
    std::string payload;
  };

  explicit websocket_client(const std::string& ip) : websocket_client(ip, options{}) {}
  websocket_client(const std::string& ip, options wanted) : as_json_(wanted.as_json) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(3600);
    ::inet_pton(AF_INET, ip.c_str(), &to.sin_addr);
    if (wanted.holds > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &wanted.holds, sizeof wanted.holds);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
      throw std::runtime_error("no connection");
    const auto host = wanted.headers.find("Host:") == std::string::npos ? "Host: " + ip + "\r\n" : std::string();
    send_raw("GET /v1/sdk HTTP/1.1\r\n" + host +
             "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
             wanted.headers + "\r\n" + wanted.more);
    while (head_.find("\r\n\r\n") == std::string::npos && fill(head_, std::chrono::seconds{5})) {
    }
    const auto end = head_.find("\r\n\r\n");
    if (end != std::string::npos) {
      in_ = head_.substr(end + 4);
      head_.resize(end);
    }
    if (accepted() && wanted.greet) {
      say({{"type", "hello"}, {"version", 1}});
      welcome_ = hear().value_or(nullptr);
    }
  }
  ~websocket_client() { ::close(fd_); }
  websocket_client(const websocket_client&) = delete;
  websocket_client& operator=(const websocket_client&) = delete;

  [[nodiscard]] bool accepted() const { return head_.starts_with("HTTP/1.1 101 "); }
  /// Of the answer to the request; and its body, where it was refused.
  [[nodiscard]] const std::string& head() const { return head_; }
  std::string body() {
    const auto at = head_.find("Content-Length: ");
    const auto size = at == std::string::npos ? 0U : std::stoul(head_.substr(at + 16));
    while (in_.size() < size && fill(in_, std::chrono::seconds{5})) {
    }
    return in_;
  }
  [[nodiscard]] const nlohmann::json& welcome() const { return welcome_; }

  void send_raw(const std::string& bytes) const {
    for (std::size_t sent = 0; sent < bytes.size();) {
      const auto n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
    }
  }
  static std::string framed(unsigned opcode, std::string payload, bool last = true, bool masked = true) {
    std::string out;
    out += static_cast<char>((last ? 0x80U : 0U) | opcode);
    const unsigned mask_bit = masked ? 0x80U : 0U;
    const auto size = payload.size();
    if (size < 126) {
      out += static_cast<char>(mask_bit | size);
    } else {
      const unsigned bytes = size < 65536 ? 2 : 8;
      out += static_cast<char>(mask_bit | (bytes == 2 ? 126U : 127U));
      for (unsigned at = bytes; at > 0; --at)
        out += static_cast<char>(size >> (8 * (at - 1)));
    }
    if (!masked) return out + payload;
    static constexpr std::array<unsigned char, 4> key{0x37, 0xfa, 0x21, 0x3d};
    for (const auto each : key)
      out += static_cast<char>(each);
    for (std::size_t i = 0; i < payload.size(); ++i)
      payload[i] = static_cast<char>(static_cast<unsigned char>(payload[i]) ^ key.at(i % 4));
    return out + payload;
  }
  [[nodiscard]] std::string payload_of(const nlohmann::json& message) const {
    if (as_json_) return message.dump();
    const auto encoded = nlohmann::json::to_cbor(message);
    return {encoded.begin(), encoded.end()};
  }
  void say(const nlohmann::json& message) const { send_raw(framed(as_json_ ? text : binary, payload_of(message))); }

  /// The next WebSocket frame; nothing after 5 s, or at the end.
  std::optional<frame> next(std::chrono::milliseconds timeout = std::chrono::seconds{5}) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (true) {
      if (auto whole = take()) return whole;
      const auto left = deadline - std::chrono::steady_clock::now();
      if (left.count() <= 0 || !fill(in_, std::chrono::duration_cast<std::chrono::milliseconds>(left))) return {};
    }
  }
  /// The next message of the protocol, put together; what controls the WebSocket is passed over.
  std::optional<nlohmann::json> hear() {
    std::string message;
    while (auto got = next()) {
      if (got->opcode == close) return {};
      if (got->opcode > binary) continue;
      if (got->opcode != continuation) kind_ = got->opcode;
      ++frames_;
      message += got->payload;
      if (!got->last) continue;
      return as_json_ ? nlohmann::json::parse(message) : nlohmann::json::from_cbor(message.begin(), message.end());
    }
    return {};
  }
  nlohmann::json ask(nlohmann::json message) {
    message["id"] = ++last_;
    say(message);
    while (auto got = hear()) {
      if (got->value("type", "") == "result" && got->value("id", 0U) == last_) return *got;
    }
    return {{"error", {{"code", "none"}}}};
  }
  /// The code of the close frame that comes next of those; 0 if none does.
  unsigned close_code() {
    while (auto got = next()) {
      if (got->opcode != close) continue;
      if (got->payload.size() < 2) return 1005;
      return static_cast<unsigned>(static_cast<unsigned char>(got->payload[0])) << 8U |
             static_cast<unsigned char>(got->payload[1]);
    }
    return 0;
  }
  [[nodiscard]] bool at_end() {
    while (fill(in_, std::chrono::seconds{5})) {
    }
    return ended_;
  }
  [[nodiscard]] unsigned kind() const { return kind_; }         ///< of the message that was heard last
  [[nodiscard]] std::size_t frames() const { return frames_; }  ///< with data, so far

 private:
  bool fill(std::string& into, std::chrono::milliseconds timeout) {
    pollfd waiting{fd_, POLLIN, 0};
    if (ended_ || ::poll(&waiting, 1, static_cast<int>(timeout.count())) <= 0) return false;
    std::array<char, 65536> chunk{};
    const auto n = ::recv(fd_, chunk.data(), chunk.size(), 0);
    ended_ = n <= 0;
    if (n > 0) into.append(chunk.data(), static_cast<std::size_t>(n));
    return n > 0;
  }
  std::optional<frame> take() {
    const auto at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(in_[i])); };
    if (in_.size() < 2) return {};
    auto size = at(1) & 0x7fU;
    std::size_t head = 2;
    if (size >= 126) {
      const std::size_t bytes = size == 126 ? 2 : 8;
      if (in_.size() < 2 + bytes) return {};
      size = 0;
      for (; head < 2 + bytes; ++head)
        size = size << 8U | at(head);
    }
    if (in_.size() < head + size) return {};
    frame out{static_cast<unsigned>(at(0) & 0x0fU), (at(0) & 0x80U) != 0, in_.substr(head, size)};
    in_.erase(0, head + size);
    return out;
  }

  int fd_ = -1;
  bool as_json_ = false;
  bool ended_ = false;
  std::string head_;
  std::string in_;
  nlohmann::json welcome_;
  std::uint64_t last_ = 0;
  unsigned kind_ = 0;
  std::size_t frames_ = 0;
};

}  // namespace orrery::sidecar::fixtures
