#pragma once
#include "kube/status.hpp"
#include "mesh/base/random.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::kube {

struct watch_machine_options {
  std::chrono::milliseconds backoff_min{800};
  std::chrono::milliseconds backoff_max{30'000};
  std::chrono::seconds retry_after_max{300};  ///< a server may not ask for more
  std::chrono::seconds watch_timeout_min{300};
  std::chrono::seconds watch_timeout_max{600};
  std::uint64_t seed = 1;
};

/// The decisions of an informer: whether to list or to watch next, from which resource version, and after which pause.
/// Pure: told what happened, and for how long; has no clock and does no I/O. Not thread-safe.
///
/// - Everything starts with a list; its resource version starts the watch; each event and bookmark advances it.
/// - A watch that ends, or a connection that breaks, is resumed from there, however often.
/// - 410 Gone, as a status or as an ERROR event, means list again. So do other refusals that a new list may cure, and
///   `refusals_before_list` of any kind in a row (a server restored from a backup knows no version of ours).
/// - Failures in a row are paused for, doubling with jitter; a server that asks for a pause gets at least that, up to
///   `retry_after_max`. What counts as a success is a watch that brought something or lasted `healthy_watch`: not a
///   list alone, so that a storm of 410 does not become a storm of lists.
class watch_machine {
 public:
  static constexpr std::chrono::seconds healthy_watch{1};
  static constexpr std::uint32_t refusals_before_list = 5;

  explicit watch_machine(const watch_machine_options& options);

  struct action {
    enum class kind : std::uint8_t { list, watch };
    kind what = kind::list;
    std::chrono::milliseconds pause{0};  ///< wait this long first
    std::string resource_version{};      ///< of a watch
    std::chrono::seconds timeout{0};     ///< of a watch: ask the server to end it then
  };
  /// What to do now. The same answer until something is reported.
  [[nodiscard]] const action& next() const noexcept { return next_; }

  void listed(std::string resource_version);
  /// `status` says what the server asked for; empty where it did not answer.
  void list_failed(const api_status& status);

  enum class verdict : std::uint8_t { store, skip, end };
  /// An event of the watch. `type` is its type, `version` its object's resourceVersion; an ERROR's object is `status`.
  /// `store`: apply it; `skip`: nothing to apply; `end`: give this watch up, then report watch_ended.
  [[nodiscard]] verdict on_event(std::string_view type, std::string_view version, const api_status& status);
  /// A line that is no event: give this watch up, then report watch_ended.
  void on_garbage() noexcept { ending_ = ending::broken; }

  /// The watch is over: the server ended it, or we did after `end`, or it broke (`failed`), or it never began
  /// (`refused`).
  void watch_ended(std::chrono::milliseconds lasted);
  void watch_failed(std::chrono::milliseconds lasted);
  void watch_refused(const api_status& status);

  /// Failures in a row; 0 when all is well.
  [[nodiscard]] std::uint32_t failures() const noexcept { return failures_; }

 private:
  enum class ending : std::uint8_t { normal, broken, expired, error };

  void plan_list(bool after_failure, const api_status* status = nullptr);
  void plan_watch(bool after_failure, const api_status* status = nullptr);
  std::chrono::milliseconds pause_for(const api_status* status);
  void refused(const api_status& status);
  void note_health(std::chrono::milliseconds lasted);

  watch_machine_options options_;
  seeded_random random_;
  action next_;
  std::string version_;
  std::uint32_t failures_ = 0;
  std::uint32_t refusals_ = 0;
  bool brought_something_ = false;
  ending ending_ = ending::normal;
  api_status error_;
};

}  // namespace orrery::kube
