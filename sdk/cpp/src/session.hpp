#pragma once
// The connection of one client: dials again and again, and gives what comes to whom it is for.
#include "adaptive_spin.hpp"
#include "host_pool.hpp"
#include "orrery/app/client.hpp"
#include "processes.hpp"
#include "requests.hpp"
#include "wire.hpp"
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace orrery::app {

class session {
 public:
  explicit session(client_options chosen);
  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  /// Waits for the result, or throws `error`. Not for the session's own threads. What is `done` of it is run first.
  json ask(request what, const std::stop_token& stop = {});
  /// The same, as the retry policy says.
  json ask_again(const request& what, const std::stop_token& stop = {});
  void log(const std::string& text) const { options_.log(text); }
  /// As `client::drain`. Registers no class any more, on this connection or a later one.
  bool drain(std::chrono::milliseconds timeout);
  std::uint64_t begin(request what) { return requests_.begin(std::move(what)); }
  void cancel(std::uint64_t number) { requests_.cancel(number); }
  /// A frame that has no answer. Throws `unavailable` without a connection.
  void tell(const json& message);

  sidecar_info open();
  [[nodiscard]] std::size_t value_bytes() const;
  subscription subscribe(std::vector<std::string> types, std::function<void(const event&)> seen);
  class_state host(process_class what, const client::host_options& how);
  std::optional<class_state> hosted(std::string_view class_name) const;

  /// Waits for a connection, and throws `unavailable` where its sidecar has no client processes.
  void require_processes();
  /// The same, however long it takes. False: `stop` was requested.
  bool await_processes(const std::stop_token& stop);
  /// Opens it on the connection that there is. Where `stop` can be requested it waits for one however long.
  void open(const std::shared_ptr<open_process>& what, const std::stop_token& stop = {});
  /// No message comes to it any more.
  void forget(std::uint64_t process);
  process_monitor monitor(std::string_view to, const std::stop_token& stop = {});

 private:
  struct welcome {
    sidecar_info info;
    std::chrono::milliseconds keepalive{};
    std::size_t requests = 0;
    std::size_t value_bytes = 0;
  };
  struct hosted_class {
    process_class what;
    client::host_options how;
    class_state state = class_state::waiting;
    bool asked = false;    ///< on this connection
    bool settled = false;  ///< `host` has its answer
  };
  struct followed {
    std::vector<std::string> types;
    std::function<void(const event&)> seen;
    std::recursive_mutex seeing;  ///< recursive: `seen` may end its own subscription
    bool ended = false;
    std::uint64_t number = 0;  ///< of this connection's request
    std::uint64_t spent = 0;
  };

  void run();
  void use(const std::shared_ptr<wire>& line);
  void dial();
  welcome greet(wire& to);
  void read(wire& from);
  void take(wire& from, json& message);
  void take_work(json& message);
  void take_event(wire& from, json& message);
  void take_class(const json& message);
  void take_message(json& message);
  void take_ended(const json& message);
  void end_processes(const std::string& why);
  void lose(const std::string& why);
  void deny(const std::string& why);
  bool is_stopping() const;

  void register_all();
  void registered(const std::string& name, const json& result);
  json registration(const hosted_class& what) const;
  void set_state(const std::string& name, class_state state);
  void follow_all();
  void followed_again(const std::shared_ptr<followed>& what, std::uint64_t number, const json& result);
  void show(followed& to, const event& what) const;
  void unsubscribe(followed& what);
  void cancel_subscription(std::uint64_t number);

  client_options options_;
  adaptive_spin spin_;  ///< of the connection's thread
  requests requests_;
  host_pool pool_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<wire> dialled_;  ///< the connection, welcomed or not yet
  std::optional<welcome> welcome_;
  std::string trouble_;
  std::string denied_;  ///< why no connection ever stood, where no time heals that
  bool stopping_ = false;
  bool draining_ = false;
  std::map<std::string, hosted_class, std::less<>> classes_;  // entries stay where they are: handlers use them
  std::map<std::uint64_t, std::shared_ptr<followed>> following_;
  std::vector<std::shared_ptr<followed>> subscriptions_;
  std::map<std::uint64_t, std::shared_ptr<open_process>> processes_;  ///< of this connection
  std::uint64_t last_process_ = 0;
  std::mutex monitoring_;  ///< one opens what all monitors share
  std::shared_ptr<monitors> monitors_;
  std::thread reader_;
};

/// False: it was less, as `stop` was requested.
bool rest(std::chrono::milliseconds time, const std::stop_token& stop);
/// It did not take effect, and may at another time.
[[nodiscard]] bool time_heals(const error& why);

}  // namespace orrery::app
