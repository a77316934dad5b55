#include "sidecar/testing/sdk_client.hpp"

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace orrery::sidecar::fixtures {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

int connect_file(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path) throw std::runtime_error("path too long: " + path);
  std::memcpy(at.sun_path, path.c_str(), path.size() + 1);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    ::close(fd);
    throw std::runtime_error("cannot connect to " + path + ": " + std::strerror(errno));
  }
  return fd;
}

int connect_stream(const std::string& address) {
  const auto colon = address.rfind(':');
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    ::close(fd);
    throw std::runtime_error("cannot connect to " + address + ": " + std::strerror(errno));
  }
  return fd;
}

}  // namespace

sdk_client::sdk_client(const std::string& at, bool as_json, bool greet)
    : fd_(at.starts_with("unix:") ? connect_file(at.substr(5)) : connect_stream(at)), as_json_(as_json) {
  if (!greet) return;
  send({{"type", "hello"}, {"version", 1}, {"client", "orrery-test/1"}});
  const auto answer = receive();
  if (!answer || answer->value("type", "") != "welcome") {
    throw std::runtime_error("no welcome but " + (answer ? answer->dump() : std::string("nothing")));
  }
  welcome_ = *answer;
}

sdk_client::~sdk_client() { hang_up(); }

sdk_client::sdk_client(sdk_client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      as_json_(other.as_json_),
      ended_(other.ended_),
      buffer_(std::move(other.buffer_)),
      kept_(std::move(other.kept_)),
      welcome_(std::move(other.welcome_)),
      last_(other.last_) {}

void sdk_client::hang_up() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  ended_ = true;
}

void sdk_client::send_raw(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

void sdk_client::send(const json& message) {
  std::string payload;
  if (as_json_) {
    payload = message.dump();
  } else {
    const auto encoded = json::to_cbor(message);
    payload.assign(encoded.begin(), encoded.end());
  }
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8)
    frame += static_cast<char>(payload.size() >> static_cast<unsigned>(shift));
  send_raw(frame + payload);
}

std::optional<json> sdk_client::next(steady_clock::time_point deadline) {
  while (true) {
    if (buffer_.size() >= 4) {
      std::size_t size = 0;
      for (int i = 0; i < 4; ++i)
        size = size << 8U | static_cast<unsigned char>(buffer_[static_cast<std::size_t>(i)]);
      if (buffer_.size() >= 4 + size) {
        const auto payload = buffer_.substr(4, size);
        buffer_.erase(0, 4 + size);
        return as_json_ ? json::parse(payload) : json::from_cbor(payload.begin(), payload.end());
      }
    }
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    pollfd waiting{fd_, POLLIN, 0};
    if (fd_ < 0 || left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return {};
    std::array<char, 65536> chunk{};
    const auto n = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (n <= 0) {
      ended_ = true;
      return {};
    }
    buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  }
}

std::optional<json> sdk_client::receive(milliseconds timeout) {
  if (!kept_.empty()) {
    auto first = std::move(kept_.front());
    kept_.pop_front();
    return first;
  }
  return next(steady_clock::now() + timeout);
}

std::optional<json> sdk_client::receive_type(const std::string& type, milliseconds timeout) {
  for (auto each = kept_.begin(); each != kept_.end(); ++each) {
    if (each->value("type", "") != type) continue;
    auto found = std::move(*each);
    kept_.erase(each);
    return found;
  }
  const auto deadline = steady_clock::now() + timeout;
  while (auto got = next(deadline)) {
    if (got->value("type", "") == type) return got;
    kept_.push_back(std::move(*got));
  }
  return {};
}

std::uint64_t sdk_client::begin(json message) {
  message["id"] = ++last_;
  send(message);
  return last_;
}

json sdk_client::result(std::uint64_t id, milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  const auto mine = [&](const json& each) { return each.value("type", "") == "result" && each.value("id", 0U) == id; };
  for (auto each = kept_.begin(); each != kept_.end(); ++each) {
    if (!mine(*each)) continue;
    auto found = std::move(*each);
    kept_.erase(each);
    return found;
  }
  while (auto got = next(deadline)) {
    if (mine(*got)) return *got;
    kept_.push_back(std::move(*got));
  }
  return {{"error", {{"code", "none"}, {"text", ended_ ? "the connection ended" : "no answer in time"}}}};
}

json sdk_client::ask(json message, milliseconds timeout) { return result(begin(std::move(message)), timeout); }

void sdk_client::serve(const std::function<std::optional<json>(const json&)>& handle,
                       const std::function<bool()>& go_on) {
  while (go_on() && !ended_) {
    const auto got = receive(milliseconds{20});
    if (!got) continue;
    const auto type = got->value("type", "");
    if (type == "ping") send({{"type", "pong"}, {"n", (*got)["n"]}});
    if (type != "work") continue;
    auto answer = handle(*got);
    if (!answer) continue;
    (*answer)["type"] = "done";
    (*answer)["work"] = (*got)["work"];
    send(*answer);
  }
}

}  // namespace orrery::sidecar::fixtures
