#include "kube/local/kubelet/kubelet.hpp"

#include "kube/local/kubelet/pod_worker.hpp"

#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

namespace orrery::local {
namespace {

constexpr auto resync = std::chrono::seconds(5);

bool is_finished(const json& pod) {
  const auto phase = text_at(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed";
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

class kubelet::impl {
 public:
  impl(registry& objects, options chosen)
      : options_(std::move(chosen)),
        images_(options_.images),
        services_{.objects = objects,
                  .directory = options_.directory,
                  .backoff_base = options_.backoff_base,
                  .backoff_max = options_.backoff_max,
                  .api_port = options_.api_port,
                  .program_of = [this](const std::string& image) { return program_of(image); },
                  .program_by_name = [this](const std::string& name) { return program_by_name(name); },
                  .token = options_.token,
                  .kubeconfig = options_.kubeconfig,
                  .authority = options_.authority},
        // Clusters on one machine share the loopback network: each begins somewhere else in 127.16.0.0 to
        // 127.250.255.255.
        next_address_(16 * 65536 + static_cast<std::uint32_t>(random_unit() * 234 * 65536) / 256 * 256 + 1) {
    std::error_code ignored;
    std::filesystem::remove_all(options_.directory + "/pods", ignored);  // of an earlier life of this cluster
    thread_ = std::thread([this] { run(); });
  }

  ~impl() {
    services_.objects.objects().stop();
    thread_.join();
    for (auto& [uid, one] : workers_)
      one.worker->shut_down();  // all at once, then wait for each
    workers_.clear();
  }

  void map_image(const std::string& name, const std::string& program) {
    const std::lock_guard lock(mutex_);
    images_[name] = program;
  }

 private:
  struct tracked {
    std::unique_ptr<pod_worker> worker;
    object_ptr seen;
    std::string folder;
  };

  std::string program_of(const std::string& image) {
    const std::lock_guard lock(mutex_);
    const auto it = images_.find(image);
    return it == images_.end() ? "" : it->second;
  }

  std::string program_by_name(const std::string& name) {
    const std::lock_guard lock(mutex_);
    for (const auto& [image, program] : images_) {
      if (base_name(program) == name) return program;
    }
    return "";
  }

  std::string new_address() {
    const auto at = next_address_++;
    if (next_address_ % 256 == 255) next_address_ += 2;  // no .255 and no .0
    if (next_address_ >= 250 * 65536) next_address_ = 16 * 65536 + 1;
    return "127." + std::to_string(at / 65536) + "." + std::to_string(at / 256 % 256) + "." + std::to_string(at % 256);
  }

  void run() {
    auto& store = services_.objects.objects();
    std::uint64_t seen = 0;
    std::uint64_t volumes_seen = 0;
    while (!store.stopped()) {
      seen = store.wait_any(seen, {"events", "leases.coordination.k8s.io"}, std::chrono::steady_clock::now() + resync);
      if (store.stopped()) return;
      follow(store.list("pods").objects);
      const auto config = newest(store, {"configmaps", "secrets"});
      if (config == volumes_seen) continue;
      volumes_seen = config;
      for (auto& [uid, one] : workers_)
        one.worker->refresh();
    }
  }

  static std::uint64_t newest(store& objects, std::initializer_list<const char*> buckets) {
    std::uint64_t out = 0;
    for (const char* bucket : buckets)
      out = std::max(out, objects.last_change(bucket));
    return out;
  }

  void follow(const std::vector<object_ptr>& pods) {
    std::set<std::string> present;
    for (const auto& pod : pods) {
      const auto uid = uid_of(*pod);
      present.insert(uid);
      const auto it = workers_.find(uid);
      if (it != workers_.end()) {
        if (it->second.seen == pod) continue;
        it->second.seen = pod;
        it->second.worker->update(pod);
      } else if (!text_at(*pod, {"spec", "nodeName"}).empty() && !is_finished(*pod)) {
        workers_[uid] = {.worker = std::make_unique<pod_worker>(services_, pod, new_address()),
                         .seen = pod,
                         .folder = options_.directory + "/pods/" + uid};
      }
    }
    for (auto it = workers_.begin(); it != workers_.end();) {
      const bool gone = !present.contains(it->first);
      if (gone && !it->second.worker->done()) it->second.worker->removed();
      if (!gone || !it->second.worker->done()) {
        ++it;
        continue;
      }
      const auto folder = it->second.folder;
      it = workers_.erase(it);
      std::error_code ignored;
      std::filesystem::remove_all(folder, ignored);
    }
  }

  options options_;
  std::mutex mutex_;
  std::map<std::string, std::string> images_;
  pod_services services_;
  std::uint32_t next_address_;
  std::map<std::string, tracked> workers_;
  std::thread thread_;
};

kubelet::kubelet(registry& objects, options chosen) : impl_(std::make_unique<impl>(objects, std::move(chosen))) {}
kubelet::~kubelet() = default;
void kubelet::map_image(const std::string& name, const std::string& program) { impl_->map_image(name, program); }

}  // namespace orrery::local
