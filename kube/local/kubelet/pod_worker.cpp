#include "kube/local/kubelet/pod_worker.hpp"

#include "kube/local/kubelet/events.hpp"
#include "kube/local/kubelet/last_words.hpp"
#include "kube/local/kubelet/volumes.hpp"

#include <algorithm>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace orrery::local {
namespace {

using std::chrono::milliseconds;

constexpr auto retry_interval = std::chrono::seconds(1);
constexpr auto idle_interval = std::chrono::seconds(1);
/// How long pods have when the whole cluster stops.
constexpr auto shutdown_grace = milliseconds(2000);
/// A life this many times longer than the greatest back-off forgives earlier crashes.
constexpr int forgiving_factor = 2;

container::role role_of(const json& spec, bool init) {
  if (!init) return container::role::main;
  return text_at(spec, {"restartPolicy"}) == "Always" ? container::role::sidecar : container::role::init;
}

}  // namespace

pod_worker::pod_worker(pod_services& services, object_ptr pod, std::string address)
    : services_(services),
      pod_(*pod),
      uid_(uid_of(*pod)),
      address_(std::move(address)),
      folder_(services.directory + "/pods/" + uid_),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (const auto& [field, init] : {std::pair("initContainers", true), std::pair("containers", false)}) {
    for (const auto& spec : list_at(pod_, {"spec", field})) {
      auto one = std::make_unique<container>();
      one->spec = spec;
      one->name = text_at(spec, {"name"});
      one->kind = role_of(spec, init);
      if (!init && !list_at(pod_, {"spec", "initContainers"}).empty()) one->waiting_reason = "PodInitializing";
      containers_.push_back(std::move(one));
    }
  }
  started_at_ = services_.objects.now();
  thread_ = std::thread([this] { run(); });
}

pod_worker::~pod_worker() {
  shut_down();
  thread_.join();
  ::close(wake_);
}

void pod_worker::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  inbox_.push_back(std::move(task));
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

void pod_worker::update(object_ptr pod) {
  post([this, pod = std::move(pod)] { adopt(*pod); });
}

void pod_worker::refresh() {
  post([this] {
    if (volumes_ready_ && !terminating_) (void)prepare_volumes();
    retry_at_ = {};
  });
}

void pod_worker::removed() {
  post([this] {
    gone_ = true;
    begin_termination(milliseconds(0));
  });
}

void pod_worker::shut_down() {
  post([this] {
    stopping_ = true;
    begin_termination(shutdown_grace);
  });
}

void pod_worker::run() {
  std::error_code ignored;
  std::filesystem::create_directories(folder_ + "/root", ignored);
  pod_["status"]["podIP"] = address_;
  while (!done_) {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(inbox_);
    }
    for (auto& task : tasks)
      task();
    step();
    publish();
    if (!done_) wait();
  }
  for (auto& one : containers_) {
    one->stop_probes();
    if (one->hook.joinable()) one->hook.join();
  }
  for (const auto& volume : list_at(pod_, {"spec", "volumes"}))
    unlink_volume(volume, std::filesystem::absolute(volume_directory(volume, folder_ + "/volumes")));
  std::filesystem::remove_all(folder_ + "/volumes", ignored);  // secrets do not outlive their pod; its logs may
}

void pod_worker::step() {
  for (auto& one : containers_)
    reap(*one);
  if (completed_) {
    if (terminating_) finish();
    return;
  }
  const auto* deleted = find(pod_, {"metadata", "deletionTimestamp"});
  if (deleted != nullptr)
    begin_termination(std::chrono::seconds(number_at(pod_, {"metadata", "deletionGracePeriodSeconds"})));
  if (terminating_) {
    continue_termination();
  } else {
    advance();
  }
  const auto now = steady::now();
  for (auto& one : containers_) {
    if (one->running && one->stopping && now >= one->kill_at) one->running->kill_group();
  }
}

pod_worker::steady::time_point pod_worker::next_deadline() const {
  auto next = steady::now() + idle_interval;
  for (const auto& one : containers_) {
    if (one->running && one->stopping) next = std::min(next, one->kill_at);
    if (!one->running && one->waiting_reason == "CrashLoopBackOff") next = std::min(next, one->not_before);
  }
  return next;
}

void pod_worker::wait() {
  std::vector<pollfd> all = {{.fd = wake_, .events = POLLIN, .revents = 0}};
  for (const auto& one : containers_) {
    if (!one->running) continue;
    all.push_back({.fd = one->running->exit_descriptor(), .events = POLLIN, .revents = 0});
    if (one->running->output_descriptor() >= 0)
      all.push_back({.fd = one->running->output_descriptor(), .events = POLLIN, .revents = 0});
  }
  const auto left = std::chrono::duration_cast<milliseconds>(next_deadline() - steady::now()) + milliseconds(1);
  if (::poll(all.data(), all.size(), static_cast<int>(std::max<std::int64_t>(0, left.count()))) <= 0) return;
  std::uint64_t count = 0;
  (void)!::read(wake_, &count, sizeof count);
  for (const auto& one : containers_) {
    if (one->running && one->running->output_descriptor() >= 0 && !one->log->pump(one->running->output_descriptor()))
      one->running->close_output();
  }
}

json pod_worker::object(const std::string& bucket, const std::string& name) const {
  const auto found = services_.objects.objects().get({bucket, namespace_of(pod_), name});
  return found ? *found : json(nullptr);
}

bool pod_worker::prepare_volumes() {
  const volume_sources sources{
      .find_object = [this](const std::string& bucket, const std::string& name) { return object(bucket, name); },
      .token =
          [this] {
            return services_.token(namespace_of(pod_), text_at(pod_, {"spec", "serviceAccountName"}));
          },
      .authority = services_.authority};
  for (const auto& volume : list_at(pod_, {"spec", "volumes"})) {
    const auto name = text_at(volume, {"name"});
    const auto place = volume_directory(volume, folder_ + "/volumes");
    std::error_code ignored;
    std::filesystem::create_directories(place, ignored);
    if (!follows_objects(volume)) {
      const auto good = volume_content(pod_, volume, sources);
      if (good) {
        link_volume(volume, std::filesystem::absolute(place));
        continue;
      }
      event("Warning", "FailedMount", "MountVolume.SetUp failed for volume \"" + name + "\" : " + good.error().context);
      return false;
    }
    auto files = volume_content(pod_, volume, sources);
    if (!files) {
      const auto text = "MountVolume.SetUp failed for volume \"" + name + "\" : " + files.error().context;
      if (last_trouble_ != text) event("Warning", "FailedMount", text);
      last_trouble_ = text;
      return false;
    }
    std::map<std::string, std::string> flat;
    for (const auto& [path, file] : *files)
      flat[path] = std::to_string(file.mode) + file.data;
    if (const auto it = written_.find(name); it != written_.end() && it->second == flat) continue;
    if (auto done = write_volume(place, *files); !done) {
      event("Warning", "FailedMount", done.error().context);
      return false;
    }
    written_[name] = std::move(flat);
  }
  return true;
}

std::map<std::string, std::string> pod_worker::mounts_of(const container& one) const {
  std::map<std::string, std::string> out;
  out[text_at(one.spec, {"terminationMessagePath"}, "/dev/termination-log")] = termination_log_of(one);
  for (const auto& mount : list_at(one.spec, {"volumeMounts"})) {
    for (const auto& volume : list_at(pod_, {"spec", "volumes"})) {
      if (text_at(volume, {"name"}) != text_at(mount, {"name"})) continue;
      const auto sub = text_at(mount, {"subPath"});
      out[text_at(mount, {"mountPath"})] =
          seen_directory(volume, std::filesystem::absolute(volume_directory(volume, folder_ + "/volumes"))) +
          (sub.empty() ? "" : "/" + sub);
    }
  }
  return out;
}

std::string pod_worker::termination_log_of(const container& one) const { return folder_ + "/ended/" + one.name; }

std::string pod_worker::log_of(const container& one) const {
  return folder_ + "/logs/" + one.name + "/" + std::to_string(one.restarts) + ".log";
}

std::string pod_worker::last_words_of(const container& one, const process_exit& exit) const {
  auto out = read_termination_log(termination_log_of(one));
  const bool log_will_do = text_at(one.spec, {"terminationMessagePolicy"}) == "FallbackToLogsOnError";
  return out.empty() && log_will_do && exit.code != 0 ? end_of_log(log_of(one)) : out;
}

void pod_worker::adopt(const json& pod) {
  const auto address = pod_["status"]["podIP"];
  pod_ = pod;
  pod_["status"]["podIP"] = address;
  // The one thing that may change in a running container is its image.
  for (const char* field : {"initContainers", "containers"}) {
    for (const auto& spec : list_at(pod_, {"spec", field})) {
      auto* one = find_container(text_at(spec, {"name"}));
      if (one == nullptr || text_at(one->spec, {"image"}) == text_at(spec, {"image"})) continue;
      one->spec = spec;
      if (!one->running || one->stopping) continue;
      event("Normal", "Killing", "Container " + one->name + " definition changed, will be restarted");
      one->kill_reason = "changed";
      stop(*one, std::chrono::seconds(number_at(pod_, {"spec", "terminationGracePeriodSeconds"}, 30)));
    }
  }
  if (volumes_ready_ && !terminating_) (void)prepare_volumes();
}

void pod_worker::advance() {
  if (!volumes_ready_) {
    if (steady::now() < retry_at_) return;
    volumes_ready_ = prepare_volumes();
    retry_at_ = steady::now() + retry_interval;
    if (!volumes_ready_) return;
    (void)write_file(folder_ + "/kubeconfig",
                     services_.kubeconfig(namespace_of(pod_), text_at(pod_, {"spec", "serviceAccountName"})), true);
  }
  for (auto& one : containers_) {
    if (one->kind == container::role::main) continue;
    if (one->kind == container::role::init) {
      if (initialized_ || one->succeeded()) continue;
      if (!one->running && one->last && !wants_restart(*one)) {
        failed_init_ = completed_ = true;
        return;
      }
      try_start(*one);
      return;
    }
    if (one->running || !one->last || wants_restart(*one)) try_start(*one);
    if (!initialized_ && !(one->running && one->startup_passed)) return;
  }
  initialized_ = true;
  bool over = true;
  for (auto& one : containers_) {
    if (one->kind != container::role::main) continue;
    if (!one->running && one->last && !wants_restart(*one)) continue;
    over = false;
    try_start(*one);
  }
  if (!over) return;
  // All is said and done; sidecars end after the containers that they serve.
  bool quiet = true;
  for (auto& one : containers_) {
    if (!one->running) continue;
    quiet = false;
    stop(*one, std::chrono::seconds(number_at(pod_, {"spec", "terminationGracePeriodSeconds"}, 30)));
  }
  completed_ = quiet;
}

bool pod_worker::wants_restart(const container& one) const {
  if (terminating_) return false;
  const auto policy = text_at(pod_, {"spec", "restartPolicy"}, "Always");
  const bool bad = one.last && one.last->code != 0;
  switch (one.kind) {
    case container::role::sidecar: {
      // Once every other container is done for good, so is the sidecar.
      const bool served = std::any_of(containers_.begin(), containers_.end(), [&](const auto& other) {
        return other->kind == container::role::main && (other->running || !other->last || wants_restart(*other));
      });
      return served;
    }
    case container::role::init:
      return bad && policy != "Never";
    case container::role::main:
      return policy == "Always" || (policy == "OnFailure" && bad);
  }
  return false;
}

void pod_worker::reap(container& one) {
  if (!one.running) return;
  const auto exit = one.running->reap();
  if (!exit) return;
  while (one.running->output_descriptor() >= 0 && one.log->pump(one.running->output_descriptor())) {
    pollfd more{.fd = one.running->output_descriptor(), .events = POLLIN, .revents = 0};
    if (::poll(&more, 1, 0) <= 0) break;
  }
  one.log.reset();
  one.running.reset();
  auto last_words = last_words_of(one, *exit);
  ended(one, {.code = exit->code,
              .signal = exit->signal,
              .reason = exit->code == 0 ? "Completed" : "Error",
              .message = std::move(last_words),
              .started = one.started_at,
              .finished = services_.objects.now(),
              .id = one.id});
}

void pod_worker::ended(container& one, ended_life life) {
  one.stop_probes();
  one.ready = false;
  one.startup_passed = false;
  one.stopping = false;
  const auto lasted = life.finished - life.started;
  one.last = std::move(life);
  one.waiting_reason.clear();
  if (!wants_restart(one) || stopping_) return;
  if (lasted > services_.backoff_max * forgiving_factor) one.backoff = milliseconds(0);
  // The first restart is at once; the back-off that try_start doubles counts from the second.
  const auto pause = one.restarts == 0 || one.kill_reason == "changed" ? milliseconds(0) : one.backoff / 2;
  one.not_before = steady::now() + pause;
  if (pause.count() == 0) return;
  one.waiting_reason = "CrashLoopBackOff";
  one.waiting_message = "back-off " + std::to_string(pause.count() / 1000) + "s" +
                        " restarting failed container=" + one.name + " pod=" + name_of(pod_) + "_" +
                        namespace_of(pod_) + "(" + uid_ + ")";
  event("Warning", "BackOff",
        "Back-off restarting failed container " + one.name + " in pod " + name_of(pod_) + "_" + namespace_of(pod_) +
            "(" + uid_ + ")");
}

void pod_worker::stop(container& one, milliseconds grace) {
  if (!one.running) return;
  const auto kill_at = steady::now() + grace;
  if (one.stopping) {
    one.kill_at = std::min(one.kill_at, kill_at);
    return;
  }
  one.stopping = true;
  one.kill_at = kill_at;
  const auto* action = find(one.spec, {"lifecycle", "preStop"});
  if (action == nullptr || grace.count() == 0 || stopping_) {
    one.running->signal(SIGTERM);
    return;
  }
  if (one.hook.joinable()) one.hook.join();
  const auto spec = command_of(one);
  const rewriter rewrite(address_, mounts_of(one));
  probe_target target{.address = address_,
                      .container = one.spec,
                      .exec = spec ? *spec : process_spec{},
                      .rewrite = [rewrite](const std::string& text) { return rewrite.apply(text); }};
  one.hook =
      std::thread([this, hook_action = *action, target = std::move(target), grace, name = one.name, life = one.id] {
        const auto end = steady::now() + grace;
        const auto outcome =
            run_action(hook_action, target, grace, [this, end] { return done_ || steady::now() >= end; });
        post([this, name, life, outcome] {
          if (!outcome.good) event("Warning", "FailedPreStopHook", "PreStopHook failed: " + outcome.message);
          auto* stopped = find_container(name);
          if (stopped != nullptr && stopped->running && stopped->id == life) stopped->running->signal(SIGTERM);
        });
      });
}

void pod_worker::begin_termination(milliseconds grace) {
  const auto end = steady::now() + grace;
  if (terminating_) {
    deadline_ = std::min(deadline_, end);
    for (auto& one : containers_) {
      if (one->stopping) one->kill_at = std::min(one->kill_at, deadline_);
    }
    return;
  }
  terminating_ = true;
  deadline_ = end;
  for (auto& one : containers_) {
    if (one->running && !gone_ && !stopping_) event("Normal", "Killing", "Stopping container " + one->name);
    if (!one->running && !one->waiting_reason.empty() && one->last) one->waiting_reason.clear();
  }
}

void pod_worker::continue_termination() {
  const auto left = std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(deadline_ - steady::now()));
  bool serving = false;
  for (auto& one : containers_) {
    if (one->kind == container::role::sidecar || !one->running) continue;
    serving = true;
    if (!one->stopping) stop(*one, left);
  }
  // Sidecars end after the containers that they serve, the last first.
  bool quiet = !serving;
  for (auto it = containers_.rbegin(); it != containers_.rend() && !serving; ++it) {
    if ((*it)->kind != container::role::sidecar || !(*it)->running) continue;
    quiet = false;
    if (!(*it)->stopping) stop(**it, left);
    break;
  }
  if (!serving || steady::now() < deadline_) {
    if (quiet) finish();
    return;
  }
  for (auto& one : containers_) {
    if (one->running && !one->stopping) stop(*one, milliseconds(0));
  }
}

void pod_worker::finish() {
  completed_ = true;
  done_ = true;
  if (stopping_ || gone_) return;
  publish();
  const auto info = services_.objects.kinds().find_bucket("pods");
  delete_options now;
  now.grace_seconds = 0;
  now.uid = uid_;
  (void)services_.objects.remove(*info, namespace_of(pod_), name_of(pod_), now);
}

container* pod_worker::find_container(const std::string& name) {
  const auto it =
      std::find_if(containers_.begin(), containers_.end(), [&](const auto& each) { return each->name == name; });
  return it == containers_.end() ? nullptr : it->get();
}

void pod_worker::event(const char* type, const char* reason, const std::string& message) const {
  record_event(services_.objects, pod_, type, reason, message);
}

}  // namespace orrery::local
