#include "mesh/sim/workload.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace orrery::sim {
namespace {

constexpr duration deadline_margin = std::chrono::milliseconds{20};
constexpr std::uint64_t cancelled_one_in = 5;
/// A few ways over the network: before, while and after the process has it.
constexpr duration cancelled_within = std::chrono::milliseconds{3};

std::string describe(std::uint64_t id, const std::string& what) {
  return "request " + std::to_string(id) + ": " + what;
}

}  // namespace

workload::workload(cluster& world, options chosen) : world_(world), chosen_(chosen) {
  for (std::size_t i = 0; i < chosen_.keys; ++i)
    names_.push_back({class_name{"counter"}, process_key{"k" + std::to_string(i)}});
}

void workload::begin() {
  running_ = true;
  next();
}

void workload::next() {
  if (!running_) return;
  const auto nodes = world_.living();
  if (!nodes.empty()) {
    const auto& at = nodes[world_.random.below(nodes.size())];
    // A cast has no answer to fail: one held by a node that is deleted before it has joined is lost with it.
    const std::uint64_t dice = world_.random.below(world_.core_of(at).current().joined ? 10 : 6);
    ask(dice < 6 ? kind::add : dice < 8 ? kind::cast_add : kind::get, world_.random.below(names_.size()), at);
  }
  const auto spread = static_cast<std::uint64_t>(chosen_.every.count()) * 2;
  world_.time.in(duration{static_cast<std::int64_t>(world_.random.below(spread) + 1)}, [this] { next(); });
}

void workload::ask(kind what, std::size_t key, const std::string& at) {
  const std::int64_t least = chosen_.patient ? 5000 : 1000;
  const duration timeout = std::chrono::milliseconds{least + static_cast<std::int64_t>(world_.random.below(4000))};
  const value one = value::from_json("1").value();
  node::request_id id;
  if (what == kind::cast_add) {
    id = world_.ask(at, node::cast_op{names_[key], "add", one});
  } else {
    id = world_.ask(
        at, node::call_op{names_[key], what == kind::add ? "add" : "get", what == kind::add ? one : value{}, timeout});
  }
  requests_[id.value] = {.node = at,
                         .boot = world_.id_of(at).boot.value,
                         .what = what,
                         .key = key,
                         .asked = world_.time.now(),
                         .deadline = world_.time.now() + timeout,
                         .answered = {},
                         .value = {},
                         .failed = {},
                         .at_leaving_node = false};
  if (what == kind::add) cancel_some(id, requests_[id.value]);
}

void workload::cancel_some(node::request_id id, const request& asked) {
  if (world_.random.below(cancelled_one_in) != 0) return;
  const duration later{
      static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(cancelled_within.count())))};
  world_.time.in(later, [this, id, node = asked.node, boot = asked.boot] {
    requests_[id.value].cancelled = true;
    world_.cancel(node, boot, id);
  });
}

void workload::read_all() {
  const auto nodes = world_.living();
  for (std::size_t key = 0; key < names_.size() && !nodes.empty(); ++key)
    ask(kind::final_get, key, nodes[world_.random.below(nodes.size())]);
}

void workload::on_response(node::request_id id, const result<value>& answer) {
  const auto found = requests_.find(id.value);
  if (found == requests_.end()) return;
  request& asked = found->second;
  ++asked.answers;
  ++answered_;
  asked.answered = world_.time.now();
  asked.at_leaving_node = world_.leaving(asked.node);
  if (!answer) {
    ++failed_;
    asked.failed = answer.error();
  } else if (asked.what != kind::cast_add) {
    const auto document = answer->document();
    if (document.is_number_integer()) asked.value = document.get<std::int64_t>();
  }
}

void workload::on_end(const std::string& node, std::uint64_t boot, bool drained) {
  for (auto& [id, asked] : requests_) {
    if (asked.node != node || asked.boot != boot || asked.answers > 0) continue;
    // Who leaves by plan answers first; a request that arrives as it goes may be lost with it.
    if (!drained || world_.time.now() - asked.asked < std::chrono::milliseconds{1}) asked.void_of_answer = true;
  }
}

std::vector<std::string> workload::check() const {
  std::vector<std::string> wrong;
  for (const auto& [id, asked] : requests_) {
    const bool owed = !asked.void_of_answer && asked.deadline + deadline_margin < world_.time.now();
    if (owed && asked.answers == 0) wrong.push_back(describe(id, "never answered"));
    if (asked.answers > 1) wrong.push_back(describe(id, "answered " + std::to_string(asked.answers) + " times"));
    if (asked.answered && *asked.answered > asked.deadline + deadline_margin) {
      wrong.push_back(describe(id, "answered after its deadline"));
    }
    if (asked.answers == 1 && !asked.failed && !asked.value && asked.what != kind::cast_add) {
      wrong.push_back(describe(id, "the answer is not a number"));
    }
    if (asked.what == kind::final_get && asked.failed) {
      wrong.push_back(describe(id, "the healed mesh does not answer: " + to_string(*asked.failed)));
    }
  }
  if (chosen_.exact) check_exact(wrong);
  return wrong;
}

void workload::check_exact(std::vector<std::string>& wrong) const {
  for (std::size_t key = 0; key < names_.size(); ++key) {
    std::int64_t changes = 0;
    std::int64_t perhaps = 0;  // of cancelled calls that may have begun
    std::vector<std::pair<std::uint64_t, const request*>> adds;
    for (const auto& [id, asked] : requests_) {
      if (asked.key != key) continue;
      const bool changes_it = asked.what == kind::add || asked.what == kind::cast_add;
      const bool without_effect = asked.failed && asked.failed->effect == took_effect::not_executed;
      const bool given_up =
          asked.cancelled && asked.failed && (without_effect || asked.failed->code == errc::cancelled);
      if (given_up && !without_effect) ++perhaps;
      if (asked.failed && !given_up && !(asked.at_leaving_node && without_effect)) {
        wrong.push_back(describe(id, "failed though nothing broke: " + to_string(*asked.failed)));
      }
      if (changes_it && asked.answers == 1 && !asked.failed) ++changes;
      if (asked.what == kind::add && asked.value) adds.emplace_back(id, &asked);
    }
    // One sequence: every reply once, and a call that was answered before another was asked has the smaller one.
    std::sort(adds.begin(), adds.end(),
              [](const auto& a, const auto& b) { return *a.second->value < *b.second->value; });
    time_point latest_asked{};
    for (std::size_t i = 0; i < adds.size(); ++i) {
      const request& each = *adds[i].second;
      if (i > 0 && *each.value == *adds[i - 1].second->value) {
        wrong.push_back(describe(adds[i].first, to_string(names_[key]) + " answered " + std::to_string(*each.value) +
                                                    " to " + std::to_string(adds[i - 1].first) + " too"));
      }
      if (*each.answered < latest_asked) {
        wrong.push_back(describe(adds[i].first, "its value is older than a later call's"));
      }
      latest_asked = std::max(latest_asked, each.asked);
    }
    for (const auto& [id, asked] : requests_) {
      if (asked.key == key && asked.what == kind::final_get && asked.value &&
          (*asked.value < changes || *asked.value > changes + perhaps)) {
        wrong.push_back(describe(id, to_string(names_[key]) + " is " + std::to_string(*asked.value) + " after " +
                                         std::to_string(changes) + " additions, and " + std::to_string(perhaps) +
                                         " that may be"));
      }
    }
  }
}

}  // namespace orrery::sim
