#include "kube/local/bootstrap.hpp"

#include "kube/local/discovery.hpp"

#include <thread>
#include <unistd.h>

namespace orrery::local {
namespace {

json named(const std::string& name, json rest = json::object()) {
  rest["metadata"]["name"] = name;
  return rest;
}

json node(const std::string& name, const std::string& now) {
  const auto cores = std::to_string(std::max(1U, std::thread::hardware_concurrency()));
  const auto pages = sysconf(_SC_PHYS_PAGES);
  const auto memory = std::to_string(pages / 1024 * sysconf(_SC_PAGESIZE)) + "Ki";
  const json amounts = {{"cpu", cores}, {"memory", memory}, {"pods", "110"}, {"ephemeral-storage", "100Gi"}};
  const auto condition = [&](const char* type, const char* status, const char* reason, const char* message) {
    return json{{"type", type},       {"status", status},         {"reason", reason},
                {"message", message}, {"lastHeartbeatTime", now}, {"lastTransitionTime", now}};
  };
  return {
      {"metadata",
       {{"name", name},
        {"labels",
         {{"kubernetes.io/hostname", name}, {"kubernetes.io/os", "linux"}, {"kubernetes.io/arch", "amd64"}}}}},
      {"spec", {{"podCIDR", "127.0.0.0/8"}}},
      {"status",
       {{"capacity", amounts},
        {"allocatable", amounts},
        {"addresses", {{{"type", "InternalIP"}, {"address", "127.0.0.1"}}, {{"type", "Hostname"}, {"address", name}}}},
        {"conditions",
         {condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
          condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
          condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
          condition("Ready", "True", "KubeletReady", "pods run as local processes")}},
        {"daemonEndpoints", {{"kubeletEndpoint", {{"Port", 0}}}}},
        {"nodeInfo",
         {{"kubeletVersion", text_at(version_info(), {"gitVersion"})},
          {"kubeProxyVersion", ""},
          {"architecture", "amd64"},
          {"operatingSystem", "linux"},
          {"osImage", "local processes"},
          {"containerRuntimeVersion", "process://1"},
          {"kernelVersion", ""},
          {"bootID", ""},
          {"machineID", ""},
          {"systemUUID", ""}}}}}};
}

}  // namespace

void bootstrap(registry& objects, int nodes, std::uint16_t port) {
  for (const char* space : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    objects.ensure("namespaces", "", named(space));
    objects.ensure("serviceaccounts", space, named("default"));
  }
  objects.ensure("clusterroles.rbac.authorization.k8s.io", "",
                 named("cluster-admin", {{"rules",
                                          {{{"apiGroups", {"*"}}, {"resources", {"*"}}, {"verbs", {"*"}}},
                                           {{"nonResourceURLs", {"*"}}, {"verbs", {"*"}}}}}}));
  objects.ensure(
      "clusterrolebindings.rbac.authorization.k8s.io", "",
      named(
          "cluster-admin",
          {{"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", "cluster-admin"}}},
           {"subjects", {{{"kind", "Group"}, {"name", "system:masters"}}}}}));
  objects.ensure("services", "default",
                 named("kubernetes", {{"spec",
                                       {{"type", "ClusterIP"},
                                        {"clusterIP", "10.96.0.1"},
                                        {"ports", {{{"name", "https"}, {"port", 443}, {"targetPort", port}}}}}}}));
  for (int each = 1; each <= nodes; ++each)
    objects.ensure("nodes", "", node("node" + std::to_string(each), rfc3339(objects.now())));
}

}  // namespace orrery::local
