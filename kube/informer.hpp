#pragma once
#include "kube/resource.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orrery::kube {

class client;

/// An object as it was seen; shared, never changed.
using object_ptr = std::shared_ptr<const json>;

struct informer_options {
  std::string ns{};  ///< empty: all namespaces
  std::string label_selector{};
  std::string field_selector{};
  std::chrono::seconds resync{0};              ///< call `updated` for everything this often; 0: never
  std::chrono::milliseconds backoff_min{800};  ///< doubles per failure, with jitter, up to:
  std::chrono::milliseconds backoff_max{30'000};
  std::chrono::seconds watch_timeout_min{300};  ///< the server is asked to end a watch after this to twice this
  std::uint64_t seed = 0;                       ///< of the jitter; 0: from the operating system
  std::function<void(json&)> trim{};  ///< drops what need not be kept; metadata.managedFields is always dropped
};

/// Called one at a time, on the informer's thread. They should hand work on (a work_queue), not do it.
struct informer_handlers {
  std::function<void(const object_ptr& now)> added{};
  std::function<void(const object_ptr& before, const object_ptr& now)> updated{};
  std::function<void(const object_ptr& last)> removed{};
  std::function<void()> synced{};  ///< after the first list, and after what it added was handled
};

struct informer_health {
  bool synced = false;
  /// When the server last answered a list or watch of ours, or sent a line; epoch if never.
  std::chrono::steady_clock::time_point last_contact{};
  /// A list or watch is being served: what the server has, we have, or will in a moment.
  bool connected = false;
  std::string last_error{};  ///< of the latest failure, empty after a success
  std::uint64_t lists = 0;
  std::uint64_t watches = 0;
  std::uint64_t events = 0;
  std::uint64_t bookmarks = 0;
  std::uint64_t failures = 0;
};

/// Keeps a copy of all objects of one kind that match, by one list and then a watch that is resumed for ever.
///
/// The store only ever changes by what the server said: an error, a timeout or a broken stream never removes an object.
/// After a gap (410 Gone, as a status or inside the stream) it lists again and reports the difference, removals
/// included. Owns one thread from start() to stop(). All methods are thread-safe.
class informer {
 public:
  informer(client& api, resource kind, informer_options options = {}, informer_handlers handlers = {});
  ~informer();  ///< stops
  informer(const informer&) = delete;
  informer& operator=(const informer&) = delete;

  void start();
  /// Returns when the thread has ended: at once, also in the midst of a request. No handler is called afterwards.
  /// Must not be called from a handler.
  void stop();

  [[nodiscard]] object_ptr get(const object_key& key) const;  ///< null if there is none
  [[nodiscard]] std::vector<object_ptr> list() const;         ///< ordered by key
  [[nodiscard]] std::size_t size() const;

  [[nodiscard]] bool has_synced() const;
  /// Waits until has_synced(); false after `timeout`.
  [[nodiscard]] bool wait_synced(std::chrono::milliseconds timeout) const;
  [[nodiscard]] informer_health health() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace orrery::kube
