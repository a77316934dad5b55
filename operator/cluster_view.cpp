#include "operator/cluster_view.hpp"

#include "operator/missing_hosts.hpp"
#include "operator/plan/names.hpp"
#include "operator/plan/plan.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <mutex>

namespace orrery::op {

namespace {

using kube::informer;
using kube::json;
using kube::object_key;
using kube::object_ptr;

enum class place { meshes, classes, pods, secrets, config_maps, others, hosts };

struct watched {
  place where;
  kube::resource kind;
  std::string ns;
  std::unique_ptr<informer> copy;
};

bool owned_by(const json& object, std::string_view mesh_uid) {
  const auto owner = kube::controller_of(object);
  return owner && owner->uid == mesh_uid;
}

void sort_by_name(std::vector<object_ptr>& objects) {
  std::sort(objects.begin(), objects.end(),
            [](const auto& a, const auto& b) { return kube::name_of(*a) < kube::name_of(*b); });
}

std::string selector_of(const object_key& mesh) { return std::string(plan::labels::mesh) + "=" + mesh.name; }

}  // namespace

struct cluster_view::state {
  kube::client& api;
  plan::server_features server;
  bool may_read_hosts;
  std::function<void(const object_key&)> changed;
  std::vector<watched> all;
  mutable std::mutex missing_mutex{};
  mutable missing_hosts missing{};

  template <class Visit>
  void each(place where, Visit visit) const {
    for (const auto& one : all) {
      if (one.where == where) visit(one);
    }
  }

  void tell(place where, const json& object) const {
    switch (where) {
      case place::meshes:
        return changed(kube::key_of(object));
      case place::classes:
        if (const auto mesh = kube::text_at(object, {"spec", "meshRef", "name"}); !mesh.empty()) {
          changed({std::string(kube::namespace_of(object)), std::string(mesh)});
        }
        return;
      case place::hosts:
        for (const auto& mesh : keys())
          changed(mesh);
        return;
      case place::pods:
      case place::secrets:
      case place::config_maps:
      case place::others:
        if (const auto mesh = kube::label_of(object, plan::labels::mesh); !mesh.empty()) {
          changed({std::string(kube::namespace_of(object)), std::string(mesh)});
        }
        return;
    }
  }

  std::vector<object_key> keys() const {
    std::vector<object_key> out;
    each(place::meshes, [&](const watched& one) {
      for (const auto& mesh : one.copy->list())
        out.push_back(kube::key_of(*mesh));
    });
    return out;
  }

  void watch(place where, const kube::resource& kind, const std::string& ns, std::string selector) {
    kube::informer_options options;
    options.ns = ns;
    options.label_selector = std::move(selector);
    kube::informer_handlers handlers;
    handlers.added = [this, where](const object_ptr& now) { tell(where, *now); };
    handlers.removed = handlers.added;
    handlers.updated = [this, where](const object_ptr& before, const object_ptr& now) {
      if (where == place::hosts && plan::read_host(*before).ready == plan::read_host(*now).ready) return;
      tell(where, *now);
      if (where == place::classes) tell(where, *before);  // it may have left a mesh
    };
    if (where == place::hosts) {
      options.trim = [](json& node) {
        if (auto status = node.find("status"); status != node.end() && status->is_object()) status->erase("images");
      };
    }
    all.push_back({where, kind, ns, std::make_unique<informer>(api, kind, std::move(options), std::move(handlers))});
  }

  std::vector<object_ptr> owned(place where, const object_key& mesh, std::string_view uid) const {
    std::vector<object_ptr> out;
    each(where, [&](const watched& one) {
      if (!one.ns.empty() && one.ns != mesh.ns) return;
      for (auto& object : one.copy->list()) {
        const bool ours = kube::namespace_of(*object) == mesh.ns &&
                          kube::label_of(*object, plan::labels::mesh) == mesh.name && owned_by(*object, uid);
        if (ours) out.push_back(std::move(object));
      }
    });
    return out;
  }

  result<std::vector<object_ptr>> list_owned(const kube::resource& kind, const object_key& mesh,
                                             std::string_view uid) const {
    kube::list_options options;
    options.label_selector = selector_of(mesh);
    auto listed = api.list_all(kind, mesh.ns, options);  // without a resourceVersion: a read of the quorum
    if (!listed) return fail(listed.error());
    std::vector<object_ptr> out;
    for (auto& object : listed->items) {
      if (owned_by(object, uid)) out.push_back(std::make_shared<const json>(std::move(object)));
    }
    sort_by_name(out);
    return out;
  }

  void add_hosts(plan::observed& out) const {
    each(place::hosts, [&](const watched& one) {
      out.hosts_known = are_hosts_known(one.copy->health(), std::chrono::steady_clock::now());
      for (const auto& host : one.copy->list())
        out.hosts[std::string(kube::name_of(*host))] = plan::read_host(*host);
    });
    if (!out.hosts_known) return;
    const std::lock_guard lock(missing_mutex);
    missing.copied(out.hosts);
    out.hosts_missing = missing.since();
  }

  void add_classes(const object_key& mesh, plan::observed& out) const {
    each(place::classes, [&](const watched& one) {
      for (auto& klass : one.copy->list()) {
        const bool ours =
            kube::namespace_of(*klass) == mesh.ns && kube::text_at(*klass, {"spec", "meshRef", "name"}) == mesh.name;
        if (ours) out.classes.push_back({std::move(klass), {}});
      }
    });
  }

  result<void> refresh_hosts(plan::observed& out) const {
    const bool doubtful =
        !out.hosts_known || has_strange_host(out.hosts, out.pods) ||
        std::any_of(out.hosts.begin(), out.hosts.end(), [](const auto& one) { return !one.second.ready; });
    if (!may_read_hosts || !doubtful) return {};
    auto listed = api.list_all(kube::resources::nodes, "");
    if (!listed) return fail(listed.error());
    out.hosts.clear();
    for (const auto& host : listed->items)
      out.hosts[std::string(kube::name_of(host))] = plan::read_host(host);
    out.hosts_known = true;
    const std::lock_guard lock(missing_mutex);
    missing.listed(out.hosts, out.pods, std::chrono::system_clock::now());
    out.hosts_missing = missing.since();
    return {};
  }
};

cluster_view::cluster_view(kube::client& api, const std::vector<std::string>& namespaces, plan::server_features server,
                           bool may_read_hosts, std::function<void(const object_key&)> changed)
    : state_(new state{api, server, may_read_hosts, std::move(changed), {}}) {
  const auto budgets =
      server.policy_v1 ? kube::resources::pod_disruption_budgets : kube::resources::pod_disruption_budgets_v1beta1;
  const std::string ours(plan::owned_selector());
  for (const auto& ns : namespaces.empty() ? std::vector<std::string>{""} : namespaces) {
    state_->watch(place::meshes, kube::resources::process_meshes, ns, "");
    state_->watch(place::classes, kube::resources::process_classes, ns, "");
    state_->watch(place::pods, kube::resources::pods, ns, ours);
    state_->watch(place::secrets, kube::resources::secrets, ns, ours);
    state_->watch(place::config_maps, kube::resources::config_maps, ns, ours);
    for (const auto& kind : {kube::resources::services, kube::resources::service_accounts, kube::resources::roles,
                             kube::resources::role_bindings, budgets}) {
      state_->watch(place::others, kind, ns, ours);
    }
  }
  if (may_read_hosts) state_->watch(place::hosts, kube::resources::nodes, "", "");
}

cluster_view::~cluster_view() { stop(); }

void cluster_view::start() {
  for (auto& one : state_->all)
    one.copy->start();
}

void cluster_view::stop() {
  for (auto& one : state_->all)
    one.copy->stop();
}

bool cluster_view::has_synced() const {
  return std::all_of(state_->all.begin(), state_->all.end(), [](const watched& one) { return one.copy->has_synced(); });
}

plan::observed cluster_view::remembered(const object_key& mesh) const {
  plan::observed out;
  out.server = state_->server;
  state_->add_classes(mesh, out);
  state_->each(place::meshes, [&](const watched& one) {
    if (auto found = one.copy->get(mesh)) out.mesh = std::move(found);
  });
  if (!out.mesh) return out;
  const auto uid = kube::uid_of(*out.mesh);
  out.pods = state_->owned(place::pods, mesh, uid);
  out.secrets = state_->owned(place::secrets, mesh, uid);
  out.config_maps = state_->owned(place::config_maps, mesh, uid);
  state_->each(place::others, [&](const watched& one) {
    if (!one.ns.empty() && one.ns != mesh.ns) return;
    for (auto& object : one.copy->list()) {
      const bool ours = kube::namespace_of(*object) == mesh.ns &&
                        kube::label_of(*object, plan::labels::mesh) == mesh.name && owned_by(*object, uid);
      if (ours) out.others[std::string(one.kind.kind)].push_back(std::move(object));
    }
  });
  state_->add_hosts(out);
  return out;
}

result<plan::observed> cluster_view::read_now(const object_key& mesh) {
  auto out = remembered(mesh);
  auto now = state_->api.get(kube::resources::process_meshes, mesh);
  if (!now) return fail(now.error());
  out.mesh = std::make_shared<const json>(std::move(*now));
  const auto uid = kube::uid_of(*out.mesh);
  // Secrets before pods: a pod that is made in between is never missing from a list that has its Secret.
  auto secrets = state_->list_owned(kube::resources::secrets, mesh, uid);
  if (!secrets) return fail(secrets.error());
  out.secrets = std::move(*secrets);
  auto config_maps = state_->list_owned(kube::resources::config_maps, mesh, uid);
  if (!config_maps) return fail(config_maps.error());
  out.config_maps = std::move(*config_maps);
  auto pods = state_->list_owned(kube::resources::pods, mesh, uid);
  if (!pods) return fail(pods.error());
  out.pods = std::move(*pods);
  if (auto hosts = state_->refresh_hosts(out); !hosts) return fail(hosts.error());
  return out;
}

std::vector<object_key> cluster_view::meshes() const {
  auto out = state_->keys();
  state_->each(place::classes, [&](const watched& one) {
    for (const auto& klass : one.copy->list()) {
      const auto mesh = kube::text_at(*klass, {"spec", "meshRef", "name"});
      if (!mesh.empty()) out.push_back({std::string(kube::namespace_of(*klass)), std::string(mesh)});
    }
  });
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<std::pair<std::string, kube::informer_health>> cluster_view::health() const {
  std::vector<std::pair<std::string, kube::informer_health>> out;
  for (const auto& one : state_->all)
    out.emplace_back(std::string(one.kind.plural), one.copy->health());
  return out;
}

}  // namespace orrery::op
