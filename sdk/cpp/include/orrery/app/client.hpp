#pragma once
#include "orrery/app/process_class.hpp"
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::app {

struct client_options {
  std::string socket;  ///< path of the sidecar's Unix socket; empty: $ORRERY_SOCKET
  std::string tcp;     ///< IP:PORT, where there is no socket; empty: $ORRERY_TCP
  std::string name = "orrery-cpp/0.1";
  unsigned workers = 0;  ///< threads that run handlers of hosted classes; 0: two for each core
  /// How long an operation waits for a connection before it fails, not executed.
  std::chrono::milliseconds connect_timeout{10'000};
  /// Told of connections that come and go and of refused registrations, on the connection's thread. Default: stderr.
  std::function<void(const std::string&)> log;
};

struct call_options {
  std::chrono::milliseconds timeout{0};  ///< 0: the class' call timeout
  std::string trace;                     ///< W3C traceparent
};

/// An outcome: the reply, or why there is none.
struct outcome {
  json reply;
  std::unique_ptr<error> failure;
};

/// A connection to the sidecar of this pod, kept up by a thread of its own: it dials again, and registers its classes
/// again. Any thread may use it. What was under way when a connection ended fails with `unavailable`, effect unknown.
/// Operations throw `error`.
class client {
 public:
  explicit client(client_options options = {});
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// `name` is "class/key".
  json call(std::string_view name, std::string_view method, json argument = nullptr, const call_options& how = {});
  /// As call; `done` runs on the connection's thread and must not wait for other operations.
  void call_async(std::string_view name, std::string_view method, json argument, const call_options& how,
                  std::function<void(outcome)> done);
  /// From within a handler: refused where it would wait for itself.
  json call_from(const context& self, std::string_view name, std::string_view method, json argument = nullptr);
  /// Returns when the sidecar has accepted it.
  void cast(std::string_view name, std::string_view method, json argument = nullptr);
  json inspect(std::string_view name);
  bool stop(std::string_view name);
  bool kill(std::string_view name, std::string_view reason = {});
  /// Any request of docs/sdk-protocol.md: its fields without `id`.
  json request(json message);
  /// `seen` runs on the connection's thread for each event of these types (none: all), from then on, also after a new
  /// connection; what happened between two is missed.
  void subscribe(std::vector<std::string> types, std::function<void(const std::string& type, const json& data)> seen);

  /// Hosts a class from now on.
  void host(process_class what);
  /// Takes no new work, and waits until what there is has been done. False: not within `timeout`.
  bool drain(std::chrono::milliseconds timeout);

  /// Waits for a connection whose classes are registered. False: not within `timeout`.
  bool wait_connected(std::chrono::milliseconds timeout);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::app
