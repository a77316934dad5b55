#include "kube/local/faults.hpp"

#include <utility>

namespace orrery::local {

fault_plan faults::plan() const {
  const std::lock_guard lock(mutex_);
  return plan_;
}

void faults::set(fault_plan plan) {
  const std::lock_guard lock(mutex_);
  plan_ = std::move(plan);
}

void faults::clear() { set({}); }

void faults::drop_watches() {
  const std::lock_guard lock(mutex_);
  ++drop_epoch_;
}

std::uint64_t faults::drop_epoch() const {
  const std::lock_guard lock(mutex_);
  return drop_epoch_;
}

reply<void> faults::merge(const json& wanted) {
  static constexpr const char* accepted =
      "accepted are: latency_ms (integer), error_rate, conflict_rate, gone_rate, drop_rate (0 to 1), error_code (400 "
      "to 599), drop_watches, "
      "outage (boolean), user_agent, path (string)";
  if (!wanted.is_object()) return bad_request(std::string("the body is not a JSON object; ") + accepted);
  auto next = plan();
  bool drop = false;
  for (const auto& entry : wanted.items()) {
    const auto& field = entry.key();
    const auto& value = entry.value();
    const auto wrong = [&] {
      return bad_request("fault \"" + field + "\" cannot be " + value.dump() + "; " + accepted);
    };
    const auto rate = [&](double& into) {
      if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > 1) return false;
      into = value.get<double>();
      return true;
    };
    bool good = true;
    if (field == "latency_ms") {
      good = value.is_number_integer() && value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() <= 60'000;
      if (good) next.latency = std::chrono::milliseconds(value.get<std::int64_t>());
    } else if (field == "error_rate") {
      good = rate(next.error_rate);
    } else if (field == "error_code") {
      good = value.is_number_integer() && value.get<int>() >= 400 && value.get<int>() <= 599;
      if (good) next.error_code = value.get<int>();
    } else if (field == "conflict_rate") {
      good = rate(next.conflict_rate);
    } else if (field == "gone_rate") {
      good = rate(next.gone_rate);
    } else if (field == "drop_rate") {
      good = rate(next.drop_rate);
    } else if (field == "outage" && value.is_boolean()) {
      next.outage = value.get<bool>();
    } else if (field == "drop_watches" && value.is_boolean()) {
      drop = value.get<bool>();
    } else if (field == "user_agent" && value.is_string()) {
      next.user_agent = value.get<std::string>();
    } else if (field == "path" && value.is_string()) {
      next.path = value.get<std::string>();
    } else {
      good = false;
    }
    if (!good) return wrong();
  }
  set(next);
  if (drop) drop_watches();
  return {};
}

json faults::describe() const {
  const auto now = plan();
  return {{"latency_ms", now.latency.count()},
          {"error_rate", now.error_rate},
          {"error_code", now.error_code},
          {"conflict_rate", now.conflict_rate},
          {"gone_rate", now.gone_rate},
          {"drop_rate", now.drop_rate},
          {"outage", now.outage},
          {"user_agent", now.user_agent},
          {"path", now.path}};
}

}  // namespace orrery::local
