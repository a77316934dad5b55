#include "sidecar/discovery.hpp"

#include "kube/client.hpp"
#include "kube/request.hpp"
#include "mesh/base/endpoint.hpp"

#include <nlohmann/json.hpp>

#include "shell/log.hpp"
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace orrery::sidecar {

std::optional<node::expected_member> member_of(const kube::json& pod, std::uint16_t mesh_port) {
  const auto phase = kube::text_at(pod, {"status", "phase"});
  if (phase == "Failed" || phase == "Succeeded" || kube::name_of(pod).empty()) return std::nullopt;
  node::expected_member out;
  out.name = node_name{std::string(kube::name_of(pod))};
  out.uid = kube::uid_of(pod);
  const auto ip = kube::text_at(pod, {"status", "podIP"});
  if (!ip.empty()) out.address = join_endpoint(ip, mesh_port);
  out.terminating = kube::is_deleting(pod);
  return out;
}

std::vector<node::expected_member> with_self(std::vector<node::expected_member> peers,
                                             const node::expected_member& self) {
  const auto named = std::any_of(peers.begin(), peers.end(), [&](const auto& each) { return each.name == self.name; });
  if (!named) peers.push_back(self);
  return peers;
}

namespace {

/// Keeps of a pod what member_of reads: thousands of full pods would be megabytes.
void trim(kube::json& pod) {
  static const auto keep = [](kube::json& object, std::initializer_list<const char*> keys) {
    if (!object.is_object()) return;
    kube::json kept = kube::json::object();
    for (const auto* key : keys) {
      if (const auto found = object.find(key); found != object.end()) kept[key] = std::move(*found);
    }
    object = std::move(kept);
  };
  keep(pod, {"apiVersion", "kind", "metadata", "status"});
  if (pod.contains("metadata"))
    keep(pod["metadata"], {"name", "namespace", "uid", "resourceVersion", "deletionTimestamp"});
  if (pod.contains("status")) keep(pod["status"], {"phase", "podIP"});
}

}  // namespace

struct pod_discovery::impl {
  pod_discovery_options options;
  members_handler changed;
  std::unique_ptr<kube::client> api;
  std::unique_ptr<kube::informer> pods;
  std::vector<node::expected_member> last;  // on the informer's thread
  bool synced = false;                      // on the informer's thread

  std::mutex mutex;
  std::condition_variable_any wakeup;
  std::vector<std::function<void(bool)>> checks;
  std::chrono::milliseconds check_timeout{2000};
  std::jthread checker;

  // Events come one by one also while the first list is told, so wait for its end.
  void publish() {
    if (!synced) return;
    std::vector<node::expected_member> now;
    for (const auto& pod : pods->list()) {
      if (auto member = member_of(*pod, options.mesh_port)) now.push_back(*std::move(member));
    }
    if (now == last) return;
    const bool names_us =
        std::any_of(now.begin(), now.end(), [&](const auto& each) { return each.name.value == options.self; });
    if (!names_us) {
      shell::log::warn("the list of pods does not name this pod; it is not believed",
                       {{"pods", static_cast<std::int64_t>(now.size())}, {"selector", options.selector}});
      return;
    }
    last = now;
    changed(std::move(now));
  }

  void run_checks(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    while (wakeup.wait(lock, stop, [&] { return !checks.empty(); })) {
      const auto timeout = check_timeout;
      lock.unlock();
      // Any answer will do, a refusal too: the server is there.
      const auto answer = api->send_raw(kube::requests::version(), {.timeout = timeout, .stop = stop});
      lock.lock();
      auto told = std::exchange(checks, {});
      lock.unlock();
      for (const auto& each : told)
        each(answer.has_value());
      lock.lock();
    }
  }
};

result<std::unique_ptr<pod_discovery>> pod_discovery::start(const kube::cluster_config& cluster,
                                                            pod_discovery_options options, members_handler changed) {
  auto made = std::make_unique<impl>();
  made->options = std::move(options);
  made->changed = std::move(changed);
  auto api = kube::make_client(cluster, {.retries_max = 0, .user_agent = "orrery-sidecar/" ORRERY_VERSION});
  if (!api) return fail(api.error());
  made->api = *std::move(api);
  auto* self = made.get();
  kube::informer_handlers handlers;
  handlers.added = [self](const kube::object_ptr&) { self->publish(); };
  handlers.updated = [self](const kube::object_ptr&, const kube::object_ptr&) { self->publish(); };
  handlers.removed = [self](const kube::object_ptr&) { self->publish(); };
  handlers.synced = [self] {
    self->synced = true;
    self->publish();
  };
  kube::informer_options watching{.ns = made->options.name_space, .label_selector = made->options.selector};
  watching.trim = trim;
  made->pods =
      std::make_unique<kube::informer>(*made->api, kube::resources::pods, std::move(watching), std::move(handlers));
  made->pods->start();
  made->checker = std::jthread([self](const std::stop_token& stop) { self->run_checks(stop); });
  return std::unique_ptr<pod_discovery>(new pod_discovery(std::move(made)));  // NOLINT: the constructor is private
}

pod_discovery::pod_discovery(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
pod_discovery::~pod_discovery() {
  impl_->checker.request_stop();
  impl_->pods->stop();
  impl_->checker.join();
}

void pod_discovery::check(std::chrono::milliseconds timeout, std::function<void(bool reachable)> told) {
  const std::lock_guard lock(impl_->mutex);
  impl_->check_timeout = timeout;
  impl_->checks.push_back(std::move(told));
  impl_->wakeup.notify_all();
}

discovery_health pod_discovery::health() const {
  const auto now = impl_->pods->health();
  return {.connected = now.connected, .failures = now.failures, .last_error = now.last_error};
}

}  // namespace orrery::sidecar
