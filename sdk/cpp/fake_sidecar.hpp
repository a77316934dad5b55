#pragma once
// For tests: a socket where the test itself plays the sidecar, frame by frame. What does not come in time throws.
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace orrery::app::fixtures {

using nlohmann::json;

struct welcome_options {
  std::size_t requests = 1024;  ///< unanswered at once
  std::chrono::milliseconds keepalive{15'000};
  json features = {"events", "host", "processes", "trace"};
};

/// One connection of a client.
class fake_connection {
 public:
  explicit fake_connection(int fd) : fd_(fd) {}
  ~fake_connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  fake_connection(fake_connection&& from) noexcept : fd_(std::exchange(from.fd_, -1)) {}
  fake_connection& operator=(fake_connection&&) = delete;

  /// The next frame; nothing: none within `time`, or the client has closed.
  std::optional<json> next(std::chrono::milliseconds time) {
    std::string head(4, '\0');
    if (!readable(time) || !read(head)) return {};
    std::size_t size = 0;
    for (const char each : head)
      size = size << 8U | static_cast<unsigned char>(each);
    std::string body(size, '\0');
    if (!read(body)) return {};
    return json::from_cbor(body);
  }
  /// The next frame, which is of this type.
  json expect(const std::string& type) {
    auto found = next(patience);
    if (!found) throw std::runtime_error("the client sent no '" + type + "'");
    if ((*found)["type"] != type) throw std::runtime_error("instead of '" + type + "' came " + found->dump());
    return std::move(*found);
  }
  void send(const json& message) {
    const auto body = json::to_cbor(message);
    std::string frame;
    for (int shift = 24; shift >= 0; shift -= 8)
      frame += static_cast<char>(body.size() >> static_cast<unsigned>(shift));
    frame.append(body.begin(), body.end());
    send_bytes(frame);
  }
  void send_bytes(const std::string& bytes) {
    if (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error("the client takes nothing");
  }
  void welcome(const welcome_options& how) {
    expect("hello");
    send({{"type", "welcome"},
          {"version", 1},
          {"features", how.features},
          {"sidecar", "0"},
          {"node", "fake"},
          {"mesh", "fake"},
          {"keepaliveMs", how.keepalive.count()},
          {"limits", {{"requests", how.requests}, {"valueBytes", 1U << 20U}}}});
  }
  void answer(const json& asked, json ok = json::object()) {
    send({{"type", "result"}, {"id", asked.at("id")}, {"ok", std::move(ok)}});
  }
  void refuse(const json& asked, const std::string& code) {
    send({{"type", "result"},
          {"id", asked.at("id")},
          {"error", {{"code", code}, {"text", "no"}, {"effect", "not_executed"}}}});
  }
  /// Reads on until the client closes. False: not in time.
  bool closes(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    std::string some(65'536, '\0');
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !readable(left)) return false;
      if (::recv(fd_, some.data(), some.size(), 0) <= 0) return true;
    }
  }

  static constexpr std::chrono::seconds patience{10};

 private:
  [[nodiscard]] bool readable(std::chrono::milliseconds time) const {
    pollfd waiting{fd_, POLLIN, 0};
    return ::poll(&waiting, 1, static_cast<int>(time.count())) > 0;
  }
  /// As much as `into` has room for.
  bool read(std::string& into) const {
    for (std::size_t got = 0; got < into.size();) {
      const auto n = ::recv(fd_, into.data() + got, into.size() - got, 0);
      if (n <= 0) return false;
      got += static_cast<std::size_t>(n);
    }
    return true;
  }

  int fd_;
};

class fake_sidecar {
 public:
  fake_sidecar() {
    std::string folder = (std::filesystem::temp_directory_path() / "orrery-fake-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no folder for a socket");
    folder_ = folder;
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    socket().copy(at.sun_path, sizeof at.sun_path - 1);
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(fd_, 8) != 0)
      throw std::runtime_error("cannot listen at " + socket());
  }
  ~fake_sidecar() {
    ::close(fd_);
    std::filesystem::remove_all(folder_);
  }
  fake_sidecar(const fake_sidecar&) = delete;
  fake_sidecar& operator=(const fake_sidecar&) = delete;

  [[nodiscard]] std::string socket() const { return folder_ / "sdk.sock"; }
  /// Whether a client dials within `time`.
  [[nodiscard]] bool dialled(std::chrono::milliseconds time) const {
    pollfd waiting{fd_, POLLIN, 0};
    return ::poll(&waiting, 1, static_cast<int>(time.count())) > 0;
  }
  [[nodiscard]] fake_connection accept() const {
    if (!dialled(fake_connection::patience)) throw std::runtime_error("no client dials");
    return fake_connection(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
  }
  [[nodiscard]] fake_connection accept_and_welcome(const welcome_options& how = {}) const {
    auto out = accept();
    out.welcome(how);
    return out;
  }

 private:
  std::filesystem::path folder_;
  int fd_ = -1;
};

}  // namespace orrery::app::fixtures
