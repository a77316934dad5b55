#include "cli/attach.hpp"

#include "cli/asking.hpp"
#include "cli/follow.hpp"
#include "cli/interrupt.hpp"
#include "cli/running.hpp"
#include "kube/pause.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <set>
#include <thread>
#include <unistd.h>
#include <utility>

namespace orrery::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto look_interval = 100ms;

void say(const std::string& text) { std::fprintf(stderr, "orrery: %s\n", text.c_str()); }

std::string_view words_of(succession::fate fate) {
  switch (fate) {
    case succession::fate::ready:
      return "is ready";
    case succession::fate::not_ready:
      return "is not ready";
    case succession::fate::leaving:
      return "is being deleted";
    case succession::fate::gone:
      return "is gone";
  }
  return {};
}

/// Keeps the port at a ready pod, on a thread of its own, and says on stderr where it goes.
class keeper {
 public:
  keeper(const mesh_pods& seen, const target& reached)
      : seen_(seen),
        forward_(*reached.forward),
        pod_(reached.pod),
        uid_(reached.pod_uid),
        pods_(*seen.api, kube::resources::pods,
              {.ns = seen.name_space, .label_selector = seen.selector, .backoff_max = retry_max}) {
    pods_.start();
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  keeper(const keeper&) = delete;
  keeper& operator=(const keeper&) = delete;

 private:
  void run(const std::stop_token& stop) {
    do {
      if (pods_.has_synced()) match(pods_.list());
      tell_what_fails();
    } while (kube::pause_for(look_interval, stop));
  }

  void match(const std::vector<kube::object_ptr>& pods) {
    const auto now = succession_of(pods, uid_);
    if (now.successor != nullptr) {
      left_.insert(std::exchange(uid_, kube::uid_of(*now.successor)));
      const auto before = std::exchange(pod_, kube::name_of(*now.successor));
      forward_.redirect({seen_.name_space, pod_}, sdk_port_of(*now.successor));
      say(fmt::format("{} {}; going on through {}", before, words_of(now.pod), pod_));
      waits_ = false;
    } else if (now.pod == succession::fate::ready) {
      if (std::exchange(waits_, false)) say(fmt::format("{} is ready again", pod_));
    } else if (!std::exchange(waits_, true)) {
      say(fmt::format("{} {}, and no other pod of mesh '{}' is ready; waiting for one", pod_, words_of(now.pod),
                      seen_.mesh));
    }
    // Whoever still talks to a pod that is no more would wait for nothing.
    const auto ended = std::erase_if(left_, [&](const std::string& uid) {
      return std::none_of(pods.begin(), pods.end(), [&](const auto& pod) { return kube::uid_of(*pod) == uid; });
    });
    if (ended != 0) forward_.drop_earlier();
  }

  /// Each failure once.
  void tell_what_fails() {
    if (auto why = forward_.last_error(); why != told_of_forward_) {
      told_of_forward_ = std::move(why);
      say("a connection was cut: " + told_of_forward_);
    }
    const auto watch = pods_.health();
    if (watch.connected) {
      told_of_watch_ = false;
    } else if (!watch.last_error.empty() && !std::exchange(told_of_watch_, true)) {
      say(fmt::format("the mesh's pods cannot be watched: {}; staying with {} meanwhile", watch.last_error, pod_));
    }
  }

  const mesh_pods& seen_;
  kube::port_forward& forward_;
  std::string pod_, uid_;
  std::set<std::string> left_;  ///< uids of pods of before that are still there
  bool waits_ = false;
  std::string told_of_forward_;
  bool told_of_watch_ = false;
  kube::informer pods_;
  std::jthread thread_;  // uses the others: ends before them
};

/// Whether standard output is a pipe, or such, whose other end is closed.
bool nobody_reads() {
  pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLNVAL)) != 0;
}

int refuse(error why, const attach_options& attaching) {
  if (why.code == errc::io && attaching.port != 0)
    why.context += "; choose another with --port, or leave it out for any that is free";
  complain(why);
  return static_cast<int>(why.code == errc::io ? exit_code::failed : exit_code::kubernetes);
}

}  // namespace

succession succession_of(const std::vector<kube::object_ptr>& pods, const std::string& uid) {
  succession out;
  for (const auto& pod : pods) {
    if (kube::uid_of(*pod) != uid) continue;
    if (is_ready(*pod)) return {.pod = succession::fate::ready, .successor = nullptr};
    out.pod = kube::is_deleting(*pod) ? succession::fate::leaving : succession::fate::not_ready;
  }
  for (const auto& pod : pods) {
    if (!is_ready(*pod)) continue;
    out.successor = pod.get();
    break;
  }
  return out;
}

std::string attached_line(const target& reached, const mesh_pods& seen, output form) {
  const auto url = to_string(reached.url);
  if (form == output::json) {
    return nlohmann::ordered_json{
        {"url", url}, {"pod", reached.pod}, {"mesh", seen.mesh}, {"namespace", seen.name_space}}
        .dump();
  }
  return fmt::format("export ORRERY_SIDECAR={}  # mesh {} in namespace {}, through pod {}", url, seen.mesh,
                     seen.name_space, reached.pod);
}

int attach(const target_options& options, const attach_options& attaching, output form) {
  surroundings given;
  const auto seen = open_mesh(options);
  if (!seen) return refuse(seen.error(), attaching);
  const auto reached = reach(*seen, attaching.port);
  if (!reached) return refuse(reached.error(), attaching);
  if (!attaching.command.empty()) {
    given.set("ORRERY_SIDECAR", to_string(reached->url));
    given.set("ORRERY_MESH", seen->mesh);
    std::optional<keeper> keeps;
    return run_to_its_end(attaching.command, given, [&] { keeps.emplace(*seen, *reached); });
  }
  catch_interrupts();
  print(attached_line(*reached, *seen, form) + "\n");
  const keeper keeps(*seen, *reached);
  while (!interrupted && (form != output::json || !nobody_reads()))
    pause_for(look_interval);
  return static_cast<int>(exit_code::ok);
}

}  // namespace orrery::cli
