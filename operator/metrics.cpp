#include "operator/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <set>

namespace orrery::op {

namespace {

const prometheus::Histogram::BucketBoundaries seconds_buckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                              0.1,    0.25,  0.5,    1,     2.5,  5,     10};

}  // namespace

struct metrics::state {
  template <class T>
  prometheus::Family<T>& family(const char* name, const char* help) {
    return prometheus::detail::Builder<T>{}.Name(std::string("orrery_operator_") + name).Help(help).Register(registry);
  }

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      family<prometheus::Counter>("kube_requests_total", "Requests to the API server, by what came of them.");
  prometheus::Family<prometheus::Histogram>& request_seconds =
      family<prometheus::Histogram>("kube_request_seconds", "How long requests to the API server took; not watches.");
  prometheus::Family<prometheus::Counter>& reconciles =
      family<prometheus::Counter>("reconcile_total", "Reconciliations of a mesh, by result.");
  prometheus::Family<prometheus::Histogram>& reconcile_seconds =
      family<prometheus::Histogram>("reconcile_seconds", "How long a reconciliation took.");
  prometheus::Family<prometheus::Counter>& actions =
      family<prometheus::Counter>("actions_total", "What the operator did, by kind and result.");
  prometheus::Family<prometheus::Counter>& events =
      family<prometheus::Counter>("events_total", "Events that were recorded, by reason.");
  prometheus::Family<prometheus::Gauge>& pods =
      family<prometheus::Gauge>("mesh_pods", "Pods of a mesh: wanted, and joined.");
  prometheus::Family<prometheus::Gauge>& ready = family<prometheus::Gauge>("mesh_ready", "1 if the mesh is Ready.");
  prometheus::Family<prometheus::Gauge>& leader =
      family<prometheus::Gauge>("leader", "1 while this operator is the one that acts.");
  prometheus::Family<prometheus::Gauge>& queue =
      family<prometheus::Gauge>("workqueue_depth", "Meshes that wait: ready to be worked on, delayed, in work.");
  prometheus::Family<prometheus::Gauge>& queue_totals =
      family<prometheus::Gauge>("workqueue_events", "Adds and retries of the work queue since the start.");
  prometheus::Family<prometheus::Gauge>& watches = family<prometheus::Gauge>(
      "watch_events", "Per kind since the start: lists, watches, events, bookmarks and failures.");
  prometheus::Family<prometheus::Gauge>& connected =
      family<prometheus::Gauge>("watch_connected", "1 while the API server serves the watch of a kind.");
};

metrics::metrics() : state_(std::make_unique<state>()) {}
metrics::~metrics() = default;

void metrics::on_request(kube::verb what, std::string_view plural, int code, std::chrono::duration<double> took) {
  const std::string verb(kube::to_string(what));
  state_->requests.Add({{"verb", verb}, {"resource", std::string(plural)}, {"code", std::to_string(code)}}).Increment();
  if (what == kube::verb::watch) return;
  state_->request_seconds.Add({{"verb", verb}}, seconds_buckets).Observe(took.count());
}

void metrics::on_reconcile(bool good, std::chrono::duration<double> took) {
  state_->reconciles.Add({{"result", good ? "success" : "error"}}).Increment();
  state_->reconcile_seconds.Add({}, seconds_buckets).Observe(took.count());
}

void metrics::on_action(std::string_view kind, bool good) {
  state_->actions.Add({{"action", std::string(kind)}, {"result", good ? "success" : "error"}}).Increment();
}

void metrics::on_mesh(const kube::object_key& mesh, std::int64_t wanted, std::int64_t joined, bool ready) {
  const auto pods = [&](const char* what) -> prometheus::Gauge& {
    return state_->pods.Add({{"namespace", mesh.ns}, {"mesh", mesh.name}, {"state", what}});
  };
  pods("wanted").Set(static_cast<double>(wanted));
  pods("joined").Set(static_cast<double>(joined));
  state_->ready.Add({{"namespace", mesh.ns}, {"mesh", mesh.name}}).Set(ready ? 1 : 0);
}

void metrics::on_mesh_gone(const kube::object_key& mesh) {
  for (const char* what : {"wanted", "joined"}) {
    state_->pods.Remove(&state_->pods.Add({{"namespace", mesh.ns}, {"mesh", mesh.name}, {"state", what}}));
  }
  state_->ready.Remove(&state_->ready.Add({{"namespace", mesh.ns}, {"mesh", mesh.name}}));
}

void metrics::on_event(std::string_view reason) { state_->events.Add({{"reason", std::string(reason)}}).Increment(); }

void metrics::set_leader(bool leads) { state_->leader.Add({}).Set(leads ? 1 : 0); }

void metrics::on_queue(const kube::work_queue_stats& stats) {
  const auto set = [](auto& family, const char* label, const char* what, auto value) {
    family.Add({{label, what}}).Set(static_cast<double>(value));
  };
  set(state_->queue, "state", "ready", stats.ready);
  set(state_->queue, "state", "delayed", stats.delayed);
  set(state_->queue, "state", "processing", stats.processing);
  set(state_->queue_totals, "event", "add", stats.adds);
  set(state_->queue_totals, "event", "retry", stats.retries);
}

void metrics::on_informer(std::string_view plural, const kube::informer_health& health) {
  const std::string kind(plural);
  const auto set = [&](const char* what, std::uint64_t value) {
    state_->watches.Add({{"resource", kind}, {"event", what}}).Set(static_cast<double>(value));
  };
  set("list", health.lists);
  set("watch", health.watches);
  set("event", health.events);
  set("bookmark", health.bookmarks);
  set("failure", health.failures);
  state_->connected.Add({{"resource", kind}}).Set(health.connected ? 1 : 0);
}

std::string metrics::text() const { return prometheus::TextSerializer{}.Serialize(state_->registry.Collect()); }

}  // namespace orrery::op
