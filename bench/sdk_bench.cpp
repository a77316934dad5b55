// A client as small as one can be, so that what is measured is the server: blocking sockets, one request at a time.
#include "bench/report.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <numeric>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace orrery::bench {
namespace {

constexpr std::size_t warm_up = 500;
constexpr std::size_t echoes = 20'000;
constexpr std::size_t clock_readings = 1'000'000;
constexpr std::size_t answer_bytes_max = 64UL << 10U;
constexpr int answer_seconds_max = 10;

[[noreturn]] void failed(const std::string& doing) { give_up(doing + ": " + std::strerror(errno)); }

sockaddr_in ipv4(const std::string& host, const std::string& port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(port.c_str(), nullptr, 10)));
  if (inet_pton(AF_INET, host.c_str(), &at.sin_addr) != 1) give_up("'" + host + "' is not an IPv4 address");
  return at;
}
const sockaddr* generic(const sockaddr_in& at) { return reinterpret_cast<const sockaddr*>(&at); }

class connection {
 public:
  explicit connection(int fd) : fd_(fd) {
    if (fd < 0) failed("no socket");
    const int on = 1;
    const timeval patience{.tv_sec = answer_seconds_max, .tv_usec = 0};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() { ::close(fd_); }

  void connect(const sockaddr_in& at) const {
    if (::connect(fd_, generic(at), sizeof at) != 0) failed("connect");
  }
  void write(const char* from, std::size_t size) const {
    while (size > 0) {
      const auto sent = ::send(fd_, from, size, MSG_NOSIGNAL);
      if (sent <= 0) failed("send");
      from += sent;
      size -= static_cast<std::size_t>(sent);
    }
  }
  /// At least one byte, or 0 when the other side has closed.
  [[nodiscard]] std::size_t read(char* to, std::size_t size) const {
    const auto got = ::recv(fd_, to, size, 0);
    if (got < 0) failed("no answer");
    return static_cast<std::size_t>(got);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

/// Reads one answer to its end, and checks that it is a 200.
void read_answer(const connection& from) {
  std::string answer;
  std::array<char, 4096> chunk{};
  std::size_t whole = std::string::npos;
  while (answer.size() < whole) {
    const auto got = from.read(chunk.data(), chunk.size());
    if (got == 0) give_up("the server closed the connection after '" + answer.substr(0, 200) + "'");
    answer.append(chunk.data(), got);
    if (answer.size() > answer_bytes_max)
      give_up("an answer of more than " + std::to_string(answer_bytes_max) + " bytes");
    const auto end = answer.find("\r\n\r\n");
    if (whole != std::string::npos || end == std::string::npos) continue;
    const auto length = answer.find("Content-Length: ");
    if (length == std::string::npos || length > end)
      give_up("an answer without Content-Length: " + answer.substr(0, end));
    whole = end + 4 + std::strtoul(answer.c_str() + length + std::strlen("Content-Length: "), nullptr, 10);
  }
  if (answer.compare(0, 12, "HTTP/1.1 200") != 0) give_up("a call was refused: " + answer.substr(0, 500));
}

void measure_echo(const report& to) {
  const connection listening{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  auto at = ipv4("127.0.0.1", "0");
  socklen_t size = sizeof at;
  if (::bind(listening.fd(), generic(at), sizeof at) != 0 || ::listen(listening.fd(), 1) != 0 ||
      ::getsockname(listening.fd(), reinterpret_cast<sockaddr*>(&at), &size) != 0) {
    failed("listen on 127.0.0.1");
  }
  std::thread answering{[&] {
    const connection peer{::accept(listening.fd(), nullptr, nullptr)};
    char byte = 0;
    while (peer.read(&byte, 1) == 1)
      peer.write(&byte, 1);
  }};
  std::vector<double> took;
  {
    const connection asking{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    asking.connect(at);
    char byte = 1;
    for (std::size_t i = 0; i < warm_up + echoes; ++i) {
      const auto start = stopwatch::now();
      asking.write(&byte, 1);
      if (asking.read(&byte, 1) != 1) give_up("the echo ended");
      if (i >= warm_up) took.push_back(microseconds(stopwatch::now() - start));
    }
  }
  answering.join();
  to.add(
      {"floor/tcp_echo", "us", summary(took), "one byte there and back between two threads; blocking sockets, no TLS"});
}

/// One caller on a connection of its own; what each of its calls took, but for the first.
std::vector<double> call_one_by_one(const sdk_target& target, std::size_t unmeasured, std::size_t calls,
                                    bool kill_first) {
  const connection server{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  server.connect(ipv4(target.host, target.port));
  const auto post = [&](const std::string& action, const std::string& body) {
    return "POST /v1/processes/" + target.process + action + " HTTP/1.1\r\nHost: " + target.host + ":" + target.port +
           "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  const std::string call = post("/call/" + target.method, "null");
  const std::string kill = post("/kill", R"({"reason": "bench"})");
  std::vector<double> took;
  took.reserve(calls);
  for (std::size_t i = 0; i < unmeasured + calls; ++i) {
    const auto start = stopwatch::now();
    if (kill_first && i > 0) {
      server.write(kill.data(), kill.size());
      read_answer(server);
    }
    server.write(call.data(), call.size());
    read_answer(server);
    if (i >= unmeasured) took.push_back(microseconds(stopwatch::now() - start));
  }
  return took;
}

}  // namespace

void measure_floor(const report& to) {
  const auto start = stopwatch::now();
  auto last = start;
  for (std::size_t i = 0; i < clock_readings; ++i)
    last = stopwatch::now();
  to.add({"floor/clock",
          "us",
          {{"mean", microseconds(last - start) / static_cast<double>(clock_readings)}},
          "one reading of the clock: part of every single time below a microsecond"});
  measure_echo(to);
}

void measure_sdk(const report& to, const sdk_target& target, std::size_t callers, std::size_t calls, bool kill_first,
                 const std::string& row_name) {
  std::vector<std::vector<double>> took(callers);
  std::vector<std::thread> threads;
  for (std::size_t caller = 0; caller < callers; ++caller) {
    threads.emplace_back([&, caller] {
      auto own = target;
      if (callers > 1) own.process += std::to_string(caller);
      took[caller] = call_one_by_one(own, warm_up / callers + 1, calls / callers, kill_first);
    });
  }
  for (auto& each : threads)
    each.join();
  std::vector<double> all;
  for (const auto& each : took)
    all.insert(all.end(), each.begin(), each.end());
  const double together = std::accumulate(all.begin(), all.end(), 0.0);
  auto figures = summary(all);
  figures.emplace_back("per_second", static_cast<double>(callers * all.size()) * 1e6 / together);
  to.add({row_name, "us", std::move(figures),
          std::string{kill_first ? "HTTP kill of " : "HTTP call of "} + target.process +
              (kill_first ? " and the next call's answer" : " " + target.method) + ", on one kept connection" +
              (callers > 1 ? " each" : "")});
}

}  // namespace orrery::bench
