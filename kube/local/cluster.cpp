#include "kube/local/cluster.hpp"

#include "kube/local/api.hpp"
#include "kube/local/bootstrap.hpp"
#include "kube/local/certs.hpp"
#include "kube/local/controllers.hpp"
#include "kube/local/http_server.hpp"
#include "kube/local/kubeconfig.hpp"
#include "kube/local/kubelet/kubelet.hpp"

#include <filesystem>
#include <mutex>

namespace orrery::local {

class cluster::impl {
 public:
  explicit impl(cluster_options chosen)
      : options_(std::move(chosen)),
        // Versions of a later life of the cluster are greater than all of an earlier one, whose watchers then get 410.
        store_({.history_max = options_.history_max,
                .first_version = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                                                            std::chrono::milliseconds(1))}),
        registry_(store_, catalog_, [] { return std::chrono::system_clock::now(); }),
        api_(registry_, tokens_, faults_, {.directory = options_.directory, .authorize = options_.authorize}) {}

  result<void> start() {
    std::error_code wrong;
    std::filesystem::create_directories(options_.directory, wrong);
    options_.directory = std::filesystem::absolute(options_.directory).string();
    auto made = authority::make();
    if (!made) return fail(made.error());
    authority_ = std::move(*made);
    auto serving = authority_.issue_server(
        {"127.0.0.1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"});
    if (!serving) return fail(serving.error());
    auto admin = authority_.issue_client("kubernetes-admin", {"system:masters"});
    if (!admin) return fail(admin.error());
    auto server = http_server::start({.port = options_.port,
                                      .certificate = std::move(*serving),
                                      .client_authority = authority_.certificate(),
                                      .handler = [this](const http_request& request) { return api_.handle(request); },
                                      .refuse =
                                          [this] {
                                            const auto plan = faults_.plan();
                                            return plan.outage && plan.user_agent.empty() && plan.path.empty();
                                          }});
    if (!server) return fail(server.error());
    server_ = std::move(*server);
    bootstrap(registry_, options_.nodes, server_->port());
    const auto text = to_kubeconfig({.server = url(),
                                     .authority = authority_.certificate(),
                                     .user = "kubernetes-admin",
                                     .space = "default",
                                     .token = "",
                                     .certificate = std::move(*admin)});
    if (!write_file(kubeconfig_path(), text, true)) return fail(errc::io, "cannot write " + kubeconfig_path());
    controllers_ = std::make_unique<controller_manager>(registry_, authority_.certificate());
    if (options_.kubelet) {
      kubelet_ = std::make_unique<kubelet>(
          registry_,
          kubelet::options{
              .directory = options_.directory,
              .images = options_.images,
              .backoff_base = options_.backoff_base,
              .backoff_max = options_.backoff_max,
              .api_port = server_->port(),
              .token = [this](const std::string& space,
                              const std::string& name) { return tokens_.service_account_token(space, name); },
              .kubeconfig = [this](const std::string& space,
                                   const std::string& name) { return account_kubeconfig(space, name); },
              .authority = authority_.certificate()});
    }
    return {};
  }

  ~impl() {
    store_.stop();
    kubelet_.reset();
    server_.reset();
    controllers_.reset();
  }

  std::string url() const { return "https://127.0.0.1:" + std::to_string(server_->port()); }
  std::string kubeconfig_path() const { return options_.directory + "/kubeconfig"; }
  std::string account_kubeconfig(const std::string& space, const std::string& name) const {
    return to_kubeconfig({.server = url(),
                          .authority = authority_.certificate(),
                          .user = name,
                          .space = space,
                          .token = tokens_.service_account_token(space, name),
                          .certificate = {}});
  }

  cluster_options options_;
  catalog catalog_;
  store store_;
  registry registry_;
  token_issuer tokens_;
  faults faults_;
  api api_;
  authority authority_;
  std::unique_ptr<controller_manager> controllers_;
  std::unique_ptr<http_server> server_;
  std::unique_ptr<kubelet> kubelet_;
};

cluster::cluster(std::unique_ptr<impl> inner) : impl_(std::move(inner)) {}
cluster::~cluster() = default;

result<std::unique_ptr<cluster>> cluster::start(cluster_options chosen) {
  if (chosen.directory.empty())
    return fail(errc::invalid_argument, "the cluster needs a directory for its kubeconfig and pods");
  std::error_code wrong;
  chosen.directory = std::filesystem::absolute(chosen.directory, wrong).string();
  auto inner = std::make_unique<impl>(std::move(chosen));
  if (auto started = inner->start(); !started) return fail(started.error());
  return std::unique_ptr<cluster>(new cluster(std::move(inner)));
}

std::string cluster::url() const { return impl_->url(); }
std::string cluster::kubeconfig_path() const { return impl_->kubeconfig_path(); }
std::string cluster::admin_token() const { return impl_->tokens_.admin_token(); }
std::string cluster::authority_certificate() const { return impl_->authority_.certificate(); }
std::string cluster::service_account_kubeconfig(const std::string& space, const std::string& name) const {
  return impl_->account_kubeconfig(space, name);
}
void cluster::clear_faults() { impl_->faults_.clear(); }
void cluster::compact() { impl_->store_.compact(); }

result<void> cluster::inject(const std::string& faults_json) {
  if (auto done = impl_->faults_.merge(json::parse(faults_json, nullptr, false)); !done)
    return fail(errc::invalid_argument, done.error().message);
  return {};
}

void cluster::map_image(const std::string& name, const std::string& program) {
  if (impl_->kubelet_) impl_->kubelet_->map_image(name, program);
}

}  // namespace orrery::local
