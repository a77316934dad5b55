// How a pod's containers start, and the probes that follow: the part of pod_worker that reads a container's spec.
#include "kube/local/kubelet/events.hpp"
#include "kube/local/kubelet/last_words.hpp"
#include "kube/local/kubelet/pod_worker.hpp"
#include "kube/local/kubelet/volumes.hpp"

namespace orrery::local {

/// After this a start that failed for want of a config map, a secret or a program is tried again.
static constexpr auto start_retry_interval = std::chrono::seconds(1);

result<std::vector<std::string>> pod_worker::environment_of(const container& one, const rewriter& rewrite) const {
  auto own = container_environment(
      pod_, one.spec, [this](const std::string& bucket, const std::string& name) { return object(bucket, name); });
  if (!own) return fail(own.error());
  std::map<std::string, std::string> all;
  for (const char* name :
       {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) all[name] = value;
  }
  all["HOSTNAME"] = name_of(pod_);
  all["KUBERNETES_SERVICE_HOST"] = "127.0.0.1";
  all["KUBERNETES_SERVICE_PORT"] = all["KUBERNETES_SERVICE_PORT_HTTPS"] = std::to_string(services_.api_port);
  const bool mounts_token = std::any_of(
      list_at(one.spec, {"volumeMounts"}).begin(), list_at(one.spec, {"volumeMounts"}).end(), [&](const json& mount) {
        return std::any_of(list_at(pod_, {"spec", "volumes"}).begin(), list_at(pod_, {"spec", "volumes"}).end(),
                           [&](const json& volume) {
                             return text_at(volume, {"name"}) == text_at(mount, {"name"}) &&
                                    volume.contains("projected") &&
                                    volume.dump().find("serviceAccountToken") != std::string::npos;
                           });
      });
  if (flag_at(pod_, {"spec", "automountServiceAccountToken"}, true) || mounts_token)
    all["KUBECONFIG"] = folder_ + "/kubeconfig";
  for (const auto& [name, value] : *own)
    all[name] = rewrite.apply(value);
  std::vector<std::string> out;
  for (const auto& [name, value] : all)
    out.push_back(name + "=" + value);
  return out;
}

result<process_spec> pod_worker::command_of(container& one) {
  const rewriter rewrite(address_, mounts_of(one));
  process_spec out;
  auto environment = environment_of(one, rewrite);
  if (!environment) return fail(environment.error());
  out.environment = std::move(*environment);
  std::map<std::string, std::string> values;
  for (const auto& each : out.environment)
    values[each.substr(0, each.find('='))] = each.substr(each.find('=') + 1);
  for (const auto& each : list_at(one.spec, {"command"}))
    out.arguments.push_back(rewrite.apply(expand(each.get<std::string>(), values)));
  if (out.arguments.empty()) {
    const auto program = services_.program_of(text_at(one.spec, {"image"}));
    if (program.empty()) {
      return fail(errc::unavailable, "no program is mapped to image \"" + text_at(one.spec, {"image"}) +
                                         "\": start orrery-local with --image " + text_at(one.spec, {"image"}) +
                                         "=PROGRAM, or give the container a command that this machine has");
    }
    out.arguments.push_back(program);
  } else {
    const auto first = out.arguments.front();
    const auto name = first.substr(first.rfind('/') + 1);
    // The program of the container's image stands for the image: what lies beside it is in the image, too.
    const auto own = services_.program_of(text_at(one.spec, {"image"}));
    const auto beside = own.substr(0, own.rfind('/') + 1) + name;
    if (const auto mapped = services_.program_by_name(name); !mapped.empty()) {
      out.arguments.front() = mapped;
    } else if (!own.empty() && !find_program(beside, "").empty()) {
      out.arguments.front() = beside;
    }
  }
  for (const auto& each : list_at(one.spec, {"args"}))
    out.arguments.push_back(rewrite.apply(expand(each.get<std::string>(), values)));
  const auto folder = text_at(one.spec, {"workingDir"});
  out.directory = folder.empty() ? folder_ + "/root" : rewrite.apply(folder);
  return out;
}

void pod_worker::try_start(container& one) {
  if (one.running || steady::now() < one.not_before) return;
  const auto spec = command_of(one);
  if (!spec) {
    one.waiting_reason = spec.error().code == errc::unavailable ? "ErrImagePull" : "CreateContainerConfigError";
    if (one.waiting_message != spec.error().context) event("Warning", "Failed", spec.error().context);
    one.waiting_message = spec.error().context;
    one.not_before = steady::now() + start_retry_interval;
    return;
  }
  if (one.ever_started) ++one.restarts;
  one.ever_started = true;
  one.previous = std::exchange(one.last, std::nullopt);
  one.waiting_message.clear();
  one.kill_reason.clear();
  one.stopping = false;
  one.backoff = one.backoff.count() == 0 ? services_.backoff_base : std::min(one.backoff * 2, services_.backoff_max);
  one.started_at = services_.objects.now();
  one.log = std::make_unique<log_writer>(log_of(one));
  make_termination_log(termination_log_of(one));
  std::error_code ignored;
  if (one.restarts >= 2)
    std::filesystem::remove(folder_ + "/logs/" + one.name + "/" + std::to_string(one.restarts - 2) + ".log", ignored);
  auto started = process::start(*spec);
  one.id = "process://" + (started ? std::to_string(started->pid()) : "none") + "-" + std::to_string(one.restarts);
  if (!started) {
    event("Warning", "Failed", "Error: " + started.error().context);
    return ended(one, {.code = 128,
                       .signal = 0,
                       .reason = "StartError",
                       .message = started.error().context,
                       .started = one.started_at,
                       .finished = one.started_at,
                       .id = one.id});
  }
  one.running.emplace(std::move(*started));
  one.waiting_reason.clear();
  event("Normal", "Started", "Started container " + one.name);
  start_probes(one, *spec, rewriter(address_, mounts_of(one)));
}

void pod_worker::start_probes(container& one, const process_spec& spec, const rewriter& rewrite) {
  one.startup_passed = !one.spec.contains("startupProbe");
  one.ready = false;
  if (one.kind == container::role::init) {
    one.startup_passed = true;
    return;
  }
  if (one.startup_passed) return after_startup(one);
  const probe_target target{
      .address = address_, .container = one.spec, .exec = spec, .rewrite = [rewrite](const std::string& text) {
        return rewrite.apply(text);
      }};
  one.startup = std::make_unique<prober>(
      one.spec["startupProbe"], target, [this, name = one.name, life = one.id](bool good, const std::string& message) {
        post([this, name, life, good, message] { probe_reported(name, life, "Startup", good, message); });
      });
}

void pod_worker::after_startup(container& one) {
  one.startup_passed = true;
  const auto spec = command_of(one);
  if (!spec) return;
  const rewriter rewrite(address_, mounts_of(one));
  const probe_target target{
      .address = address_, .container = one.spec, .exec = *spec, .rewrite = [rewrite](const std::string& text) {
        return rewrite.apply(text);
      }};
  const auto make = [&](const char* field, const char* kind) -> std::unique_ptr<prober> {
    if (!one.spec.contains(field)) return nullptr;
    return std::make_unique<prober>(
        one.spec[field], target, [this, name = one.name, life = one.id, kind](bool good, const std::string& message) {
          post([this, name, life, kind, good, message] { probe_reported(name, life, kind, good, message); });
        });
  };
  one.liveness = make("livenessProbe", "Liveness");
  one.readiness = make("readinessProbe", "Readiness");
  if (!one.readiness) one.ready = true;
}

void pod_worker::probe_reported(const std::string& name, const std::string& life, const char* kind, bool good,
                                const std::string& message) {
  auto* one = find_container(name);
  if (one == nullptr || !one->running || one->id != life) return;
  const std::string_view what = kind;
  if (!good) event("Warning", "Unhealthy", std::string(kind) + " probe failed: " + message);
  if (what == "Readiness") {
    one->ready = good;
  } else if (what == "Startup" && good) {
    after_startup(*one);
  } else if (!good && !one->stopping) {
    event(
        "Normal", "Killing",
        "Container " + name + " failed " + (what == "Startup" ? "startup" : "liveness") + " probe, will be restarted");
    one->kill_reason = "probe";
    const auto fallback = number_at(pod_, {"spec", "terminationGracePeriodSeconds"}, 30);
    stop(*one, std::chrono::seconds(number_at(
                   one->spec, {what == "Startup" ? "startupProbe" : "livenessProbe", "terminationGracePeriodSeconds"},
                   fallback)));
  }
}

}  // namespace orrery::local
