#pragma once
#include "orrery/app/messages.hpp"
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::app {

class session;

/// Where a key is known, and how many may hold it. `mesh_unique` ones are granted by the key's owner in the mesh.
enum class key_scope { mesh_unique, mesh_duplicate, node_unique, node_duplicate };

/// A process of this pod's node whose code is the client's: it has a pid that others on any node send to, watch and
/// link with. It takes no calls. Without a handle it is closed, reason `normal`, and that is not waited for.
///
/// Any thread may use it. `to` is a pid, or "class/key": of a name, `call` and `cast` start its process; all else means
/// the process that runs now, and finds `noproc` where there is none. Operations throw `error`, and refuse what cannot
/// be right before it is sent. With its connection it ends, reason `noconnection`, and nothing brings it back: what is
/// under way fails with `unavailable`, effect unknown, and what begins later is not executed. `client::process` makes
/// another.
class client_process {
 public:
  client_process(client_process&&) noexcept = default;
  client_process& operator=(client_process&& from) noexcept;
  ~client_process();

  [[nodiscard]] const std::string& pid() const;

  /// The next message, in the order in which each process sent its own. Nothing: it has ended, and all that had come
  /// was taken; or `stop` was requested. At most 100 messages wait here, and 10,000 more on the node, of a share of
  /// 128 MiB. Plain ones and casts beyond that are dropped, and a `dropped_message` in their place says how many. Ends
  /// and the system's words wait longer; where even they find no room, it ends, reason `limit`.
  std::optional<process_message> next(const std::stop_token& stop = {});
  /// The same, but nothing after `timeout` too.
  std::optional<process_message> next(std::chrono::milliseconds timeout);
  /// Why it ended, once all that had come was taken; nothing before.
  [[nodiscard]] std::optional<exit_reason> ended() const;

  /// `timeout` as in call_options. Given up by `stop` it ends with `cancelled`: not executed where the process, of this
  /// node, had not begun it, else unknown.
  json call(std::string_view to, std::string_view method, json argument = nullptr,
            std::chrono::milliseconds timeout = {}, const std::stop_token& stop = {});
  void cast(std::string_view to, std::string_view method, json argument = nullptr);
  /// A plain message, which may find nobody.
  void send(std::string_view to, std::string_view word, json argument = nullptr);
  /// To every member of the group, itself as well where it is one. How many those are, as far as the node knows.
  std::size_t publish(std::string_view group, std::string_view word, json argument = nullptr);

  struct spawn_options {
    bool link = false;
    bool monitor = false;
  };
  struct spawned {
    std::string pid;
    std::uint64_t monitor = 0;  ///< 0: it is not monitored
  };
  /// Starts a process without a name on this node, whose `init` gets the argument.
  spawned spawn(std::string_view class_name, json argument, const spawn_options& how);
  spawned spawn(std::string_view class_name, json argument = nullptr) {
    return spawn(class_name, std::move(argument), spawn_options{});
  }

  /// The monitor's number, which its `down_message` will have: that comes once, when the process ends, at once where
  /// there is none, or when its node is lost.
  std::uint64_t monitor(std::string_view to);
  /// Its `down_message` does not come any more, also where it was waiting here.
  void demonitor(std::uint64_t monitor);
  /// The end of one is an exit of the other; of this one it is an `exit_message`.
  void link(std::string_view to);
  void unlink(std::string_view to);
  /// An exit signal. `kill` is a kind that cannot be trapped.
  void exit(std::string_view to, const exit_reason& reason);

  /// It is a member until it has left as often as it joined.
  void join(std::string_view group);
  /// Whether it was a member.
  bool leave(std::string_view group);
  /// The pids of its members; from here on `group_joined` and `group_left` come as plain messages.
  std::vector<std::string> watch(std::string_view group);
  void unwatch(std::string_view group);

  struct claim_options {
    key_scope in = key_scope::mesh_unique;
    std::chrono::milliseconds timeout{5000};  ///< 1 ms to 1 h; of a key of the mesh
  };
  /// Holds the key until it ends, with a value of at most 4096 bytes. `already_exists` where another does, whom the
  /// text names. It may lose it, after the mesh was in two: then `key_lost` comes.
  void claim(std::string_view key, json value, const claim_options& how);
  void claim(std::string_view key, json value = nullptr) { claim(key, std::move(value), claim_options{}); }
  /// Another value for a key that it holds.
  void update(std::string_view key, json value, key_scope in = key_scope::mesh_unique);
  /// Whether it held it.
  bool release(std::string_view key, key_scope in = key_scope::mesh_unique);

  /// It ends: who watches it or is linked with it hears why. `kind` is normal, shutdown or error. Nothing where it has
  /// ended already.
  void close(const exit_reason& why = {.kind = "normal", .text = {}});

 private:
  friend class client;
  class mailbox;
  explicit client_process(session& through);
  std::shared_ptr<mailbox> box_;
};

/// Watches one process until it is destroyed. Any thread may use it.
class process_monitor {
 public:
  process_monitor(process_monitor&&) noexcept = default;
  process_monitor& operator=(process_monitor&& from) noexcept;
  ~process_monitor();

  /// Waits until the process has ended; `noconnection` too where this client's own connection has. Nothing: `stop` was
  /// requested, or it was cancelled.
  std::optional<down> wait(const std::stop_token& stop = {});
  /// The same, but nothing after `timeout` too.
  std::optional<down> wait(std::chrono::milliseconds timeout);
  /// Nothing comes any more, but for what has come already.
  void cancel();

 private:
  friend class client;
  friend class monitors;
  struct watched;
  explicit process_monitor(std::shared_ptr<watched> what);
  std::shared_ptr<watched> what_;
};

/// A function on a thread of its own, linked with a process: each hears of the other's end. Without a handle it is
/// cancelled and waited for.
class linked_task {
 public:
  using function = std::function<void(std::stop_token)>;

  linked_task(linked_task&&) noexcept = default;
  linked_task& operator=(linked_task&& from) noexcept;
  ~linked_task();

  /// Asks it to stop; the process gets an exit signal, reason `shutdown`, when it has.
  void cancel();
  /// Waits until it has ended and the process has been told. Throws what it threw; `process_exit` where it was stopped
  /// as the process ended, or the connection; `error`, code `cancelled`, where it was stopped by `cancel`.
  void get();
  /// Whether it has ended within `timeout`.
  bool wait(std::chrono::milliseconds timeout);

 private:
  friend class client;
  class running;
  linked_task(session& through, std::string_view to, function task);
  std::shared_ptr<running> what_;
};

}  // namespace orrery::app
