#pragma once
#include <chrono>
#include <string_view>

namespace orrery::app {

/// What a client tells of itself, to be counted by whatever the program counts with. Implement what you want to know.
/// Called from any of the client's threads and from those that call it, several at a time: be quick, do not block, and
/// wait for no operation of this client. What is thrown is logged, and goes no further. Texts are valid during the call
/// only. Labels are bounded by construction: operations, classes, methods and codes, never keys.
class metrics {
 public:
  metrics() = default;
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;
  virtual ~metrics() = default;

  virtual void connected(std::string_view node) { static_cast<void>(node); }
  /// Once for each connected(). `reason` is a text for people, and no label.
  virtual void disconnected(std::string_view reason) { static_cast<void>(reason); }
  /// A request of ours that somebody waited for has ended, each try for itself. `operation` is "call", "cast",
  /// "start", ...; class and method are empty where it has none; `code` is "ok" or the error's.
  struct request {
    std::string_view operation;
    std::string_view class_name;
    std::string_view method;
    std::string_view code;
    std::chrono::nanoseconds took;
  };
  virtual void requested(const request& ended) { static_cast<void>(ended); }
  /// A hosted process has handled something. `callback` is "call", "cast", "init", ...; `outcome` is "ok", "refused",
  /// "crash" or "cancelled": nobody waited for it any more.
  struct message {
    std::string_view class_name;
    std::string_view callback;
    std::string_view method;
    std::string_view outcome;
    std::chrono::nanoseconds took;
  };
  virtual void handled(const message& done) { static_cast<void>(done); }
};

}  // namespace orrery::app
