#include "wire.hpp"

#include "denied.hpp"
#include "orrery/app/error.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace orrery::app {
namespace {

using nlohmann::json;

int dial_file(const std::string& path) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path)
    throw std::runtime_error("the path of a socket has at most 107 bytes: " + path);
  std::memcpy(at.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return fd;
  const int problem = errno;
  if (fd >= 0) ::close(fd);
  if (fd >= 0 && (problem == EACCES || problem == EPERM)) throw socket_denied(path, problem);
  throw std::runtime_error("cannot connect to " + path + ": " + std::strerror(problem));
}

/// Throws `error` for what is no IP:PORT.
sockaddr_in tcp_address(const std::string& address) {
  const auto colon = std::min(address.rfind(':'), address.size());
  sockaddr_in at{};
  at.sin_family = AF_INET;
  std::uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto read = std::from_chars(std::min(address.data() + colon + 1, end), end, port);
  if (::inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr) != 1 || read.ec != std::errc{} ||
      read.ptr != end || port == 0) {
    const bool is_url = address.find("://") != std::string::npos;
    throw error(
        "invalid_argument",
        "'" + address + "' is not IP:PORT, as 127.0.0.1:3603" +
            (is_url ? "; this library does not speak HTTP or WebSocket, which the sidecar has at port 3600" : ""),
        effect::not_executed);
  }
  at.sin_port = htons(port);
  return at;
}

int dial_tcp(const std::string& address) {
  const auto at = tcp_address(address);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return fd;
  const std::string why = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  throw std::runtime_error("cannot connect to " + address + ": " + why);
}

}  // namespace

void check_tcp(const std::string& address) { static_cast<void>(tcp_address(address)); }

wire::wire(const std::string& socket, const std::string& tcp) {
  if (socket.empty() && tcp.empty()) {
    throw std::runtime_error("neither a socket nor an address is given, nor ORRERY_SOCKET or ORRERY_TCP set");
  }
  try {
    fd_ = socket.empty() ? dial_tcp(tcp) : dial_file(socket);
  } catch (const socket_denied&) {
    if (tcp.empty()) throw;
    try {
      fd_ = dial_tcp(tcp);
    } catch (const std::runtime_error&) {
    }
    if (fd_ < 0) throw;  // the denial: it is what somebody must mend
  } catch (const std::runtime_error&) {
    if (socket.empty() || tcp.empty()) throw;
    fd_ = dial_tcp(tcp);
  }
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) {
    ::close(fd_);
    throw std::runtime_error(std::string("no eventfd: ") + std::strerror(errno));
  }
}

wire::~wire() {
  ::close(fd_);
  ::close(wake_);
}

void wire::shut() {
  {
    const std::lock_guard lock(writing_);
    ended_ = true;
  }
  written_.notify_all();
  ::shutdown(fd_, SHUT_RDWR);
}

std::string wire::encode(const json& message) {
  std::string frame(length_bytes, '\0');
  json::to_cbor(message, nlohmann::detail::output_adapter<char>(frame));
  const auto size = frame.size() - length_bytes;
  for (std::size_t i = 0; i < length_bytes; ++i)
    frame[i] = static_cast<char>(size >> (8 * (length_bytes - 1 - i)));
  return frame;
}

std::size_t wire::write(const char* data, std::size_t size) {
  std::size_t sent = 0;
  while (sent < size) {
    const auto n = ::send(fd_, data + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      ended_ = true;  // who receives sees the end too, once what has arrived is read
      break;
    }
    if (n <= 0) break;
    sent += static_cast<std::size_t>(n);
  }
  return sent;
}

bool wire::send(const std::string& frame) {
  const std::lock_guard lock(writing_);
  if (ended_) return false;
  const auto sent = unwritten_.empty() ? write(frame.data(), frame.size()) : 0;
  if (ended_ || sent == frame.size()) return sent > 0;
  const bool first = unwritten_.empty();
  unwritten_.append(frame, sent);
  backlog_ = true;
  if (first) ::eventfd_write(wake_, 1);
  return true;
}

void wire::wait_writable() {
  std::unique_lock lock(writing_);
  written_.wait(lock, [this] { return ended_ || unwritten_.size() <= unwritten_bytes_max; });
}

void wire::write_more() {
  {
    const std::lock_guard lock(writing_);
    unwritten_.erase(0, write(unwritten_.data(), unwritten_.size()));
    backlog_ = !unwritten_.empty();
    if (!ended_ && unwritten_.size() > unwritten_bytes_max) return;
  }
  written_.notify_all();
}

std::optional<json> wire::take_frame() {
  if (buffer_.size() - taken_ < length_bytes) return {};
  std::size_t size = 0;
  for (std::size_t i = 0; i < length_bytes; ++i)
    size = size << 8U | static_cast<unsigned char>(buffer_[taken_ + i]);
  if (size == 0 || size > frame_bytes_max) {
    throw protocol_error("a frame of " + std::to_string(size) + " bytes; 1 to " + std::to_string(frame_bytes_max) +
                         " are accepted");
  }
  if (buffer_.size() - taken_ - length_bytes < size) return {};
  const auto from = buffer_.begin() + static_cast<std::ptrdiff_t>(taken_ + length_bytes);
  auto message =
      json::from_cbor(from, from + static_cast<std::ptrdiff_t>(size), true, false, json::cbor_tag_handler_t::ignore);
  if (!message.is_object() || !message.contains("type") || !message["type"].is_string())
    throw protocol_error("a frame of " + std::to_string(size) + " bytes is no map with a type");
  taken_ += length_bytes + size;
  if (taken_ == buffer_.size()) buffer_.clear(), taken_ = 0;
  return message;
}

void wire::wait_for_socket(int timeout_ms) {
  std::array<pollfd, 2> waiting{pollfd{fd_, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
  if (backlog_) {
    const std::lock_guard lock(writing_);
    if (!ended_) waiting[0].events |= POLLOUT;
  }
  ::poll(waiting.data(), waiting.size(), timeout_ms);
  eventfd_t count = 0;
  if ((waiting[1].revents & POLLIN) != 0) ::eventfd_read(wake_, &count);
  if ((waiting[0].revents & POLLOUT) != 0) write_more();
}

void wire::read_some() {
  std::array<char, 65536> chunk;
  const auto n = ::recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (n <= 0) throw std::runtime_error(n == 0 ? "the sidecar closed the connection" : std::strerror(errno));
  buffer_.append(chunk.data(), static_cast<std::size_t>(n));
}

std::optional<json> wire::receive(std::chrono::milliseconds timeout, std::chrono::microseconds spin) {
  using clock = std::chrono::steady_clock;
  const auto begun = clock::now();
  slept_ = false;
  while (true) {
    if (auto message = take_frame()) return message;
    if (taken_ > 0) buffer_.erase(0, std::exchange(taken_, 0));
    const auto waited = clock::now() - begun;
    if (slept_ || waited >= spin) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(timeout - waited).count();
      if (left <= 0) return {};
      wait_for_socket(static_cast<int>(left));
      slept_ = true;
    } else {
      std::this_thread::yield();  // to the sidecar, where it needs this processor to answer
    }
    read_some();
  }
}

}  // namespace orrery::app
