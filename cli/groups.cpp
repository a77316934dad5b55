// Groups and the registry.
#include "cli/asking.hpp"
#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "kube/request.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace orrery::cli {

using nlohmann::json;

exit_code groups(session& with, const std::string& group, const std::string& prefix, std::size_t limit) {
  if (!group.empty()) return show(with, "/v1/groups/" + kube::percent_encode(group), show_group);
  return show(with, fmt::format("/v1/groups?limit={}&prefix={}", limit, kube::percent_encode(prefix)), show_groups);
}

exit_code registry(session& with, const std::string& prefix, std::size_t limit) {
  return show(with, fmt::format("/v1/registry?limit={}&prefix={}", limit, kube::percent_encode(prefix)), show_registry);
}

exit_code publish(session& with, const std::string& group, const std::string& word, std::string payload) {
  if (!read_argument(payload)) return exit_code::usage;
  const auto target = fmt::format("/v1/groups/{}/publish/{}", kube::percent_encode(group), kube::percent_encode(word));
  const auto reply = ask(with, {.method = "POST", .target = target, .body = std::move(payload), .headers = {}},
                         with.timeout.value_or(ask_timeout));
  if (!reply) return complain(reply.error(), &with);
  print(with.form == output::json ? reply->dump(2) + "\n"
                                  : fmt::format("sent to {} members\n", reply->value("members", json()).dump()));
  return exit_code::ok;
}

}  // namespace orrery::cli
