#include "sidecar/service.hpp"

#include "mesh/base/endpoint.hpp"
#include "sidecar/busy_poll.hpp"
#include "sidecar/discovery.hpp"
#include "sidecar/handlers.hpp"
#include "sidecar/log_budget.hpp"
#include "sidecar/member_cache.hpp"
#include "sidecar/memory.hpp"
#include "sidecar/sdk_server.hpp"
#include "sidecar/termination_log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "shell/admin.hpp"
#include "shell/log.hpp"
#include <csignal>
#include <random>
#include <utility>

namespace orrery::sidecar {

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto tick_interval = 1s;
constexpr auto check_timeout = 2s;
constexpr std::uint32_t event_lines_max = 20;  ///< of each kind, from tick to tick
constexpr std::uint32_t retry_ticks = 30;      ///< until files that could not be used are read again
constexpr auto drain_slack = 1s;               ///< over drainTimeout, for the core to end by itself
constexpr auto flush_time = 200ms;             ///< for the last answers and goodbyes to leave
constexpr auto escalation_drain_max = 5s;      ///< a node that is to be restarted does not linger
/// The greatest value, and what JSON may need beyond its CBOR.
constexpr std::size_t sdk_body_bytes_max = value_bytes_max + (256U << 10U);
constexpr duration wall_step_told = 5ms;    ///< less is not worth a word to the node
constexpr auto control_plane_patience = 5;  ///< ticks without a connection before it is said to be lost

/// Which events an operator of the mesh reads at which level.
shell::log_level level_of(std::string_view type) {
  if (type == "process_given_up") return shell::log_level::warn;
  if (type.starts_with("process_")) return shell::log_level::debug;
  for (const std::string_view loud : {"node_down", "isolated", "supervisor_gave_up", "escalated", "class_refused",
                                      "config_refused", "peer_refused", "control_plane_lost"}) {
    if (type == loud) return shell::log_level::warn;
  }
  return shell::log_level::info;
}

/// What the time of day is ahead of the clock that the node lives by.
duration read_wall_offset() {
  const auto wall = std::chrono::duration_cast<duration>(std::chrono::system_clock::now().time_since_epoch());
  return wall - std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch());
}

class service {
 public:
  service(const options& chosen, inputs from)
      : options_(chosen),
        config_(std::move(from.settings)),
        genesis_(std::move(from.birth)),
        config_files_(std::move(from.config_files)) {}

  exit_code run();

 private:
  result<void> open();
  result<void> open_node();
  result<void> open_servers();
  result<void> open_discovery();
  void recall_members();
  void follow_members(std::vector<node::expected_member> members);
  [[nodiscard]] node_hooks make_hooks();
  [[nodiscard]] observed observe() const;
  [[nodiscard]] node::expected_member self_member() const;
  void escalate(const node::escalate& wanted);
  void announce(const node::notify& told);
  void announce(std::string type, nlohmann::json document);
  void check_control_plane();
  void publish_fixed_members();
  void arm_tick();
  void tick();
  void reload_config();
  void reload_certificates();
  void watch_control_plane();
  void watch_clock();
  void wait_for_signal();
  void on_signal(int number);
  void drain(duration at_most);
  void finish(exit_code with, duration after);

  const options& options_;
  config config_;
  genesis genesis_;
  const duration drain_timeout_ = config_.drain_timeout;  ///< the core's too: a reload changes neither
  asio::io_context io_{1};
  exit_code outcome_ = exit_code::drained;
  bool draining_ = false;
  log_budget lines_{event_lines_max};
  bool signalled_ = false;
  bool finishing_ = false;
  memory_watch memory_;
  int out_of_contact_ = 0;
  bool control_plane_lost_ = false;
  duration wall_offset_ = read_wall_offset();  ///< as the node was told

  metrics metrics_;
  event_hub events_{options_.pod_name};
  std::unique_ptr<node_loop> node_;
  std::unique_ptr<serving> serving_;
  std::unique_ptr<shell::http_server> sdk_;
  std::unique_ptr<sdk_server> streams_;
  std::unique_ptr<shell::http_server> admin_;
  const member_cache members_kept_{
      options_.member_cache, {config_.name_space, config_.mesh, genesis_.mesh_id, options_.pod_name, options_.pod_uid}};
  std::unique_ptr<pod_discovery> discovery_;
  file_watch config_files_;
  file_watch tls_files_{
      {options_.tls_directory + "/tls.crt", options_.tls_directory + "/tls.key", options_.tls_directory + "/ca.crt"}};
  asio::steady_timer ticker_{io_};
  asio::steady_timer deadline_{io_};
  asio::signal_set signals_{io_, SIGTERM, SIGINT};
};

node_hooks service::make_hooks() {
  node_hooks hooks;
  hooks.on_notify = [this](const node::notify& told) { announce(told); };
  hooks.on_escalate = [this](const node::escalate& wanted) { escalate(wanted); };
  hooks.on_drained = [this] {
    shell::log::info("drained");
    finish(outcome_, flush_time);
  };
  hooks.check_control_plane = [this] { check_control_plane(); };
  hooks.on_step = [this](duration took) { metrics_.count_step(took); };
  hooks.to_app = [this](const process::app_effect& what) {
    if (streams_) streams_->told(what);
  };
  hooks.on_turn = [this](duration late) { metrics_.count_turn(late); };
  return hooks;
}

result<void> service::open_node() {
  const auto boot =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch());
  node::settings settings;
  settings.name_space = config_.name_space;
  settings.mesh = config_.mesh;
  settings.mesh_id = genesis_.mesh_id;
  settings.self = node_id{node_name{options_.pod_name}, boot_number{static_cast<std::uint64_t>(boot.count())}};
  settings.uid = options_.pod_uid;
  settings.address = options_.listen_ip;
  settings.heartbeat_interval = config_.heartbeat_interval;
  settings.down_after = config_.down_after;
  settings.drain_timeout = drain_timeout_;
  settings.seed = (std::uint64_t{std::random_device{}()} << 32U) ^ std::random_device{}();
  settings.processor_time = [] {
    timespec spent{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return duration{std::chrono::seconds{spent.tv_sec} + std::chrono::nanoseconds{spent.tv_nsec}};
  };
  settings.stopwatch = [] { return duration{std::chrono::steady_clock::now().time_since_epoch()}; };
  settings.wall_offset = wall_offset_;
  net::transport_options transport;
  transport.listen_address = join_endpoint(options_.listen_ip, config_.mesh_port);
  transport.tls_directory = options_.tls_directory;
  transport.self = mesh_identity{config_.name_space, config_.mesh, options_.pod_name};
  auto opened = node_loop::open(io_, std::move(settings), std::move(transport), make_hooks());
  if (!opened) return fail(opened.error());
  node_ = *std::move(opened);
  return {};
}

result<void> service::open_servers() {
  serving_ = std::make_unique<serving>(
      serving{*node_, events_, metrics_, [this] { return observe(); }, options_.pages,
              [this](const auto& request, const auto& exchange) { streams_->serve_websocket(request, exchange); }});
  auto sdk = shell::http_server::open(
      io_, {.listen_address = options_.sdk_address, .body_bytes_max = sdk_body_bytes_max},
      [this](const auto& request, const auto& exchange) { serve_sdk(*serving_, request, exchange); });
  if (!sdk) return fail(sdk.error().code, "--sdk: " + sdk.error().context);
  sdk_ = *std::move(sdk);
  auto streams = sdk_server::open(io_,
                                  {.socket = options_.sdk_socket,
                                   .stream = options_.sdk_stream,
                                   .greeting = {ORRERY_VERSION, options_.pod_name, config_.mesh}},
                                  *serving_);
  if (!streams) return fail(streams.error().code, "--sdk-socket, --sdk-stream: " + streams.error().context);
  streams_ = *std::move(streams);
  const auto at = join_endpoint(options_.listen_ip, config_.admin_port);
  auto admin = shell::http_server::open(io_, shell::admin_options(at),
                                        [admin = admin_of(*serving_)](const auto& request, const auto& exchange) {
                                          shell::serve_admin(admin, request, exchange);
                                        });
  if (!admin) return fail(admin.error().code, "network.adminPort: " + admin.error().context);
  admin_ = *std::move(admin);
  return {};
}

result<void> service::open_discovery() {
  if (config_.discovery == discovery_mode::fixed) {
    publish_fixed_members();
    return {};
  }
  const auto cluster = kube::load_default(options_.kubeconfig, options_.context);
  if (!cluster) return fail(cluster.error());
  pod_discovery_options wanted{.name_space = config_.name_space,
                               .selector = config_.selector,
                               .mesh_port = config_.mesh_port,
                               .self = options_.pod_name};
  recall_members();
  auto started = pod_discovery::start(*cluster, std::move(wanted), [this](std::vector<node::expected_member> members) {
    follow_members(std::move(members));
  });
  if (!started) return fail(started.error());
  discovery_ = *std::move(started);
  return {};
}

/// Until the API server answers, the members are those of the life before.
void service::recall_members() {
  auto known = members_kept_.load();
  if (!known) {
    shell::log::warn("the list of members that was kept is not used", {{"reason", known.error().context}});
  } else if (*known) {
    shell::log::info("begins with the members of the life before",
                     {{"members", static_cast<std::int64_t>((*known)->size())}});
    node_->deliver(node::members_changed{**std::move(known)});
  }
}

/// On discovery's thread, which has time for files.
void service::follow_members(std::vector<node::expected_member> members) {
  const auto kept = members_kept_.store(members);
  asio::post(io_, [this, members = std::move(members)]() mutable {
    node_->deliver(node::members_changed{std::move(members)});
  });
  if (!kept) shell::log::warn("the list of members is not kept", {{"reason", kept.error().context}});
}

result<void> service::open() {
  metrics_.set_classes(config_.classes);
  if (auto done = open_node(); !done) return done;
  if (auto done = open_servers(); !done) return done;
  node_->deliver(node::classes_changed{config_.classes});
  return open_discovery();
}

node::expected_member service::self_member() const {
  return {.name = node_name{options_.pod_name},
          .uid = options_.pod_uid,
          .address = join_endpoint(options_.listen_ip, node_->mesh().port())};
}

void service::publish_fixed_members() {
  node_->deliver(node::members_changed{with_self(config_.peers, self_member())});
}

observed service::observe() const {
  observed now;
  now.node = node_->current();
  now.sdk = sdk_->stats();
  now.streams = streams_->stats();
  now.certificate_expires_at = node_->mesh().certificate_expires_at();
  now.inbound_refused = node_->inbound_refused();
  now.event_subscribers = events_.subscribers();
  if (discovery_) {
    const auto health = discovery_->health();
    now.discovery_connected = health.connected;
    now.discovery_failures = health.failures;
    now.discovery_error = health.last_error;
  }
  return now;
}

void service::announce(const node::notify& told) {
  metrics_.count_event(told);
  events_.publish(told.type, told.document);
  if (streams_) streams_->happened(told.type, told.document);
  const auto level = level_of(told.type);
  if (shell::log::enabled(level) && lines_.admit(told.type)) {
    shell::log::write(level, told.type, {{.key = "event", .content = told.document.json_text(), .raw_json = true}});
  }
}

void service::announce(std::string type, nlohmann::json document) {
  auto encoded = value::from_document(document);
  announce(node::notify{std::move(type), encoded ? *std::move(encoded) : value{}});
}

void service::check_control_plane() {
  if (!discovery_) {  // a static mesh has no third party to ask
    node_->deliver(node::control_plane_checked{false});
    return;
  }
  discovery_->check(check_timeout, [this](bool reachable) {
    asio::post(io_, [this, reachable] { node_->deliver(node::control_plane_checked{reachable}); });
  });
}

void service::arm_tick() {
  ticker_.expires_after(tick_interval);
  ticker_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    tick();
    arm_tick();
  });
}

void service::tick() {
  lines_.renew([](const std::string& kind, std::uint64_t count) {
    shell::log::warn("more events of a kind in a second than are logged; the stream of events has all",
                     {{"event", kind}, {"count", static_cast<std::int64_t>(count)}});
  });
  if (config_files_.changed()) reload_config();
  if (tls_files_.changed()) reload_certificates();
  if (discovery_) watch_control_plane();
  watch_clock();
  memory_.look(node_->current());
}

/// The clock of the world is set now and then, by NTP or by hand; the node's never is.
void service::watch_clock() {
  const auto offset = read_wall_offset();
  if (std::chrono::abs(offset - wall_offset_) < wall_step_told) return;
  wall_offset_ = offset;
  node_->deliver(node::clock_read{offset});
}

void service::reload_config() {
  auto read = load_config(options_.config_path);
  if (read && (read->mesh != config_.mesh || read->name_space != config_.name_space)) {
    read = fail(errc::invalid_argument,
                fmt::format("{}: mesh: is {}/{} now, but this node is of {}/{}, and a node never changes its mesh",
                            options_.config_path, read->name_space, read->mesh, config_.name_space, config_.mesh));
  }
  metrics_.count_config(read.has_value());
  if (!read) {
    config_files_.again_after(retry_ticks);
    shell::log::error("the changed configuration is refused; the old one stays", {{"reason", read.error().context}});
    return announce("config_refused", {{"reason", read.error().context}});
  }
  for (const auto& warning : read->warnings)
    shell::log::warn(warning);
  const bool restart = read->mesh_port != config_.mesh_port || read->admin_port != config_.admin_port ||
                       read->heartbeat_interval != config_.heartbeat_interval ||
                       read->down_after != config_.down_after || read->discovery != config_.discovery ||
                       read->selector != config_.selector || read->drain_timeout != drain_timeout_;
  const bool new_classes = read->classes != config_.classes;
  const bool new_peers = read->peers != config_.peers;
  config_ = *std::move(read);
  shell::log::set_level(config_.level);
  announce("config_reloaded", {{"classes", config_.classes.size()}});
  if (restart) {
    shell::log::warn(
        "network, failureDetection, drainTimeout, discovery.mode and discovery.selector apply from the next start");
  }
  if (new_classes) {
    metrics_.set_classes(config_.classes);
    node_->deliver(node::classes_changed{config_.classes});
  }
  if (new_peers && config_.discovery == discovery_mode::fixed && !discovery_) publish_fixed_members();
}

void service::reload_certificates() {
  const auto done = node_->mesh().reload_credentials();
  metrics_.count_certificate(done.has_value());
  if (!done) {  // the next change may come after the one in use has expired
    tls_files_.again_after(retry_ticks);
    shell::log::error("the changed certificate is refused; the old one stays", {{"reason", done.error().context}});
    return;
  }
  announce("certificate_reloaded", {{"expiresAt", node_->mesh().certificate_expires_at()}});
}

void service::watch_control_plane() {
  const auto health = discovery_->health();
  out_of_contact_ = health.connected ? 0 : out_of_contact_ + 1;
  if (!control_plane_lost_ && out_of_contact_ >= control_plane_patience) {
    control_plane_lost_ = true;
    announce("control_plane_lost", {{"reason", health.last_error}});
  } else if (control_plane_lost_ && health.connected) {
    control_plane_lost_ = false;
    announce("control_plane_back", nlohmann::json::object());
  }
}

void service::wait_for_signal() {
  signals_.async_wait([this](boost::system::error_code ec, int number) {
    if (ec) return;
    on_signal(number);
    wait_for_signal();
  });
}

void service::on_signal(int number) {
  const auto* name = number == SIGTERM ? "SIGTERM" : "SIGINT";
  if (std::exchange(signalled_, true)) {
    shell::log::warn("ended by a second signal before it had drained", {{"signal", name}});
    finish(exit_code::forced, 0ms);
    return;
  }
  shell::log::info("draining",
                   {{"signal", name}, {"processes", static_cast<std::int64_t>(node_->current().processes)}});
  drain(drain_timeout_ + drain_slack);
}

// Whoever asked for the end first says what it means: a node that drains because of a SIGTERM ends with 0 whatever its
// supervisors come to; a pod's replacement outweighs a container's restart.
void service::escalate(const node::escalate& wanted) {
  const bool pod = wanted.to == process::escalation::pod;
  shell::log::error(
      pod ? "escalated to the pod: it is to be replaced" : "escalated to the node: the container restarts",
      {{"reason", wanted.why}});
  if (signalled_ || outcome_ == exit_code::pod_escalation) return;
  if (outcome_ == exit_code::node_escalation && !pod) return;
  outcome_ = pod ? exit_code::pod_escalation : exit_code::node_escalation;
  write_termination_log(options_.termination_log, wanted.why);
  drain(escalation_drain_max);
}

void service::drain(duration at_most) {
  if (std::exchange(draining_, true)) return;
  deadline_.expires_after(at_most);
  deadline_.async_wait([this](boost::system::error_code ec) {
    if (ec || finishing_) return;
    shell::log::warn("the drain took too long; what was not handed over is lost",
                     {{"processes", static_cast<std::int64_t>(node_->current().processes)}});
    finish(outcome_, 0ms);
  });
  node_->deliver(node::drain_requested{});
}

void service::finish(exit_code with, duration after) {
  outcome_ = with;
  finishing_ = true;
  if (streams_) streams_->end({errc::draining, "the sidecar ends; dial again"});
  deadline_.expires_after(after);
  deadline_.async_wait([this](boost::system::error_code ec) {
    if (!ec) io_.stop();
  });
}

exit_code service::run() {
  for (const auto& warning : config_.warnings)
    shell::log::warn(warning);
  if (const auto opened = open(); !opened) {
    const auto code = opened.error().code;
    shell::log::error("cannot start", {{"reason", opened.error().context}, {"code", to_string(code)}});
    write_termination_log(options_.termination_log, opened.error().context);
    return code == errc::invalid_argument ? exit_code::bad_configuration : exit_code::cannot_start;
  }
  const auto looks = options_.busy_poll.value_or(busy_poll_length());
  shell::log::info("started", {{"version", ORRERY_VERSION},
                               {"sdk", join_endpoint(parse_endpoint(options_.sdk_address)->ip, sdk_->port())},
                               {"meshPort", std::int64_t{node_->mesh().port()}},
                               {"adminPort", std::int64_t{admin_->port()}},
                               {"classes", static_cast<std::int64_t>(config_.classes.size())},
                               {"busyPollMicroseconds", std::int64_t{looks / std::chrono::microseconds{1}}}});
  if (const auto ip = parse_endpoint(options_.sdk_address)->ip; !ip.starts_with("127.") && ip != "::1") {
    shell::log::warn("--sdk is not an address of this pod only: whoever reaches it may call every process",
                     {{"sdk", ip}});
  }
  wait_for_signal();
  arm_tick();
  sidecar::run(io_, busy_poll{looks});
  // Threads that post to the loop end first; then who is served; the node last.
  discovery_.reset();
  events_.clear();
  streams_.reset();
  sdk_.reset();
  admin_.reset();
  return outcome_;
}

}  // namespace

result<inputs> load_inputs(const options& chosen) {
  file_watch config_files({chosen.config_path});
  auto settings = load_config(chosen.config_path);
  if (!settings) return fail(settings.error());
  auto birth = load_genesis(chosen.genesis_path);
  if (!birth) return fail(birth.error());
  if (!chosen.pod_namespace.empty() && chosen.pod_namespace != settings->name_space) {
    return fail(errc::invalid_argument, fmt::format("{}: mesh.namespace: is '{}', but the pod is in '{}'",
                                                    chosen.config_path, settings->name_space, chosen.pod_namespace));
  }
  return inputs{std::move(config_files), *std::move(settings), *std::move(birth)};
}

exit_code run(const options& chosen, inputs from) { return service(chosen, std::move(from)).run(); }

}  // namespace orrery::sidecar
