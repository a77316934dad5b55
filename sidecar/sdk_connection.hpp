#pragma once
// One connection of an SDK client, whatever carries it: gives its session what arrives and does what that wants, and
// decides nothing but when to stop reading. sdk_stream and sdk_websocket are the carriers.
#include "mesh/sdk/session.hpp"
#include "sidecar/metrics.hpp"
#include "sidecar/node_access.hpp"
#include "sidecar/sdk_turns.hpp"
#include "sidecar/write_queue.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery::sidecar {

/// Who has the connections; outlives them, or `abandon`s them.
class sdk_owner {
 public:
  sdk_owner() = default;
  sdk_owner(const sdk_owner&) = delete;
  sdk_owner& operator=(const sdk_owner&) = delete;
  virtual ~sdk_owner() = default;
  virtual void closing(process::app_id which) = 0;
  /// It broke the rules, or did not read or answer.
  virtual void ended_it(const error& why) = 0;
  /// Much waits to be written to one of them: somebody ends if it is too much in all.
  virtual void bound_unwritten() = 0;
  [[nodiscard]] virtual sdk_turns& turns() = 0;
};

/// What every connection needs.
struct sdk_place {
  sdk_owner& owner;
  node_access& node;
  metrics& counted;
  sdk::greeting greeting;
  process::app_id id;
  std::function<std::chrono::steady_clock::time_point()> now =
      std::chrono::steady_clock::now;  ///< tests have their own
};

/// Lives as long as one of its operations is under way. Used on the io_context's thread.
class sdk_connection : public turn_taker, public std::enable_shared_from_this<sdk_connection> {
 public:
  static constexpr std::size_t unread_max = 4U << 20U;      ///< waiting to be written: no more is read
  static constexpr std::size_t watched_from = 256U << 10U;  ///< waiting to be written: it counts for the bound of all
  static constexpr std::size_t reported_at = 64U << 10U;    ///< bytes of messages that have left: the node is told
  static constexpr std::size_t unwritten_max = 32U << 20U;  ///< waiting to be written: the connection ends
  static constexpr std::chrono::seconds stall_max{30};      ///< nothing of it is taken for so long
  static constexpr std::chrono::seconds farewell_max{1};    ///< for the last bytes to leave

  ~sdk_connection() override = default;
  sdk_connection(const sdk_connection&) = delete;
  sdk_connection& operator=(const sdk_connection&) = delete;

  virtual void start() { opened(); }
  void told(const process::app_effect& what);
  void happened(std::string_view type, const value& data);
  void tick();
  /// Says goodbye, and closes when that is out.
  void end(const error& why);
  /// Closes at once; nobody is told.
  void abandon();
  /// It does not read what waits for it, and is given up for this reason.
  void give_up(const error& why);
  [[nodiscard]] std::size_t unwritten() const noexcept { return queue_.unwritten(); }
  [[nodiscard]] bool follows_events() const noexcept { return session_.follows_events(); }

 protected:
  explicit sdk_connection(sdk_place at);

  /// The kernel is to keep little that it cannot send yet: what a slow client takes is then seen as it takes it. Of a
  /// socket that is not TCP, nothing.
  static void see_progress(int socket) noexcept;

  // ---- what a carrier does; its operations keep the connection alive ----

  /// Ends in `has_read` or in `lost`.
  virtual void begin_read() = 0;
  /// Of `to_write`, from its beginning, as much as it likes. Ends in `has_written` or in `lost`.
  virtual void begin_write() = 0;
  /// All is written, and nothing follows: the other side is to see that. Ends in `shut`, if not in farewell_max.
  virtual void begin_farewell(errc why) = 0;
  virtual void close_socket() = 0;

  // ---- what it tells ----

  /// From now on bytes can go both ways.
  void opened();
  /// `feed(session, now, outputs)` hands over what was read.
  template <class Feed>
  void has_read(const Feed& feed) {
    reading_ = false;
    if (owner_ == nullptr) return;
    sdk::outputs todo;
    feed(session_, core_now(), todo);
    perform(todo);
    go_on();
  }
  /// So many bytes of it have left.
  void has_written(std::size_t count);
  /// `broken`: the client is to blame.
  void lost(const std::string& why, bool broken = false);
  void shut();
  /// Of a sign of life that is no frame.
  void heard_from() { session_.heard_from(core_now()); }

  [[nodiscard]] write_queue& to_write() noexcept { return queue_; }
  [[nodiscard]] sdk::encoding speaks() const noexcept { return session_.speaks(); }

 private:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] time_point core_now() const;
  void read();
  void write();
  void report_written();
  /// Takes frames that are here, when its turn comes; then reads more.
  void go_on();
  [[nodiscard]] bool take_frames(clock::time_point until) override;
  void perform(sdk::outputs& todo);
  void perform(sdk::send& todo);
  void perform(sdk::ask& todo);
  void perform(sdk::withdraw& todo);
  void perform(sdk::abandon& todo);
  void perform(sdk::tell_node& todo);
  void log_apps(const process::app_event& what);
  [[nodiscard]] std::int64_t number() const noexcept { return static_cast<std::int64_t>(id_.value); }
  void perform(sdk::close& todo);

  sdk_owner* owner_;  ///< null once it is shut
  node_access& node_;
  metrics& counted_;
  process::app_id id_;
  std::function<clock::time_point()> now_;
  sdk::session session_;
  bool opened_ = false;
  bool reading_ = false;
  bool writing_ = false;
  write_queue queue_;
  std::size_t registered_ = 0;  ///< classes, ever
  clock::time_point progress_;  ///< something left then, or waited for nothing else
  std::optional<clock::time_point> closing_since_;
  errc closing_because_ = errc::cancelled;
  std::unordered_map<std::uint64_t, node::request_id> asked_;  ///< by the client's numbers. Never iterated
};

}  // namespace orrery::sidecar
