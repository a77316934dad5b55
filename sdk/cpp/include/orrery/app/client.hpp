#pragma once
#include "orrery/app/client_process.hpp"
#include "orrery/app/documents.hpp"
#include "orrery/app/metrics.hpp"
#include "orrery/app/process_class.hpp"
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace orrery::app {

/// Asks again after errors that say `not_executed` and that time may heal. What may have taken effect is never asked
/// twice. For operations that wait; `call_async` is one try.
struct retry_policy {
  unsigned attempts = 1;                       ///< the first try included
  std::chrono::milliseconds first_pause{50};   ///< doubles with each try
  std::chrono::milliseconds most_pause{2000};  ///< a call's timeout holds for all tries together
};

struct client_options {
  std::string socket;  ///< path of the sidecar's Unix socket; empty: $ORRERY_SOCKET
  std::string tcp;     ///< IP:PORT, as 127.0.0.1:3603, where there is no socket; empty: $ORRERY_TCP
  std::string name = "orrery-cpp/0.1";
  /// At most so many threads run handlers of hosted classes; each starts when there is work and none is idle.
  unsigned workers = 64;
  /// How long an operation waits for a connection before it fails, not executed.
  std::chrono::milliseconds connect_timeout{10'000};
  retry_policy retry = {};
  /// The client's thread looks for the next answer for so long before it sleeps, where answers come so soon: a call
  /// takes less than half as long, and about as much processor time. 0: it never does.
  std::chrono::microseconds spin{100};
  /// Told of connections that come and go, of what the sidecar refused, and of handlers that crashed or refused what
  /// nobody waits for, from any thread. Default: stderr.
  std::function<void(const std::string&)> log;
  /// What counts connections, requests and handled messages. Default: nothing does.
  std::shared_ptr<metrics> counts = nullptr;
};

/// What the sidecar says of itself.
struct sidecar_info {
  std::string node;
  std::string mesh;
  std::string version;
  std::vector<std::string> features;  ///< events, host, processes, trace
};

/// `type` and `data` as docs/protocol.md has them; and `resubscribed` after a lost connection, when what happened
/// meanwhile was missed, and `ended` where the sidecar refused to go on, with `code` and `text`.
struct event {
  std::string type;
  json data;
};

/// Events come until it is destroyed; none comes after that. It must not outlive its client.
class subscription {
 public:
  explicit subscription(std::function<void()> end) : end_(std::move(end)) {}
  ~subscription() {
    if (end_) end_();
  }
  subscription(subscription&& from) noexcept : end_(std::exchange(from.end_, nullptr)) {}
  subscription& operator=(subscription&& from) noexcept {
    std::swap(end_, from.end_);
    return *this;
  }

 private:
  std::function<void()> end_;
};

/// Of a hosted class, at the sidecar of this pod. `undeclared`: no such ProcessClass yet; `other`: it is not app-hosted
/// any more; `waiting`: the sidecar has not answered yet.
enum class class_state { ready, undeclared, other, waiting };

/// A connection to the sidecar of this pod, kept up by a thread of its own: it dials again, and registers its classes
/// again. Any thread may use it. What was under way when a connection ended fails with `unavailable`, effect unknown
/// where it could change something; what is asked meanwhile waits. Operations throw `error`, and refuse what cannot be
/// right before it is sent.
class client {
 public:
  /// Throws `error`, `invalid_argument`, where `tcp` is no IP:PORT. Does not wait for a connection: `open` does.
  explicit client(client_options options = {});
  /// Ends the connection. Waits for handlers that run, which hear that they are abandoned, and until each call that was
  /// under way has ended, with `unavailable`: each `done` has run, on a thread of the client, so destroy it on none of
  /// those and without a lock that a `done` takes. What begins meanwhile throws `unavailable`.
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Waits for a connection, at most `connect_timeout`. Where none ever stood and this user may not connect to the
  /// socket, no operation waits: each throws `error`, `forbidden`, not executed, at once, and says who may. The client
  /// dials on; after a lost connection what is asked waits as ever, and the log says who may.
  sidecar_info open();

  /// `name` is "class/key". A value is what JSON can express, and byte strings: at most 1 MiB and 64 levels deep.
  json call(std::string_view name, std::string_view method, json argument = nullptr, const call_options& how = {});
  /// As call; `done` runs once, on a thread of the client, never inside this call, and must not wait for other
  /// operations. What it throws is logged.
  void call_async(std::string_view name, std::string_view method, json argument, const call_options& how,
                  std::function<void(outcome)> done);
  /// Returns when the sidecar has accepted it.
  void cast(std::string_view name, std::string_view method, json argument = nullptr, const std::string& trace = {});
  /// Nothing more is heard of it, not even whether there is such a class. `unavailable` without a connection; waits
  /// while more than 4 MiB are unwritten.
  void cast_nowait(std::string_view name, std::string_view method, json argument = nullptr,
                   const std::string& trace = {});
  /// The pid, once its `init` is done; one that runs already is left as it is. `timeout` as in call_options. A sidecar
  /// without the feature `processes` is too old for this, and for what follows below: `unavailable`, not executed.
  std::string start(std::string_view name, std::chrono::milliseconds timeout = {});
  json inspect(std::string_view name);
  void stop(std::string_view name);
  void kill(std::string_view name, std::string_view reason = {});
  json nodes();
  json classes();
  struct processes_options {
    std::string of_class = {};  ///< empty: all
    int limit = 1000;           ///< 1 to 5000
    bool local = false;         ///< of this node only
  };
  json processes(const processes_options& which);
  json tree(bool local = false);

  // ---- groups, keys and client processes ----

  /// A plain message to every member of the group: how many those are, as far as the node knows.
  std::size_t publish(std::string_view group, std::string_view word, json argument = nullptr);
  struct listing_options {
    std::string prefix = {};  ///< of names; empty: all
    int limit = 1000;         ///< 1 to 5000
  };
  /// Counts of members, of the mesh and of this node.
  group_list groups(const listing_options& which);
  group_list groups() { return groups(listing_options{}); }
  group_members group(std::string_view name);
  /// Keys of the mesh.
  key_list registry(const listing_options& which);
  key_list registry() { return registry(listing_options{}); }
  /// Who holds the key; of a unique one, one at most.
  std::vector<holder> lookup(std::string_view key, key_scope in = key_scope::mesh_unique);

  /// Waits for a connection, at most `connect_timeout`; so do the next two. What they return may outlive the client.
  [[nodiscard]] client_process process();
  /// Of a pid, or "class/key": the process that runs now. Hears `noproc` where there is none.
  [[nodiscard]] process_monitor monitor(std::string_view to);
  /// Runs `task` linked with a process, as above. The task is asked to stop, by its token, when the process ends for
  /// another reason than `normal`, and when the connection does: the token's callbacks run on the connection's thread
  /// and must not wait for operations. It starts no process: where there is none, on this node, the task does not
  /// begin, and its `get` throws `process_exit`, reason `noproc`. Of another node that is heard a moment later, as any
  /// end; a task that has returned by then has returned. When the task throws, the process gets an exit signal, reason
  /// `error` with the text; when it returns, none. Do not destroy its handle within the task.
  [[nodiscard]] linked_task link(std::string_view to, linked_task::function task);
  /// Leads while it holds the key (`mesh_unique`), and stands for it until then: claims it with a process of its own,
  /// waits for the end of who else holds it, and claims it again. `work(std::stop_token)` runs on this thread while it
  /// holds the key. Its token is stopped the moment the key or the connection is lost, or the process has ended: when
  /// it has returned then, or thrown `cancelled` or `unavailable`, it stands again, with a new connection too, and
  /// works anew. When work returns before that, the key is released and its result returned; when it throws, the key is
  /// released and that thrown. Nothing (of a work without a result: false): `stop` was requested, which stops the
  /// work's token too, and the work did not return. The token's callbacks are as those of `link`. Returns before the
  /// client is destroyed: request `stop`.
  template <typename Work>
  auto lead(std::string_view key, Work&& work, const std::stop_token& stop = {}) {
    using result = std::invoke_result_t<Work&, std::stop_token>;
    if constexpr (std::is_void_v<result>) {
      return stand_for(
          key, [&](std::stop_token held) { work(std::move(held)); }, stop);
    } else {
      std::optional<result> out;
      const auto keep = [&](std::stop_token held) { out.emplace(work(std::move(held))); };
      if (!stand_for(key, keep, stop)) out.reset();
      return out;
    }
  }

  /// `seen` runs on the connection's thread for each event of these types (none: all) and must not wait for
  /// operations. What it throws is logged. Nothing that happens after this returned is missed, as long as the
  /// connection lasts.
  [[nodiscard]] subscription subscribe(std::vector<std::string> types, std::function<void(const event&)> seen);

  struct host_options {
    std::string app = {};      ///< names this app and its version to people
    unsigned concurrency = 0;  ///< processes of the class at work here at once; 0: `workers`
  };
  /// Hosts a class from now on. Where no sidecar answers within `connect_timeout` it is `waiting`, and registered when
  /// one does. Throws `error` where the sidecar refuses it: `conflict` where the class is not app-hosted. And as
  /// `open`.
  class_state host(process_class what, const host_options& how);
  class_state host(process_class what) { return host(std::move(what), host_options{}); }
  /// Of a class that is hosted; nothing: it is not.
  [[nodiscard]] std::optional<class_state> hosted(std::string_view class_name) const;
  /// Takes no new work, on this connection or a later one, and waits until what there is has been done. False: not
  /// within `timeout`, the sidecar refused, or the connection ended with work at hand.
  bool drain(std::chrono::milliseconds timeout);

 private:
  bool stand_for(std::string_view key, const std::function<void(std::stop_token)>& work, const std::stop_token& stop);

  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace orrery::app
