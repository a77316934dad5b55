#include "kube/local/kubelet/probe.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace orrery::local {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto look_interval = milliseconds(50);
constexpr std::size_t answer_bytes_max = 10 * 1024;

class descriptor {
 public:
  explicit descriptor(int number) : number_(number) {}
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

/// Waits for events on a descriptor until the deadline; false when that passes first or it was cancelled.
bool wait_for(int number, short events, steady_clock::time_point deadline, const std::function<bool()>& cancelled) {
  for (;;) {
    const auto now = steady_clock::now();
    if (now >= deadline || cancelled()) return false;
    const auto step = std::min(std::chrono::duration_cast<milliseconds>(deadline - now) + milliseconds(1),
                               milliseconds(look_interval));
    pollfd look{.fd = number, .events = events, .revents = 0};
    if (::poll(&look, 1, static_cast<int>(step.count())) > 0) return true;
  }
}

std::int64_t port_number(const json& action, const json& container) {
  const auto* port = find(action, {"port"});
  if (port == nullptr) return 0;
  if (port->is_number()) return port->get<std::int64_t>();
  for (const auto& each : list_at(container, {"ports"})) {
    if (text_at(each, {"name"}) == port->get<std::string>()) return number_at(each, {"containerPort"});
  }
  try {
    return std::stoll(port->get<std::string>());
  } catch (const std::exception&) {
    return 0;
  }
}

struct connecting {
  int number = -1;
  std::string trouble;
};

connecting connect_to(const std::string& address, std::int64_t port, steady_clock::time_point deadline,
                      const std::function<bool()>& cancelled) {
  const auto where = address + ":" + std::to_string(port);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  if (port < 1 || port > 65535 || ::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1)
    return {.number = -1, .trouble = "not an address: " + where};
  const int number = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (number < 0) return {.number = -1, .trouble = std::strerror(errno)};
  int wrong = ::connect(number, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
  if (wrong == EINPROGRESS) {
    wrong = ETIMEDOUT;
    socklen_t size = sizeof wrong;
    if (wait_for(number, POLLOUT, deadline, cancelled)) ::getsockopt(number, SOL_SOCKET, SO_ERROR, &wrong, &size);
  }
  if (wrong == 0) return {.number = number, .trouble = ""};
  ::close(number);
  return {.number = -1, .trouble = "dial tcp " + where + ": connect: " + std::strerror(wrong)};
}

probe_outcome http_get(const json& get, const probe_target& target, steady_clock::time_point deadline,
                       const std::function<bool()>& cancelled) {
  const auto host = text_at(get, {"host"});
  const auto address = host.empty() || host == "127.0.0.1" || host == "localhost" ? target.address : host;
  const auto port = port_number(get, target.container);
  const auto connected = connect_to(address, port, deadline, cancelled);
  const descriptor socket(connected.number);
  const auto url = "Get \"http://" + address + ":" + std::to_string(port) + text_at(get, {"path"}, "/") + "\": ";
  if (socket.get() < 0) return {.good = false, .message = url + connected.trouble};
  if (text_at(get, {"scheme"}) == "HTTPS") return {.good = true, .message = ""};
  std::string request = "GET " + text_at(get, {"path"}, "/") + " HTTP/1.1\r\nHost: " + address + ":" +
                        std::to_string(port) +
                        "\r\nUser-Agent: kube-probe/1.30\r\nAccept: */*\r\nConnection: close\r\n";
  for (const auto& each : list_at(get, {"httpHeaders"}))
    request += text_at(each, {"name"}) + ": " + text_at(each, {"value"}) + "\r\n";
  request += "\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return {.good = false, .message = url + "write failed"};
  std::string answer;
  std::array<char, 2048> buffer{};
  while (answer.find("\r\n") == std::string::npos && answer.size() < answer_bytes_max) {
    if (!wait_for(socket.get(), POLLIN, deadline, cancelled))
      return {.good = false,
              .message = url + "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"};
    const auto size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) return {.good = false, .message = url + "EOF"};
    answer.append(buffer.data(), static_cast<std::size_t>(size));
  }
  const int status = answer.size() > 12 && answer.starts_with("HTTP/1.") ? std::atoi(answer.c_str() + 9) : 0;
  const bool good = status >= 200 && status < 400;
  return {.good = good, .message = good ? "" : "HTTP probe failed with statuscode: " + std::to_string(status)};
}

probe_outcome run_exec(const json& exec, const probe_target& target, steady_clock::time_point deadline,
                       const std::function<bool()>& cancelled) {
  auto spec = target.exec;
  spec.arguments.clear();
  for (const auto& each : list_at(exec, {"command"}))
    spec.arguments.push_back(target.rewrite(each.get<std::string>()));
  auto started = process::start(spec);
  if (!started) return {.good = false, .message = started.error().context};
  std::string output;
  const auto drain = [&] {
    std::array<char, 2048> buffer{};
    for (ssize_t size = 0; (size = ::read(started->output_descriptor(), buffer.data(), buffer.size())) > 0;) {
      if (output.size() < answer_bytes_max) output.append(buffer.data(), static_cast<std::size_t>(size));
    }
  };
  for (;;) {
    const bool over = wait_for(started->exit_descriptor(), POLLIN,
                               std::min(deadline, steady_clock::now() + look_interval), cancelled);
    drain();
    if (over) break;
    if (steady_clock::now() >= deadline)
      return {.good = false, .message = "command \"" + join(spec.arguments, " ") + "\" timed out"};
    if (cancelled()) return {.good = false, .message = "cancelled"};
  }
  const auto exit = started->reap();
  return {.good = exit && exit->code == 0, .message = output};
}

}  // namespace

probe_outcome run_action(const json& action, const probe_target& target, milliseconds timeout,
                         const std::function<bool()>& cancelled) {
  const auto deadline = steady_clock::now() + timeout;
  if (const auto* get = find(action, {"httpGet"})) return http_get(*get, target, deadline, cancelled);
  if (const auto* exec = find(action, {"exec"})) return run_exec(*exec, target, deadline, cancelled);
  if (const auto* sleep = find(action, {"sleep"})) {
    const auto end = std::min(deadline, steady_clock::now() + std::chrono::seconds(number_at(*sleep, {"seconds"})));
    while (steady_clock::now() < end && !cancelled())
      std::this_thread::sleep_for(look_interval);
    return {.good = true, .message = ""};
  }
  const auto* socket = find(action, {"tcpSocket"});
  const auto* grpc = find(action, {"grpc"});
  if (socket == nullptr && grpc == nullptr)
    return {.good = false, .message = "the probe has none of: httpGet, tcpSocket, exec, grpc"};
  const auto connected = connect_to(target.address, port_number(socket != nullptr ? *socket : *grpc, target.container),
                                    deadline, cancelled);
  const descriptor done(connected.number);
  return {.good = done.get() >= 0, .message = connected.trouble};
}

prober::prober(json probe, probe_target target, report on_change)
    : probe_(std::move(probe)), target_(std::move(target)), report_(std::move(on_change)), thread_([this] { run(); }) {}

prober::~prober() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool prober::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [this] { return stopping_.load(); });
}

void prober::run() {
  const auto seconds = [this](std::string_view field, std::int64_t fallback) {
    return milliseconds(1000 * number_at(probe_, {field}, fallback));
  };
  const auto success_threshold = number_at(probe_, {"successThreshold"}, 1);
  const auto failure_threshold = number_at(probe_, {"failureThreshold"}, 3);
  if (!pause(seconds("initialDelaySeconds", 0))) return;
  std::int64_t successes = 0;
  std::int64_t failures = 0;
  std::optional<bool> told;
  do {
    const auto outcome = run_action(probe_, target_, seconds("timeoutSeconds", 1), [this] { return stopping_.load(); });
    if (stopping_) return;
    successes = outcome.good ? successes + 1 : 0;
    failures = outcome.good ? 0 : failures + 1;
    const bool passed = outcome.good ? successes >= success_threshold : failures >= failure_threshold;
    if (passed && told != outcome.good) {
      told = outcome.good;
      report_(outcome.good, outcome.message);
    }
  } while (pause(seconds("periodSeconds", 10)));
}

}  // namespace orrery::local
