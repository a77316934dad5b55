#include "kube/exec_plugin.hpp"

#include "kube/resource.hpp"
#include "kube/tls_environment.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace orrery::kube {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t output_bytes_max = std::size_t{1} << 20;
constexpr std::size_t stderr_bytes_shown = 1000;

struct pipe_end {
  int fd = -1;
  pipe_end() = default;
  pipe_end(const pipe_end&) = delete;
  pipe_end& operator=(const pipe_end&) = delete;
  ~pipe_end() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

struct output {
  std::string out;
  std::string err;
  bool timed_out = false;
};

error refused(const exec_plugin& plugin, std::string why) {
  std::string context = "exec plugin " + plugin.command + ": " + std::move(why);
  if (!plugin.install_hint.empty()) context += "\n" + plugin.install_hint;
  return {errc::unauthenticated, std::move(context)};
}

// The parent's environment without what initialize() put there, plus the plugin's own.
std::vector<std::string> environment_for(const cluster_config& config) {
  const auto& plugin = *config.exec;
  json info = {{"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", {{"interactive", false}}}};
  if (plugin.provide_cluster_info) {
    info["spec"]["cluster"] = {{"server", config.server}, {"insecure-skip-tls-verify", config.insecure}};
    if (!config.tls_server_name.empty()) info["spec"]["cluster"]["tls-server-name"] = config.tls_server_name;
  }
  std::vector<std::string> all;
  const auto overridden_by_plugin = [&plugin](std::string_view entry) {
    const auto name = entry.substr(0, entry.find('='));
    for (const auto& pair : plugin.env) {
      if (pair.first == name) return true;
    }
    return name == "KUBERNETES_EXEC_INFO";
  };
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view entry{*at};
    if (!overridden_by_plugin(entry) && !is_our_tls_variable(entry.substr(0, entry.find('=')))) all.emplace_back(entry);
  }
  for (auto& entry : users_tls_variables()) {
    if (!overridden_by_plugin(entry)) all.push_back(std::move(entry));
  }
  for (const auto& [name, value] : plugin.env) {
    all.push_back(name + "=" + value);
  }
  all.push_back("KUBERNETES_EXEC_INFO=" + info.dump());
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) {
    all.push_back(text.data());
  }
  all.push_back(nullptr);
  return all;
}

// Reads both pipes until they are closed or the deadline has passed.
output collect(int out, int err, clock::time_point deadline) {
  output got;
  std::array<pollfd, 2> waits{pollfd{out, POLLIN, 0}, pollfd{err, POLLIN, 0}};
  std::array<char, 4096> buffer{};
  while (waits[0].fd >= 0 || waits[1].fd >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    if (left <= 0) {
      got.timed_out = true;
      return got;
    }
    if (::poll(waits.data(), waits.size(), static_cast<int>(left)) < 0 && errno != EINTR) return got;
    for (std::size_t i = 0; i < waits.size(); ++i) {
      if (waits[i].fd < 0 || waits[i].revents == 0) continue;
      const auto count = ::read(waits[i].fd, buffer.data(), buffer.size());
      auto& text = i == 0 ? got.out : got.err;
      if (count <= 0) {
        if (count < 0 && errno == EINTR) continue;
        waits[i].fd = -1;
      } else if (text.size() < output_bytes_max) {
        text.append(buffer.data(), static_cast<std::size_t>(count));
      }
    }
  }
  return got;
}

// Waits for the child; kills it when the deadline has passed. Its exit status, or -1 if it was killed.
int reap(pid_t child, clock::time_point deadline) {
  int status = 0;
  for (;;) {
    const auto done = ::waitpid(child, &status, WNOHANG);
    if (done == child) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (done < 0 && errno != EINTR) return -1;
    if (clock::now() >= deadline) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
}

result<std::string> run(const cluster_config& config, std::chrono::milliseconds timeout) {
  const auto& plugin = *config.exec;
  const auto deadline = clock::now() + timeout;
  pipe_end out_read, out_write, err_read, err_write;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(refused(plugin, std::strerror(errno)));
  out_read.fd = ends[0];
  out_write.fd = ends[1];
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(refused(plugin, std::strerror(errno)));
  err_read.fd = ends[0];
  err_write.fd = ends[1];

  auto environment = environment_for(config);
  std::vector<std::string> arguments{plugin.command};
  arguments.insert(arguments.end(), plugin.args.begin(), plugin.args.end());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out_write.fd, 1);
  posix_spawn_file_actions_adddup2(&actions, err_write.fd, 2);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, plugin.command.c_str(), &actions, nullptr, pointers(arguments).data(),
                                    pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail(refused(plugin, std::string{"cannot be started: "} + std::strerror(failed)));

  out_write.close();
  err_write.close();
  auto got = collect(out_read.fd, err_read.fd, deadline);
  const int status = reap(child, got.timed_out ? clock::now() : deadline);
  if (got.timed_out || status != 0) {
    auto why = got.timed_out ? "gave no answer within " + std::to_string(timeout.count()) + " ms"
                             : "failed with exit status " + std::to_string(status);
    if (!got.err.empty()) why += ": " + got.err.substr(0, stderr_bytes_shown);
    return fail(refused(plugin, why));
  }
  return std::move(got.out);
}

}  // namespace

result<exec_credential> parse_exec_credential(std::string_view text, std::string_view api_version) {
  const auto answer = json::parse(text, nullptr, false);
  if (answer.is_discarded())
    return fail(errc::unauthenticated, "its answer is not JSON; an ExecCredential would be accepted");
  if (text_at(answer, {"kind"}) != "ExecCredential" || text_at(answer, {"apiVersion"}) != api_version) {
    return fail(errc::unauthenticated, "its answer is '" + std::string{text_at(answer, {"kind"})} + "' of '" +
                                           std::string{text_at(answer, {"apiVersion"})} + "'; an ExecCredential of '" +
                                           std::string{api_version} + "' would be accepted");
  }
  exec_credential credential{.token = std::string{text_at(answer, {"status", "token"})},
                             .certificate = std::string{text_at(answer, {"status", "clientCertificateData"})},
                             .key = std::string{text_at(answer, {"status", "clientKeyData"})},
                             .expires = parse_time(text_at(answer, {"status", "expirationTimestamp"}))};
  if (credential.token.empty() && credential.certificate.empty()) {
    return fail(errc::unauthenticated, "its answer has neither status.token nor status.clientCertificateData");
  }
  if (credential.certificate.empty() != credential.key.empty()) {
    return fail(errc::unauthenticated, "its answer has only one of clientCertificateData and clientKeyData");
  }
  return credential;
}

result<exec_credential> run_exec_plugin(const cluster_config& config, std::chrono::milliseconds timeout) {
  auto text = run(config, timeout);
  if (!text) return fail(text.error());
  auto credential = parse_exec_credential(*text, config.exec->api_version);
  if (!credential) return fail(refused(*config.exec, credential.error().context));
  return credential;
}

}  // namespace orrery::kube
