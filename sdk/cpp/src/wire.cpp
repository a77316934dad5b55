#include "wire.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace orrery::app {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = 4;
constexpr time_t send_timeout_s = 30;

int dial_file(const std::string& path) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path)
    throw std::runtime_error("the path of a socket has at most 107 bytes: " + path);
  std::memcpy(at.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return fd;
  const std::string why = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  throw std::runtime_error("cannot connect to " + path + ": " + why);
}

int dial_tcp(const std::string& address) {
  const auto colon = address.rfind(':');
  sockaddr_in at{};
  at.sin_family = AF_INET;
  if (colon == std::string::npos || ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr) != 1) {
    throw std::runtime_error("'" + address + "' is not IP:PORT");
  }
  at.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return fd;
  const std::string why = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  throw std::runtime_error("cannot connect to " + address + ": " + why);
}

}  // namespace

wire::wire(const std::string& socket, const std::string& tcp) {
  if (socket.empty() && tcp.empty()) {
    throw std::runtime_error("neither a socket nor an address is given, nor ORRERY_SOCKET or ORRERY_TCP set");
  }
  try {
    fd_ = socket.empty() ? dial_tcp(tcp) : dial_file(socket);
  } catch (const std::runtime_error&) {
    if (socket.empty() || tcp.empty()) throw;
    fd_ = dial_tcp(tcp);
  }
  const timeval limit{send_timeout_s, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

wire::~wire() { ::close(fd_); }

void wire::shut() { ::shutdown(fd_, SHUT_RDWR); }

std::string wire::encode(const json& message) {
  std::string frame(length_bytes, '\0');
  json::to_cbor(message, nlohmann::detail::output_adapter<char>(frame));
  const auto size = frame.size() - length_bytes;
  for (std::size_t i = 0; i < length_bytes; ++i)
    frame[i] = static_cast<char>(size >> (8 * (length_bytes - 1 - i)));
  return frame;
}

bool wire::send(const std::string& frame) {
  const std::lock_guard lock(writing_);
  for (std::size_t sent = 0; sent < frame.size();) {
    const auto n = ::send(fd_, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      shut();  // half a frame may be out: the connection is of no use
      return false;
    }
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

std::optional<json> wire::receive(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    if (buffer_.size() - taken_ >= length_bytes) {
      std::size_t size = 0;
      for (std::size_t i = 0; i < length_bytes; ++i)
        size = size << 8U | static_cast<unsigned char>(buffer_[taken_ + i]);
      if (size == 0 || size > frame_bytes_max)
        throw std::runtime_error("the sidecar sent a frame of " + std::to_string(size) + " bytes");
      if (buffer_.size() - taken_ - length_bytes >= size) {
        const auto from = buffer_.begin() + static_cast<std::ptrdiff_t>(taken_ + length_bytes);
        auto message = json::from_cbor(from, from + static_cast<std::ptrdiff_t>(size), true, true,
                                       json::cbor_tag_handler_t::ignore);
        taken_ += length_bytes + size;
        if (taken_ == buffer_.size()) buffer_.clear(), taken_ = 0;
        return message;
      }
    }
    if (taken_ > 0) buffer_.erase(0, std::exchange(taken_, 0));
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready == 0) return {};
    if (ready < 0) continue;
    std::array<char, 65536> chunk{};
    const auto n = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw std::runtime_error(n == 0 ? "the sidecar closed the connection" : std::strerror(errno));
    buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace orrery::app
