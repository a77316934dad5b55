// A request from a user becomes an operation of the node or a refusal that says why. Input: the method and the target
// in one line, the header Orrery-Timeout in another, then the body.
#include "sidecar/routes.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/base/bytes.hpp"
#include "mesh/base/overloaded.hpp"

#include <nlohmann/json.hpp>

#include "shell/problem.hpp"

namespace orrery::sidecar {
namespace {

std::string_view take_until(std::string_view& rest, char at) {
  const auto end = rest.find(at);
  const auto taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return taken;
}

void check_name(const process_name& name) { ORRERY_ASSERT(parse_process_name(to_string(name)).value() == name); }
void check_argument(const value& argument) { ORRERY_ASSERT(value::from_cbor(argument.cbor()).value() == argument); }

void check(const node::operation& asked) {
  std::visit(
      overloaded{[](const node::call_op& op) {
                   check_name(op.name);
                   check_argument(op.argument);
                   ORRERY_ASSERT(!op.method.empty() && op.method.size() <= method_bytes_max);
                   ORRERY_ASSERT(!op.timeout || *op.timeout > duration::zero());
                 },
                 [](const node::cast_op& op) {
                   check_name(op.name);
                   check_argument(op.argument);
                   ORRERY_ASSERT(!op.method.empty() && op.method.size() <= method_bytes_max);
                 },
                 [](const node::list_processes_op& op) { ORRERY_ASSERT(op.limit >= 1 && op.limit <= list_limit_max); },
                 [](const auto& op) {
                   if constexpr (requires { op.name; }) check_name(op.name);
                 }},
      asked);
}

}  // namespace
}  // namespace orrery::sidecar

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  auto rest = as_text(byte_view(data, size));
  shell::http_request request;
  request.method = sidecar::take_until(rest, ' ');
  request.target = sidecar::take_until(rest, '\n');
  request.orrery_timeout = sidecar::take_until(rest, '\n');
  request.body = rest;
  const auto found = sidecar::find_route(request);
  if (const auto* asked = std::get_if<sidecar::node_route>(&found)) sidecar::check(asked->asked);
  if (const auto* refused = std::get_if<sidecar::refused_route>(&found)) {
    ORRERY_ASSERT(!refused->why.context.empty());
    ORRERY_ASSERT(nlohmann::json::accept(shell::problem(refused->why, refused->status).body));
  }
  return 0;
}
