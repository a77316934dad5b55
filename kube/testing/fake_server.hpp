#pragma once
#include "kube/testing/test_pki.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::kube::testing {

struct fake_request {
  std::string method;
  std::string path;                            ///< with the query
  std::map<std::string, std::string> headers;  ///< names in lower case; values of repeated ones joined by ", "
  std::string body;
  int connection = 0;       ///< which connection it came on, from 1
  std::string client_name;  ///< common name of the client's certificate

  /// Whether the path and query contain that.
  [[nodiscard]] bool has(std::string_view text) const { return path.find(text) != std::string::npos; }
};

/// The server's end of one connection, given to a handler. Writing to a peer that has left does nothing.
class fake_connection {
 public:
  virtual ~fake_connection() = default;

  virtual bool write(std::string_view bytes) = 0;  ///< as they are; false if the peer has left
  virtual void drop() = 0;                         ///< closes the connection now, in the midst of whatever it is
  [[nodiscard]] virtual bool peer_left() = 0;
  /// Keeps the connection after "Connection: close", against the rules.
  virtual void keep_against_the_rules() = 0;
  [[nodiscard]] virtual bool closes() const = 0;  ///< the request asked to close the connection after the answer

  void answer(int status, const std::string& body, const std::string& headers = {});  ///< headers end in \r\n each
  void begin_chunks(int status = 200);
  bool chunk(std::string_view bytes);
  void end_chunks();
};

/// An HTTP/1.1 server on loopback that does what a test tells it, wrong things too. One thread per connection; the
/// handler runs on it for each request, and the next is read when it returns.
class fake_server {
 public:
  using handler = std::function<void(const fake_request&, fake_connection&)>;
  struct tls_options {
    test_certificate certificate;
    std::string client_ca;  ///< ask clients for certificates that this has signed; empty: do not ask
  };

  explicit fake_server(handler handle, std::optional<tls_options> tls = std::nullopt);
  ~fake_server();  ///< drops all connections
  fake_server(const fake_server&) = delete;
  fake_server& operator=(const fake_server&) = delete;

  [[nodiscard]] std::string url() const;  ///< "http://127.0.0.1:PORT"
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::vector<fake_request> requests() const;  ///< so far
  [[nodiscard]] std::size_t count(const std::string& method) const;
  [[nodiscard]] std::size_t connections() const;
  void drop_connections();
  /// True once the server is being destroyed: handlers that wait must end then.
  [[nodiscard]] bool stopping() const;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace orrery::kube::testing
