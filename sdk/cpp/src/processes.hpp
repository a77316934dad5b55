#pragma once
// The client processes of one client: each belongs to one connection, and ends with it.
#include "orrery/app/client_process.hpp"
#include "requests.hpp"
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace orrery::app {

class session;

/// One of them, opened or not yet. May outlive its session: then it has ended.
class open_process {
 public:
  explicit open_process(session& through) : through_(&through) {}
  virtual ~open_process() = default;
  open_process(const open_process&) = delete;
  open_process& operator=(const open_process&) = delete;

  /// From the session, before the first message.
  void opened(std::uint64_t number, std::string pid, std::shared_ptr<wire> line);
  [[nodiscard]] const std::string& pid() const { return pid_; }

  /// What it is to do: a request without its `process`. Waits for the result. `seen` sees that before any message which
  /// follows, on the connection's thread.
  json act(json message, std::chrono::milliseconds timeout, on_result seen = {}, const std::stop_token& stop = {});
  /// The same for what is of no interest when it fails.
  void tell(json message);
  void close(const exit_reason& why);
  void close_nowait(const exit_reason& why);
  [[nodiscard]] bool has_ended() const;

  /// From the connection's thread, without locks.
  virtual void take(process_message message) = 0;
  /// Once, from any thread.
  void end(const exit_reason& why);
  /// It has room for one more message.
  void taken();

  static constexpr std::uint64_t window = 100;  ///< messages that may come before one is taken

 private:
  virtual void ended(const exit_reason& why) = 0;
  [[nodiscard]] std::shared_ptr<wire> line() const;
  static json closing(const exit_reason& why);

  session* through_;
  std::uint64_t number_ = 0;
  std::string pid_;
  std::shared_ptr<wire> line_;
  mutable std::mutex mutex_;
  std::optional<exit_reason> why_ended_;
  std::uint64_t spent_ = 0;
};

/// All that one connection monitors for `client::monitor`: they share a process.
class monitors : public open_process, public std::enable_shared_from_this<monitors> {
 public:
  using open_process::open_process;
  process_monitor watch(std::string_view to);
  void forget(std::uint64_t number);
  void take(process_message message) override;

 private:
  void ended(const exit_reason& why) override;

  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<process_monitor::watched>> watched_;
};

/// As `client::lead`. False: `stop` was requested.
bool stand_for(session& through, const std::string& key, const std::function<void(std::stop_token)>& work,
               const std::stop_token& stop);

/// Requests that are checked, of the client as of its processes.
[[nodiscard]] json publish_request(std::size_t bytes_max, std::string_view group, std::string_view word, json argument);
[[nodiscard]] json lookup_request(std::string_view key, key_scope in);

}  // namespace orrery::app
