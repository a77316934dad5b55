#include "cli/follow.hpp"

#include "cli/interrupt.hpp"
#include "kube/client.hpp"
#include "kube/informer.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace orrery::cli {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t followers_max = 512;
constexpr auto look_interval = 100ms;
constexpr auto goodbye_max = 1s;  ///< a connection attempt through the API server may take half a minute

/// Whole lines from any thread.
class printer {
 public:
  printer(output form, bool colours) : form_(form), colours_(colours) {}

  void event(const sse_event& got, const std::string& node) {
    const auto line = event_line(got, form_, colours_, node);
    const std::lock_guard lock(mutex_);
    std::fprintf(stdout, "%s\n", line.c_str());
    std::fflush(stdout);
  }
  void say(const std::string& text) {
    const std::lock_guard lock(mutex_);
    std::fprintf(stderr, "orrery: %s\n", text.c_str());
  }
  [[nodiscard]] static bool broken() { return std::ferror(stdout) != 0; }

 private:
  output form_;
  bool colours_;
  std::mutex mutex_;
};

/// One node's events, on a thread of its own.
class follower {
 public:
  follower(const kube::cluster_config& config, kube::object_key pod, std::uint16_t port, printer& out)
      : config_(config), pod_(std::move(pod)), port_(port), out_(out), thread_([this] { run(); }) {}
  ~follower() {
    stop();
    thread_.join();
  }
  follower(const follower&) = delete;
  follower& operator=(const follower&) = delete;

  void stop() { stop_ = true; }
  void leaves() { leaves_ = true; }  ///< its pod is being deleted: when its stream ends, that was all
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::string& node() const { return pod_.name; }

 private:
  void run() {
    while (!stop_) {
      const auto why = follow_once();
      if (stop_ || leaves_ || printer::broken()) break;
      // Once for each outage, and not before it was ever reached: a sidecar that starts is not heard at once.
      if (std::exchange(reached_, false)) out_.say(fmt::format("{}: {}; trying again", node(), why));
      for (auto left = wait_; left > 0ms && !stop_ && !leaves_; left -= look_interval)
        std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(left, look_interval));
      wait_ = std::min(wait_ * 2, retry_max);
    }
    ended_ = true;
  }

  std::string follow_once() {
    auto forward = kube::port_forward::open(config_, {.pod = pod_, .pod_port = port_});
    if (!forward) return to_string(forward.error());
    http_client sidecar({"127.0.0.1", (*forward)->local_port()});
    sse_parser parser;
    const auto ended = sidecar.stream({.method = "GET", .target = "/v1/events", .body = {}, .headers = {}},
                                      stream_silence_max, stop_, [&](std::string_view bytes) {
                                        if (!std::exchange(reached_, true)) out_.say("following " + node());
                                        wait_ = retry_min;
                                        for (const auto& each : parser.feed(bytes))
                                          out_.event(each, node());
                                        return !printer::broken();
                                      });
    if (!ended) return to_string(ended.error());
    return ended->status == 200 ? "it ended the stream" : to_string(problem_of(*ended));
  }

  const kube::cluster_config& config_;
  const kube::object_key pod_;
  const std::uint16_t port_;
  printer& out_;
  std::chrono::milliseconds wait_{retry_min};
  bool reached_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> leaves_ = false;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

/// Whom to follow, as the API server's pods come and go. By uid: a pod's name is not used twice, but who knows.
class crowd {
 public:
  crowd(const kube::cluster_config& config, printer& out) : config_(config), out_(out) {}

  void match(const std::vector<kube::object_ptr>& pods) {
    std::map<std::string, std::unique_ptr<follower>> kept;
    for (const auto& pod : pods) {
      const std::string uid(kube::uid_of(*pod));
      if (auto known = followed_.extract(uid); !known.empty()) {
        if (kube::is_deleting(*pod)) known.mapped()->leaves();
        kept.insert(std::move(known));
      } else if (sidecar_runs(*pod) && !kube::is_deleting(*pod) && has_room(kept.size() + followed_.size())) {
        kept.emplace(uid, std::make_unique<follower>(config_, kube::key_of(*pod), sdk_port_of(*pod), out_));
      }
    }
    for (auto& [uid, gone] : followed_) {
      gone->stop();
      out_.say(gone->node() + " is gone");
      leaving_.push_back(std::move(gone));
    }
    followed_ = std::move(kept);
    std::erase_if(leaving_, [](const auto& one) { return one->ended(); });
  }

  /// False if some did not end in time.
  bool disperse() {
    for (auto& [uid, one] : followed_) {
      one->stop();
      leaving_.push_back(std::move(one));
    }
    followed_.clear();
    for (auto left = std::chrono::milliseconds{goodbye_max}; left > 0ms && !leaving_.empty(); left -= look_interval) {
      std::erase_if(leaving_, [](const auto& one) { return one->ended(); });
      if (!leaving_.empty()) std::this_thread::sleep_for(look_interval);
    }
    return leaving_.empty();
  }

 private:
  bool has_room(std::size_t now) {
    if (now < followers_max) return true;
    if (!std::exchange(told_of_room_, true)) {
      out_.say(fmt::format("the mesh has more than {} nodes: the others are not followed", followers_max));
    }
    return false;
  }

  const kube::cluster_config& config_;
  printer& out_;
  bool told_of_room_ = false;
  std::map<std::string, std::unique_ptr<follower>> followed_;  ///< by the pod's uid
  std::vector<std::unique_ptr<follower>> leaving_;             ///< told to stop
};

}  // namespace

exit_code follow_mesh(const target_options& options, output form, bool colours) {
  const auto refuse = [](const error& why) {
    complain(why);
    return exit_code::kubernetes;
  };
  const auto seen = open_mesh(options);
  if (!seen) return refuse(seen.error());
  if (seen->pods.empty()) return refuse(no_such_mesh(*seen));
  catch_interrupts();
  printer out(form, colours);
  kube::informer pods(*seen->api, kube::resources::pods,
                      {.ns = seen->name_space, .label_selector = seen->selector, .backoff_max = retry_max});
  pods.start();
  crowd all(seen->config, out);
  while (!interrupted && !printer::broken()) {
    if (pods.has_synced()) all.match(pods.list());
    pause_for(look_interval);
  }
  if (!all.disperse()) std::_Exit(static_cast<int>(exit_code::ok));  // what is printed is flushed
  return exit_code::ok;
}

}  // namespace orrery::cli
