#include "kube/local/kubelet/kubelet.hpp"
namespace orrery::local {
class kubelet::impl {};
kubelet::kubelet(registry&, options) : impl_(std::make_unique<impl>()) {}
kubelet::~kubelet() = default;
void kubelet::map_image(const std::string&, const std::string&) {}
}  // namespace orrery::local
