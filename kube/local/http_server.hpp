#pragma once
#include "kube/local/certs.hpp"
#include "kube/local/http.hpp"
#include "mesh/base/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace orrery::local {

/// An HTTP/1.1 server over TLS on 127.0.0.1: one thread per connection, at most `connections_max`, deadlines on every
/// read and write. Answers come from `handler`, called on the connection's thread.
class http_server {
 public:
  struct options {
    std::uint16_t port = 0;  ///< 0: any
    key_pair certificate;
    std::string client_authority;  ///< PEM; client certificates are optional, and checked against this
    std::function<http_response(const http_request&)> handler;
    std::function<bool()> refuse;  ///< if it answers true, new connections are closed at once
  };
  [[nodiscard]] static result<std::unique_ptr<http_server>> start(options chosen);

  /// Closes every connection and joins every thread.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  class impl;
  explicit http_server(std::unique_ptr<impl> inner);
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::local
