#include "kube/local/kubeconfig.hpp"

#include "kube/local/util.hpp"
#include "mesh/base/base64.hpp"

namespace orrery::local {

std::string to_kubeconfig(const kubeconfig_parts& parts) {
  std::string user;
  if (parts.certificate.certificate.empty()) {
    user = "    token: \"" + parts.token + "\"\n";
  } else {
    user = "    client-certificate-data: " + base64_encode(parts.certificate.certificate) +
           "\n    client-key-data: " + base64_encode(parts.certificate.key) + "\n";
  }
  return "apiVersion: v1\nkind: Config\ncurrent-context: orrery-local\nclusters:\n- name: orrery-local\n  cluster:\n   "
         " server: " +
         parts.server + "\n    certificate-authority-data: " + base64_encode(parts.authority) +
         "\nusers:\n- name: " + parts.user + "\n  user:\n" + user +
         "contexts:\n- name: orrery-local\n  context:\n    cluster: orrery-local\n    user: " + parts.user +
         "\n    namespace: " + parts.space + "\n";
}

}  // namespace orrery::local
