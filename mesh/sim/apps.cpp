#include "mesh/sim/apps.hpp"

#include <nlohmann/json.hpp>

namespace orrery::sim {
namespace {

constexpr duration handled_within = std::chrono::milliseconds{3};

std::int64_t count_of(const std::optional<value>& state) {
  const auto document = state ? state->document() : nlohmann::json{};
  return document.is_number_integer() ? document.get<std::int64_t>() : 0;
}

value number(std::int64_t n) { return value::from_document(n).value(); }

}  // namespace

apps::apps(cluster& world, class_name hosted, duration wait) : world_(world), hosted_(std::move(hosted)), wait_(wait) {
  world_.to_app = [this](const std::string& pod, std::uint64_t boot, process::app_effect& what) {
    told(pod, boot, what);
  };
}

const apps::app* apps::app_of(const std::string& pod) const {
  const auto found = apps_.find(pod);
  const bool lives = found != apps_.end() && world_.alive(pod) && world_.boot_of(pod) == found->second.boot;
  return lives ? &found->second : nullptr;
}

bool apps::there(const std::string& pod) const {
  const auto* found = app_of(pod);
  return found != nullptr && !found->leaves;
}

std::vector<std::string> apps::settled() const {
  std::vector<std::string> all;
  for (const auto& pod : world_.living()) {
    const auto* found = app_of(pod);
    if (found == nullptr || found->leaves || !world_.core_of(pod).current().joined) continue;
    if (world_.time.now() >= found->since + 2 * wait_ + std::chrono::seconds{1}) all.push_back(pod);
  }
  return all;
}

void apps::come(const std::string& pod) {
  if (!world_.alive(pod) || app_of(pod) != nullptr) return;
  const app fresh{process::app_id{++last_}, world_.boot_of(pod), world_.time.now(), false};
  apps_[pod] = fresh;
  world_.note("an app comes to " + pod);
  process::app_offer offer{.app = fresh.id, .klass = hosted_, .calls = {"add", "get"}, .casts = {"add"}};
  world_.from_app(pod, process::app_registered{std::move(offer)});
}

void apps::leave(const std::string& pod) {
  if (!there(pod)) return;
  world_.note("the app of " + pod + " is to go");
  apps_.at(pod).leaves = true;
  world_.from_app(pod, process::app_drains{apps_.at(pod).id, {}});
}

void apps::told(const std::string& pod, std::uint64_t boot, process::app_effect& what) {
  if (const auto* asked = std::get_if<process::app_work>(&what)) {
    const auto later =
        duration{static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(handled_within.count())))};
    world_.time.in(later, [this, pod, boot, asked = *asked] {
      const auto* at = app_of(pod);
      if (at != nullptr && at->boot == boot && at->id == asked.app) work(pod, asked);
    });
  } else if (std::holds_alternative<process::app_drained>(what)) {
    world_.time.in(duration::zero(), [this, pod, boot] {
      const auto* at = app_of(pod);
      if (at == nullptr || at->boot != boot || !at->leaves) return;
      const auto id = at->id;
      apps_.erase(pod);
      world_.from_app(pod, process::app_gone{id, "it left"});
    });
  }
}

void apps::work(const std::string& pod, const process::app_work& asked) {
  world_.from_app(pod, process::app_done{asked.app, asked.id, answer_to(asked)});
}

process::app_answer apps::answer_to(const process::app_work& asked) const {
  process::app_answer out;
  const auto before = count_of(asked.state);
  const bool adds = asked.method == "add";
  const auto after = before + (adds ? count_of(asked.argument) : 0);
  if (adds) out.state = number(after);
  if (asked.what == process::app_callback::call) out.reply = number(after);
  return out;
}

}  // namespace orrery::sim
