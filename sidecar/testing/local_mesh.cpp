#include "sidecar/testing/local_mesh.hpp"

#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace orrery::sidecar::fixtures {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr auto poll_interval = milliseconds{5};

void write_file(const fs::path& at, const std::string& text) {
  fs::create_directories(at.parent_path());
  const auto staged = at.string() + ".new";  // never half a file where a watcher looks
  std::ofstream(staged) << text;
  fs::rename(staged, at);
}

/// An address that no other test process of now uses.
std::string loopback(std::size_t instance, std::size_t node) {
  const auto id = static_cast<unsigned>(getpid()) % 16384U;
  return "127." + std::to_string(64 + id / 128) + "." + std::to_string(1 + id % 128) + "." +
         std::to_string(1 + (instance * 16 + node) % 250);
}

class socket_fd {
 public:
  socket_fd(const std::string& ip, std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    inet_pton(AF_INET, ip.c_str(), &to.sin_addr);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~socket_fd() { ::close(fd_); }
  socket_fd(const socket_fd&) = delete;
  socket_fd& operator=(const socket_fd&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  bool write(const std::string& text) const {
    std::size_t sent = 0;
    while (sent < text.size()) {
      const auto n = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }
  [[nodiscard]] std::string read_all(steady_clock::time_point deadline) const {
    std::string out;
    std::array<char, 65536> chunk{};
    while (true) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
      pollfd waiting{fd_, POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return out;
      const auto n = ::recv(fd_, chunk.data(), chunk.size(), 0);
      if (n <= 0) return out;
      out.append(chunk.data(), static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_;
  bool connected_ = false;
};

reply exchange(const std::string& ip, std::uint16_t port, const std::string& method, const std::string& target,
               const std::string& body, milliseconds timeout) {
  const socket_fd socket(ip, port);
  if (!socket.connected()) return {};
  socket.write(method + " " + target + " HTTP/1.1\r\nHost: " + ip +
               "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const auto text = socket.read_all(steady_clock::now() + timeout);
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.size() < 12) return {};
  return {std::stoi(text.substr(9, 3)), text.substr(end + 4), text.substr(0, end)};
}

std::string text_of(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

}  // namespace

local_mesh::local_mesh(local_mesh_options options) : options_(std::move(options)) {
  static std::size_t instances = 0;
  const auto instance = instances++;
  root_ = fs::temp_directory_path() / ("orrery-mesh-" + std::to_string(getpid()) + "-" + std::to_string(instance));
  fs::remove_all(root_);
  auto made = pki::make_authority("default", "demo", std::chrono::system_clock::now(), std::chrono::hours{24});
  if (!made) throw std::runtime_error(to_string(made.error()));
  authority_ = *std::move(made);
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    nodes_.push_back({"demo-" + std::to_string(i), loopback(instance, i), 0});
  }
  write_config(options_.classes);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    write_file(directory(i) / "genesis.yaml", "meshID: 11111111-2222-3333-4444-555555555555\nmembers: []\n");
    write_file(directory(i) / "tls" / "ca.crt", authority_.certificate_pem);
    issue_certificate(i, std::chrono::hours{1});
    start(i);
  }
}

local_mesh::~local_mesh() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].pid == 0) continue;
    ::kill(nodes_[i].pid, SIGKILL);
    ::waitpid(nodes_[i].pid, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

void local_mesh::write_config(const std::string& classes) {
  std::string peers;
  for (const auto& each : nodes_) {
    peers += "    - {name: " + each.name + ", uid: uid-" + each.name + ", address: \"" + each.ip + ":3601\"}\n";
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    write_file(directory(i) / "config.yaml",
               "mesh: {name: demo, namespace: default}\ndiscovery:\n  mode: static\n  peers:\n" + peers +
                   options_.settings + "classes:\n" + classes);
  }
}

void local_mesh::issue_certificate(std::size_t node, std::chrono::seconds valid_for) {
  const auto issued =
      pki::issue(authority_, {"default", "demo", name(node)}, std::chrono::system_clock::now(), valid_for);
  if (!issued) throw std::runtime_error(to_string(issued.error()));
  write_file(directory(node) / "tls" / "tls.key", issued->key_pem);
  write_file(directory(node) / "tls" / "tls.crt", issued->certificate_pem);
}

void local_mesh::start(std::size_t node) {
  const auto at = directory(node);
  const auto config = (at / "config.yaml").string();
  const auto genesis = (at / "genesis.yaml").string();
  const auto tls = (at / "tls").string();
  const auto log_path = (at / "log").string();
  const auto ended_path = (at / "termination-log").string();
  write_file(ended_path, "");  // as a kubelet does
  const auto sdk = ip(node) + ":3600";
  const auto socket = sdk_socket(node);
  const auto stream = sdk_stream(node);
  const auto uid = "uid-" + name(node);
  const std::vector<const char*> arguments{options_.binary.c_str(),
                                           "--config",
                                           config.c_str(),
                                           "--genesis",
                                           genesis.c_str(),
                                           "--tls",
                                           tls.c_str(),
                                           "--sdk",
                                           sdk.c_str(),
                                           "--sdk-socket",
                                           socket.c_str(),
                                           "--sdk-stream",
                                           stream.c_str(),
                                           "--listen",
                                           ip(node).c_str(),
                                           "--pod-name",
                                           nodes_[node].name.c_str(),
                                           "--pod-uid",
                                           uid.c_str(),
                                           "--termination-log",
                                           ended_path.c_str(),
                                           nullptr};
  const auto parent = getpid();
  const auto child = ::fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    const int out = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
    _exit(127);
  }
  nodes_[node].pid = child;
}

std::string local_mesh::log(std::size_t node) const { return text_of(directory(node) / "log"); }
std::string local_mesh::last_word(std::size_t node) const { return text_of(directory(node) / "termination-log"); }

void local_mesh::signal(std::size_t node, int number) const { ::kill(nodes_[node].pid, number); }

std::optional<int> local_mesh::wait_exit(std::size_t node, milliseconds timeout) {
  std::optional<int> out;
  eventually(timeout, [&] {
    int status = 0;
    if (::waitpid(nodes_[node].pid, &status, WNOHANG) != nodes_[node].pid) return false;
    out = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    nodes_[node].pid = 0;
    return true;
  });
  return out;
}

bool local_mesh::eventually(milliseconds timeout, const std::function<bool()>& condition) {
  const auto deadline = steady_clock::now() + timeout;
  while (!condition()) {
    if (steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(poll_interval);
  }
  return true;
}

bool local_mesh::wait_ready(milliseconds timeout) const {
  return eventually(timeout, [&] {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].pid != 0 && ask_admin(i, "/readyz").status != 200) return false;
    }
    return true;
  });
}

reply local_mesh::ask(std::size_t node, const std::string& method, const std::string& target, const std::string& body,
                      milliseconds timeout) const {
  return exchange(ip(node), 3600, method, target, body, timeout);
}

reply local_mesh::ask_admin(std::size_t node, const std::string& target) const {
  return exchange(ip(node), 3602, "GET", target, {}, std::chrono::seconds{5});
}

std::string local_mesh::send_raw(std::size_t node, const std::string& bytes, milliseconds timeout,
                                 std::uint16_t port) const {
  const socket_fd socket(ip(node), port);
  if (!socket.connected()) return {};
  socket.write(bytes);
  return socket.read_all(steady_clock::now() + timeout);
}

}  // namespace orrery::sidecar::fixtures
