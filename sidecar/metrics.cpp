#include "sidecar/metrics.hpp"

#include "sidecar/load_metrics.hpp"
#include "sidecar/metrics_snapshot.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <fstream>
#include <map>
#include <set>
#include <unistd.h>

namespace orrery::sidecar {

namespace {

using prometheus::Histogram;

const Histogram::BucketBoundaries call_buckets{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
                                               50e-3, 100e-3, 250e-3, 500e-3, 1.0,  2.5,    5.0,  10.0};
const Histogram::BucketBoundaries step_buckets{1e-6,   2.5e-6, 5e-6,   10e-6, 25e-6, 50e-6,
                                               100e-6, 250e-6, 500e-6, 1e-3,  10e-3, 100e-3};

double resident_bytes() {
  std::ifstream in("/proc/self/statm");
  long all = 0;
  long resident = 0;
  in >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void add_nodes(metrics_snapshot& out, const value& nodes) {
  const auto document = nodes.document();
  std::map<std::string, double> states{{"up", 0}, {"connecting", 0}, {"down", 0}, {"draining", 0}};
  double worst = 0;
  if (document.is_object() && document.contains("nodes")) {
    for (const auto& each : document["nodes"]) {
      const auto state = each.value("state", "");
      if (const auto found = states.find(state); found != states.end()) found->second += 1;
      if (each.contains("rttSeconds") && each["rttSeconds"].is_number()) {
        worst = std::max(worst, each["rttSeconds"].get<double>());
      }
    }
  }
  for (const auto& [state, count] : states) {
    out.gauge("mesh_peers", "Other nodes of the mesh by state.", count, {{"state", state}});
  }
  out.gauge("peer_rtt_seconds_max", "The longest round trip to a peer, from heartbeats.", worst);
}

void add_tree(metrics_snapshot& out, const value& tree, const std::set<std::string>& known) {
  struct sums {
    double children = 0, gave_up = 0, given_up_now = 0, given_up = 0;
    std::map<std::string, double> mailboxes{{"refused", 0}, {"displaced", 0}, {"waited", 0}};
  };
  std::map<std::string, sums> classes;
  const auto document = tree.document();
  if (document.is_object() && document.contains("nodes")) {
    for (const auto& each : document["nodes"]) {
      if (!each.contains("supervisors")) continue;
      for (const auto& supervisor : each["supervisors"]) {
        const auto klass = supervisor.value("class", "");
        if (!known.contains(klass)) continue;
        auto& sum = classes[klass];
        sum.children += supervisor.value("children", 0.0);
        sum.gave_up += supervisor.value("gaveUp", 0.0);
        sum.given_up_now += supervisor.value("givenUpNow", 0.0);
        sum.given_up += supervisor.value("childrenGivenUp", 0.0);
        if (!supervisor.contains("mailboxes")) continue;
        for (auto& [outcome, count] : sum.mailboxes)
          count += supervisor["mailboxes"].value(outcome, 0.0);
      }
    }
  }
  for (const auto& [klass, sum] : classes) {
    out.gauge("processes", "Processes on this node.", sum.children, {{"class", klass}});
  }
  for (const auto& [klass, sum] : classes) {
    out.counter("supervisor_gave_up_total", "Times that a class' supervisor went over its intensity.",
                static_cast<std::uint64_t>(sum.gave_up), {{"class", klass}});
  }
  for (const auto& [klass, sum] : classes) {
    out.gauge("processes_given_up", "Names that are refused as their processes went over their own budget.",
              sum.given_up_now, {{"class", klass}});
  }
  for (const auto& [klass, sum] : classes) {
    out.counter("processes_given_up_total", "Times that a process went over its own budget.",
                static_cast<std::uint64_t>(sum.given_up), {{"class", klass}});
  }
  for (const auto& [klass, sum] : classes) {
    for (const auto& [outcome, count] : sum.mailboxes) {
      out.counter("mailbox_full_total", "Messages that met a full mailbox, by what became of them.",
                  static_cast<std::uint64_t>(count), {{"class", klass}, {"outcome", outcome}});
    }
  }
}

void add_status(metrics_snapshot& out, const observed& now) {
  const auto& node = now.node;
  const auto& counted = node.counted;
  out.gauge("node_joined", "1 if connected to every expected peer that answers.", node.joined ? 1 : 0);
  out.gauge("node_isolated", "1 if neither a majority nor the API server can be reached.", node.isolated ? 1 : 0);
  out.gauge("node_draining", "1 if the node is leaving.", node.draining ? 1 : 0);
  out.gauge("mesh_expected_nodes", "Nodes that discovery names, this one included.",
            static_cast<double>(node.expected));
  out.gauge("mesh_connected_peers", "Peers that are up.", static_cast<double>(node.connected));
  out.gauge("node_processes", "Processes on this node, of all classes.", static_cast<double>(node.processes));
  out.counter("node_calls_total", "Calls by where they ran.", counted.calls_local, {{"path", "local"}});
  out.counter("node_calls_total", "Calls by where they ran.", counted.calls_forwarded, {{"path", "forwarded"}});
  out.counter("node_calls_failed_total", "Calls that were answered with an error.", counted.calls_failed);
  out.counter("casts_total", "Casts taken.", counted.casts);
  out.counter("casts_dropped_total", "Casts that could not be delivered.", counted.casts_dropped);
  out.counter("calls_expired_total", "Calls that waited in a mailbox until their deadline.", counted.calls_expired);
  out.counter("calls_cancelled_total", "Calls that their callers gave up before they began.", counted.calls_cancelled);
  out.counter("process_starts_total", "Processes started.", counted.process_starts);
  out.counter("process_crashes_total", "Processes that crashed.", counted.process_crashes);
  out.counter("handoffs_total", "Processes handed over.", counted.handoffs_in, {{"direction", "in"}});
  out.counter("handoffs_total", "Processes handed over.", counted.handoffs_out, {{"direction", "out"}});
  out.counter("peers_refused_total", "Peers that were connected and refused.", counted.peers_refused);
  out.counter("inbound_refused_total", "Inbound mesh connections that never became a peer.", now.inbound_refused);
  out.counter("frames_refused_total", "Frames that broke the rules.", counted.frames_refused);
  out.gauge("app_registrations", "Classes that connections of apps host on this node.",
            static_cast<double>(node.app_registrations));
  out.gauge("classes_unhosted", "App-hosted classes that no app is connected for, and whose names go to other nodes.",
            static_cast<double>(node.classes_unhosted));
  out.counter("client_messages_dropped_total", "Messages for processes of SDK clients that found no room to wait.",
              node.clients.dropped);
  out.gauge("client_unwritten_bytes", "Messages for processes of SDK clients that are on their way to connections.",
            static_cast<double>(node.clients.unwritten_bytes));
  out.gauge("client_waiting_bytes", "Messages for processes of SDK clients that wait for credit or for room.",
            static_cast<double>(node.clients.waiting_bytes), {{"kind", "message"}});
  out.gauge("client_waiting_bytes", "Messages for processes of SDK clients that wait for credit or for room.",
            static_cast<double>(node.clients.waiting_ends_bytes), {{"kind", "end"}});
  out.gauge("app_work", "Callbacks that apps have in hand.", static_cast<double>(node.app_at_work));
  out.counter("app_work_total", "Callbacks handed to apps.", counted.app_works);
  out.counter("app_work_failed_total", "Callbacks that apps failed with.", counted.app_crashes, {{"reason", "crash"}});
  out.counter("app_work_failed_total", "Callbacks that apps failed with.", counted.app_losses,
              {{"reason", "disconnect"}});
  out.counter("app_work_failed_total", "Callbacks that apps failed with.", counted.app_overdue,
              {{"reason", "deadline"}});
  out.counter("escalations_total", "Supervisors that escalated to the node or the pod.", counted.escalations);
}

void add_sidecar(metrics_snapshot& out, const observed& now) {
  out.gauge("cert_expiry_timestamp_seconds", "When this node's certificate expires.",
            static_cast<double>(now.certificate_expires_at));
  out.gauge("discovery_connected", "1 if the list of members is being followed.", now.discovery_connected ? 1 : 0);
  out.counter("discovery_failures_total", "Lists and watches that failed.", now.discovery_failures);
  out.gauge("sdk_connections", "Open connections of SDK clients.", static_cast<double>(now.sdk.connections));
  out.counter("sdk_connections_refused_total", "Connections over the maximum.", now.sdk.refused_full);
  out.gauge("sdk_stream_connections", "Open connections of the SDK protocol.",
            static_cast<double>(now.streams.connections));
  out.counter("sdk_stream_connections_total", "Connections of the SDK protocol that were accepted.",
              now.streams.accepted);
  out.counter("sdk_stream_connections_refused_total", "Connections of the SDK protocol over the maximum.",
              now.streams.refused_full);
  out.counter("sdk_stream_connections_ended_total",
              "Connections of the SDK protocol that were ended: they broke the rules, or did not read or answer.",
              now.streams.ended);
  out.counter("sdk_requests_malformed_total", "Requests that were garbage, too large or too slow.", now.sdk.malformed);
  out.gauge("event_subscribers", "Clients that follow the events.", static_cast<double>(now.event_subscribers));
  out.gauge("resident_memory_bytes", "Resident memory of the sidecar.", resident_bytes());
  out.gauge("build_info", "Always 1.", 1, {{"version", ORRERY_VERSION}});
}

}  // namespace

std::string_view reason_label(std::string_view reason) noexcept {
  static constexpr std::array<std::string_view, 6> kinds{"normal", "shutdown", "killed", "moved", "error", "limit"};
  const auto kind = reason.substr(0, reason.find_first_of(": "));
  for (const auto known : kinds) {
    if (known == kind) return known;
  }
  return "other";
}

struct metrics::impl {
  prometheus::Registry registry;
  prometheus::Family<Histogram>& call_seconds =
      prometheus::BuildHistogram()
          .Name("orrery_call_seconds")
          .Help("From an SDK client's request to its answer, in this sidecar.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& calls =
      prometheus::BuildCounter().Name("orrery_calls_total").Help("Calls of SDK clients by outcome.").Register(registry);
  prometheus::Family<prometheus::Counter>& restarts = prometheus::BuildCounter()
                                                          .Name("orrery_process_restarts_total")
                                                          .Help("Processes restarted on this node.")
                                                          .Register(registry);
  prometheus::Family<prometheus::Counter>& exits = prometheus::BuildCounter()
                                                       .Name("orrery_process_exits_total")
                                                       .Help("Processes that exited on this node.")
                                                       .Register(registry);
  Histogram& step_seconds =
      prometheus::BuildHistogram()
          .Name("orrery_node_step_seconds")
          .Help(
              "One step of the node, from an event to its effects. A crashed process is restarted "
              "within the step that it crashed in, unless it was restarted often.")
          .Register(registry)
          .Add({}, step_buckets);
  Histogram& turn_lag_seconds =
      prometheus::BuildHistogram()
          .Name("orrery_turn_lag_seconds")
          .Help("How late the node had its turn: after a timer was due, or since it had work left.")
          .Register(registry)
          .Add({}, step_buckets);
  prometheus::Family<prometheus::Counter>& configs =
      prometheus::BuildCounter().Name("orrery_config_reloads_total").Help("Changed configurations.").Register(registry);
  prometheus::Family<prometheus::Counter>& certificates = prometheus::BuildCounter()
                                                              .Name("orrery_certificate_reloads_total")
                                                              .Help("Changed certificates.")
                                                              .Register(registry);
  std::set<std::string> classes;

  struct per_class {
    Histogram* seconds = nullptr;
    prometheus::Counter* ok = nullptr;
  };
  std::map<std::string, per_class, std::less<>> by_class;  // so that a call costs no look-up by labels

  std::string label(const std::string& klass) const { return classes.contains(klass) ? klass : "unknown"; }

  per_class& of(const std::string& klass) {
    const auto name = label(klass);
    const auto found = by_class.find(name);
    if (found != by_class.end()) return found->second;
    return by_class
        .emplace(name, per_class{&call_seconds.Add({{"class", name}}, call_buckets),
                                 &calls.Add({{"class", name}, {"code", "ok"}})})
        .first->second;
  }
};

metrics::metrics() : impl_(std::make_unique<impl>()) {}
metrics::~metrics() = default;

void metrics::set_classes(const std::vector<process::class_spec>& classes) {
  impl_->classes.clear();
  for (const auto& each : classes)
    impl_->classes.insert(each.name.value);
}

void metrics::count_call(const class_name& klass, std::optional<errc> code, std::chrono::nanoseconds took) {
  auto& family = impl_->of(klass.value);
  family.seconds->Observe(std::chrono::duration<double>(took).count());
  if (!code) {
    family.ok->Increment();
    return;
  }
  impl_->calls.Add({{"class", impl_->label(klass.value)}, {"code", std::string(to_string(*code))}}).Increment();
}

void metrics::count_event(const node::notify& told) {
  const bool exited = told.type == "process_exited";
  const bool restarted = told.type == "process_restarted";
  if (!exited && !restarted) return;
  const auto document = told.document.document();
  if (!document.is_object()) return;
  const auto text = [&](const char* key) {
    const auto found = document.find(key);
    return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  auto& family = exited ? impl_->exits : impl_->restarts;
  family.Add({{"class", impl_->label(text("class"))}, {"reason", std::string(reason_label(text("reason")))}})
      .Increment();
}

void metrics::count_step(std::chrono::nanoseconds took) {
  impl_->step_seconds.Observe(std::chrono::duration<double>(took).count());
}

void metrics::count_turn(std::chrono::nanoseconds late) {
  impl_->turn_lag_seconds.Observe(std::chrono::duration<double>(late).count());
}

void metrics::count_config(bool accepted) {
  impl_->configs.Add({{"result", accepted ? "accepted" : "refused"}}).Increment();
}
void metrics::count_certificate(bool accepted) {
  impl_->certificates.Add({{"result", accepted ? "accepted" : "refused"}}).Increment();
}

std::string metrics::text(const observed& now) const {
  metrics_snapshot out;
  add_status(out, now);
  if (now.nodes) add_nodes(out, *now.nodes);
  if (now.tree) add_tree(out, *now.tree, impl_->classes);
  if (now.load) add_load(out, *now.load, impl_->classes);
  add_sidecar(out, now);
  auto families = impl_->registry.Collect();
  for (auto& each : out.take())
    families.push_back(std::move(each));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace orrery::sidecar
