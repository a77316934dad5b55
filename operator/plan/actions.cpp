#include "operator/plan/plan.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace orrery::plan {

bool is_needed_by_pods(const action& what) {
  // A budget guards pods that there are; pods can be without it.
  if (const auto* applied = std::get_if<apply_object>(&what); applied != nullptr) {
    return applied->kind.plural != kube::resources::pod_disruption_budgets.plural;
  }
  return std::holds_alternative<create_once>(what) || std::holds_alternative<make_authority>(what) ||
         std::holds_alternative<create_pod>(what);  // the next one would be refused for the same reason
}

bool needs_the_others(const action& what) {
  if (const auto* deleted = std::get_if<delete_pod>(&what); deleted != nullptr) return deleted->voluntary;
  return std::holds_alternative<create_pod>(what);
}

note note_of(const delete_pod& what) {
  const bool tells = what.reason == "NodeLost" || what.reason == "ProcessEscalated";
  return {tells, tells ? what.reason : "PodDeleted", fmt::format("pod {}: {}", what.name, what.why)};
}

bool decision::is_consequential() const {
  return in_doubt || std::any_of(actions.begin(), actions.end(), [](const action& one) {
           return std::holds_alternative<create_pod>(one) || std::holds_alternative<delete_pod>(one) ||
                  std::holds_alternative<create_once>(one) || std::holds_alternative<make_authority>(one) ||
                  std::holds_alternative<promote_authority>(one) || std::holds_alternative<issue_certificate>(one) ||
                  std::holds_alternative<delete_object>(one);
         });
}

}  // namespace orrery::plan
