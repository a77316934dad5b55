#include "kube/credentials.hpp"

#include "kube/exec_plugin.hpp"

#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

namespace orrery::kube {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds expiry_leeway{20};  // an exec credential is renewed this long before it expires
constexpr std::size_t token_bytes_max = std::size_t{1} << 20;

result<std::string> read_token(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string token{std::istreambuf_iterator<char>{file}, {}};
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  if (token.empty()) return fail(errc::unauthenticated, "token file " + path + ": cannot be read, or is empty");
  // What goes into a header must not break it.
  if (token.size() > token_bytes_max || token.find_first_of("\r\n") != std::string::npos) {
    return fail(errc::unauthenticated, "token file " + path + ": holds no token (one line would be accepted)");
  }
  return token;
}

}  // namespace

struct credentials::state {
  explicit state(cluster_config given) : config(std::move(given)) {}

  const cluster_config config;
  std::mutex mutex;
  std::string file_token;
  clock::time_point file_token_read{};
  bool file_token_fresh = false;
  std::optional<exec_credential> from_plugin;

  // REQUIRES: mutex is held.
  result<void> ensure_plugin_answer() {
    if (!config.exec) return {};
    if (from_plugin && (!from_plugin->expires || *from_plugin->expires - expiry_leeway > wall_now())) return {};
    auto answer = run_exec_plugin(config, exec_timeout);
    if (!answer) return fail(answer.error());
    from_plugin = std::move(*answer);
    return {};
  }
};

credentials::credentials(cluster_config config) : state_(std::make_unique<state>(std::move(config))) {}
credentials::~credentials() = default;

const cluster_config& credentials::config() const noexcept { return state_->config; }

result<std::string> credentials::token() {
  const std::lock_guard lock{state_->mutex};
  const auto& config = state_->config;
  if (!config.token.empty()) return config.token;
  if (!config.token_file.empty()) {
    const auto now = clock::now();
    if (state_->file_token_fresh && now - state_->file_token_read < token_max_age) return state_->file_token;
    auto token = read_token(config.token_file);
    if (!token && state_->file_token.empty()) return token;
    if (token) state_->file_token = std::move(*token);  // else: keep the last; a rotation may be under way
    state_->file_token_read = now;
    state_->file_token_fresh = true;
    return state_->file_token;
  }
  if (auto ready = state_->ensure_plugin_answer(); !ready) return fail(ready.error());
  return state_->from_plugin ? state_->from_plugin->token : std::string{};
}

result<tls_material> credentials::tls() {
  const std::lock_guard lock{state_->mutex};
  const auto& config = state_->config;
  tls_material material;
  const auto read = [](const pem_source& source, std::string& into) -> result<void> {
    auto text = source.read();
    if (!text) return fail(text.error());
    into = std::move(*text);
    return {};
  };
  if (auto done = read(config.ca, material.ca); !done) return fail(done.error());
  if (auto done = read(config.client_certificate, material.certificate); !done) return fail(done.error());
  if (auto done = read(config.client_key, material.key); !done) return fail(done.error());
  if (auto ready = state_->ensure_plugin_answer(); !ready) return fail(ready.error());
  if (state_->from_plugin && !state_->from_plugin->certificate.empty()) {
    material.certificate = state_->from_plugin->certificate;
    material.key = state_->from_plugin->key;
  }
  return material;
}

void credentials::invalidate() {
  const std::lock_guard lock{state_->mutex};
  state_->file_token_fresh = false;
  state_->from_plugin.reset();
}

}  // namespace orrery::kube
