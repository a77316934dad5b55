#include "kube/testing/fake_server.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace orrery::kube::testing {
namespace {

using bio_ptr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using x509_ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using context_ptr = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using ssl_ptr = std::unique_ptr<SSL, decltype(&SSL_free)>;

bio_ptr reader(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

context_ptr make_context(const fake_server::tls_options& options) {
  context_ptr context{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free};
  const auto certificate_bio = reader(options.certificate.certificate);
  const x509_ptr certificate{PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr), &X509_free};
  SSL_CTX_use_certificate(context.get(), certificate.get());
  const auto key_bio = reader(options.certificate.key);
  const key_ptr key{PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
  SSL_CTX_use_PrivateKey(context.get(), key.get());
  if (!options.client_ca.empty()) {
    const auto ca_bio = reader(options.client_ca);
    const x509_ptr ca{PEM_read_bio_X509(ca_bio.get(), nullptr, nullptr, nullptr), &X509_free};
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

class connection final : public fake_connection {
 public:
  connection(int fd, SSL_CTX* context) : fd_(fd) {
    if (!context) return;
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd);
  }
  ~connection() override {
    ssl_.reset();
    ::close(fd_);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  bool handshake() { return !ssl_ || SSL_accept(ssl_.get()) == 1; }

  std::string client_name() {
    if (!ssl_) return {};
    const x509_ptr certificate{SSL_get1_peer_certificate(ssl_.get()), &X509_free};
    if (!certificate) return {};
    std::array<char, 256> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name.data(), name.size());
    return name.data();
  }

  bool write(std::string_view bytes) override {
    while (!bytes.empty() && !dropped_) {
      const auto size = std::min<std::size_t>(bytes.size(), 65536);
      const auto count = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(size))
                              : static_cast<int>(::send(fd_, bytes.data(), size, MSG_NOSIGNAL));
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return !dropped_;
  }

  void drop() override {
    dropped_ = true;
    ::shutdown(fd_, SHUT_RDWR);
  }

  bool peer_left() override {
    pollfd wait{fd_, POLLIN | POLLRDHUP, 0};
    if (::poll(&wait, 1, 2) <= 0) return dropped_;
    char byte = 0;
    return (wait.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 || ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

  void keep_against_the_rules() override { close_asked_ = false; }
  [[nodiscard]] bool closes() const override { return close_asked_; }
  void ask_close(bool asked) { close_asked_ = asked; }
  [[nodiscard]] bool dropped() const { return dropped_; }

  bool read_more(std::string& into) {
    std::array<char, 16384> buffer{};
    const auto count = ssl_ ? SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()))
                            : static_cast<int>(::recv(fd_, buffer.data(), buffer.size(), 0));
    if (count <= 0) return false;
    into.append(buffer.data(), static_cast<std::size_t>(count));
    return true;
  }

 private:
  int fd_;
  ssl_ptr ssl_{nullptr, &SSL_free};
  std::atomic<bool> dropped_{false};
  bool close_asked_ = false;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Reads one request; `rest` holds what came after the one before.
std::optional<fake_request> read_request(connection& from, std::string& rest) {
  std::size_t end = 0;
  while ((end = rest.find("\r\n\r\n")) == std::string::npos) {
    if (!from.read_more(rest)) return std::nullopt;
  }
  fake_request request;
  std::string head = rest.substr(0, end + 2);
  rest.erase(0, end + 4);
  auto line_end = head.find("\r\n");
  const auto first = head.substr(0, line_end);
  const auto space = first.find(' ');
  request.method = first.substr(0, space);
  request.path = first.substr(space + 1, first.rfind(' ') - space - 1);
  for (auto at = line_end + 2; at < head.size(); at = line_end + 2) {
    line_end = head.find("\r\n", at);
    const auto line = head.substr(at, line_end - at);
    const auto colon = line.find(':');
    auto value = line.substr(colon + 1);
    value.erase(0, value.find_first_not_of(' '));
    auto& slot = request.headers[lower(line.substr(0, colon))];
    slot += (slot.empty() ? "" : ", ") + value;
  }
  if (const auto length = request.headers.find("content-length"); length != request.headers.end()) {
    const auto size = static_cast<std::size_t>(std::strtoul(length->second.c_str(), nullptr, 10));
    while (rest.size() < size) {
      if (!from.read_more(rest)) return std::nullopt;
    }
    request.body = rest.substr(0, size);
    rest.erase(0, size);
  }
  return request;
}

}  // namespace

void fake_connection::answer(int status, const std::string& body, const std::string& headers) {
  write("HTTP/1.1 " + std::to_string(status) + " -\r\nContent-Type: application/json\r\n" + headers +
        (closes() ? "Connection: close\r\n" : "") + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
        body);
}

void fake_connection::begin_chunks(int status) {
  write("HTTP/1.1 " + std::to_string(status) + " -\r\nTransfer-Encoding: chunked\r\n\r\n");
}

bool fake_connection::chunk(std::string_view bytes) {
  std::array<char, 24> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return write(size.data()) && write(bytes) && write("\r\n");
}

void fake_connection::end_chunks() { write("0\r\n\r\n"); }

struct fake_server::state {
  handler handle;
  context_ptr context{nullptr, &SSL_CTX_free};
  int listener = -1;
  std::uint16_t port = 0;
  bool tls = false;
  std::atomic<bool> stopping{false};

  mutable std::mutex mutex;
  std::vector<fake_request> requests;
  std::vector<std::shared_ptr<connection>> open;
  std::vector<std::jthread> threads;
  std::size_t accepted = 0;
  std::jthread acceptor;

  void accept() {
    for (;;) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0 || stopping) {
        if (fd >= 0) ::close(fd);
        return;
      }
      const std::lock_guard lock{mutex};
      auto made = std::make_shared<connection>(fd, context.get());
      open.push_back(made);
      threads.emplace_back([this, made, number = static_cast<int>(++accepted)] { serve(*made, number); });
    }
  }

  void serve(connection& at, int number) {
    if (!at.handshake()) return at.drop();
    std::string rest;
    while (!stopping && !at.dropped()) {
      auto request = read_request(at, rest);
      if (!request) break;
      request->connection = number;
      request->client_name = at.client_name();
      {
        const std::lock_guard lock{mutex};
        requests.push_back(*request);
      }
      const auto wanted = request->headers.find("connection");
      at.ask_close(wanted != request->headers.end() && lower(wanted->second).find("close") != std::string::npos);
      handle(*request, at);
      if (at.closes()) break;
    }
    at.drop();
  }
};

fake_server::fake_server(handler handle, std::optional<tls_options> tls) : state_(std::make_shared<state>()) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets that clients have left
  state_->handle = std::move(handle);
  state_->tls = tls.has_value();
  if (tls) state_->context = make_context(*tls);
  state_->listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* const address = reinterpret_cast<sockaddr*>(&at);  // NOLINT: the socket API
  if (::bind(state_->listener, address, sizeof at) != 0 || ::listen(state_->listener, 128) != 0 ||
      ::getsockname(state_->listener, address, &size) != 0) {
    std::perror("fake_server");
    std::abort();
  }
  state_->port = ntohs(at.sin_port);
  state_->acceptor = std::jthread{[at_ = state_.get()] { at_->accept(); }};
}

fake_server::~fake_server() {
  state_->stopping = true;
  ::shutdown(state_->listener, SHUT_RDWR);
  state_->acceptor.join();
  ::close(state_->listener);
  drop_connections();
  state_->threads.clear();
}

void fake_server::drop_connections() {
  const std::lock_guard lock{state_->mutex};
  for (auto& each : state_->open) {
    each->drop();
  }
}

std::string fake_server::url() const {
  return (state_->tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(state_->port);
}
std::uint16_t fake_server::port() const { return state_->port; }
bool fake_server::stopping() const { return state_->stopping; }

std::vector<fake_request> fake_server::requests() const {
  const std::lock_guard lock{state_->mutex};
  return state_->requests;
}

std::size_t fake_server::count(const std::string& method) const {
  const auto all = requests();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&method](const auto& each) { return each.method == method; }));
}

std::size_t fake_server::connections() const {
  const std::lock_guard lock{state_->mutex};
  return state_->accepted;
}

}  // namespace orrery::kube::testing
