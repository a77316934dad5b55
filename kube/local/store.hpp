#pragma once
#include "kube/local/json.hpp"
#include "kube/local/status.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orrery::local {

using object_ptr = std::shared_ptr<const json>;

/// Where an object is: the bucket ("pods", "processmeshes.orrery.dev"), its namespace ("" when cluster-wide) and name.
struct object_key {
  std::string bucket;
  std::string space;
  std::string name;
  friend auto operator<=>(const object_key&, const object_key&) = default;
};

enum class change { added, modified, deleted };

/// One change of one object, in the order of resource versions.
struct store_event {
  std::uint64_t version = 0;
  change kind = change::added;
  object_ptr object;
  object_ptr before;  ///< null when added
};

struct listing {
  std::uint64_t version = 0;
  std::vector<object_ptr> objects;  ///< by namespace, then name
};

/// What a writer decides for one object: keep it as it is, put another in its place, or remove it.
struct decision {
  enum class action { keep, put, remove } what = action::keep;
  json object;  ///< the new state for put; the last state for remove
};

/// Objects with resource versions and a bounded history of changes, in memory. Every write gets the next version of one
/// counter, so versions order all changes. Thread-safe. Objects are immutable and shared.
class store {
 public:
  struct options {
    std::size_t history_max = 4096;  ///< changes kept per bucket; a watch from before them gets 410
    std::uint64_t first_version = 1;
  };
  explicit store(options chosen);

  [[nodiscard]] object_ptr get(const object_key& key) const;
  [[nodiscard]] listing list(const std::string& bucket, const std::string& space = "") const;
  [[nodiscard]] std::uint64_t version() const;
  /// The version of the last change in a bucket; 0 when there was none.
  [[nodiscard]] std::uint64_t last_change(const std::string& bucket) const;

  /// Runs `decide` on the object (null when there is none) with the store locked; it must not call the store.
  /// Answers the object afterwards: for remove, its last state; for keep, as it was (may be null).
  reply<object_ptr> write(const object_key& key, const std::function<reply<decision>(const object_ptr&)>& decide);

  /// The changes of a bucket after `version`, at most `count_max`. 410 when the history no longer reaches back so far.
  /// Blocks until there is one, or the deadline, or stop(): then empty.
  reply<std::vector<store_event>> changes(const std::string& bucket, std::uint64_t version, std::size_t count_max,
                                          std::chrono::steady_clock::time_point deadline);

  /// Blocks until anything outside of `ignored` buckets changed after `version`; answers the version now.
  std::uint64_t wait_any(std::uint64_t version, const std::vector<std::string>& ignored,
                         std::chrono::steady_clock::time_point deadline);

  /// Forgets all history: every watch from an earlier version gets 410. (A fault to inject.)
  void compact();
  /// Wakes every waiter for good.
  void stop();
  [[nodiscard]] bool stopped() const;

 private:
  struct bucket_state {
    std::map<std::pair<std::string, std::string>, object_ptr> objects;
    std::deque<store_event> history;
    std::uint64_t forgotten = 0;  ///< versions up to here are no longer held
    std::uint64_t last = 0;
    std::condition_variable changed;
  };
  bucket_state& bucket(const std::string& name) const;

  options options_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::unique_ptr<bucket_state>> buckets_;
  std::condition_variable any_changed_;
  std::uint64_t version_;
  bool stopped_ = false;
};

}  // namespace orrery::local
