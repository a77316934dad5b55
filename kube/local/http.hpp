#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace orrery::local {

/// A request as the API sees it; header names in lower case.
struct http_request {
  std::string method;
  std::string path;  ///< decoded, without the query
  std::map<std::string, std::string, std::less<>> query;
  std::map<std::string, std::string, std::less<>> headers;
  std::string body;
  std::string certificate_user;  ///< CN of a client certificate of our CA; "" without one
  std::vector<std::string> certificate_groups;

  [[nodiscard]] std::string header(std::string_view name) const;
  [[nodiscard]] std::string parameter(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const;
};

/// The open end of an answer that goes on. Used by one thread.
class http_stream {
 public:
  virtual ~http_stream() = default;
  /// False when the client has gone or the server stops: the writer should return.
  virtual bool write(std::string_view chunk) = 0;
  [[nodiscard]] virtual bool open() = 0;
  /// Ends without the orderly last chunk, as a broken connection would.
  virtual void abort() = 0;
};

/// Relay of WebSocket channels to TCP ports: channel 2i carries data of ports[i], 2i+1 its errors (v4.channel.k8s.io).
struct port_forward {
  std::string address;
  std::vector<std::uint16_t> ports;
};

struct http_response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::function<void(http_stream&)> stream;  ///< if set, writes the body in chunks
  std::optional<port_forward> forward;       ///< if set, answered by an upgrade to WebSocket
  bool drop = false;                         ///< close the connection without an answer
};

}  // namespace orrery::local
