#include "sidecar/handlers.hpp"

#include "sidecar/description.hpp"
#include "sidecar/routes.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "shell/problem.hpp"

namespace orrery::sidecar {

namespace {

shell::http_response to_response(const result<value>& answer, int success) {
  if (!answer) return shell::problem(answer.error());
  return {.status = success, .content_type = "application/json", .body = answer->json_text() + "\n", .headers = {}};
}

/// The state itself is the body, so that what was read can be edited and put back; its version is the ETag.
shell::http_response state_response(const result<value>& answer) {
  if (!answer) return shell::problem(answer.error());
  const auto document = answer->document();
  auto out = document.is_object() && document.contains("state")
                 ? shell::http_response{.body = document["state"].dump() + "\n", .headers = {}}
                 : to_response(answer, 200);
  if (document.is_object() && document.contains("version")) {
    out.headers.emplace_back("ETag", '"' + document["version"].get<std::string>() + '"');
  }
  return out;
}

void ask_node(const serving& with, node_route asked, const std::shared_ptr<shell::http_exchange>& exchange) {
  std::optional<class_name> called;
  if (const auto* call = std::get_if<node::call_op>(&asked.asked)) called = call->name.klass;
  const auto began = std::chrono::steady_clock::now();
  const bool of_state =
      std::holds_alternative<node::state_op>(asked.asked) || std::holds_alternative<node::set_state_op>(asked.asked);
  auto told = [exchange, of_state, success = asked.success, called = std::move(called), began,
               counted = &with.counted](const result<value>& answer) {
    if (called) {
      counted->count_call(*called, answer ? std::nullopt : std::optional(answer.error().code),
                          std::chrono::steady_clock::now() - began);
    }
    exchange->answer(of_state ? state_response(answer) : to_response(answer, success));
  };
  const auto id = with.node.ask(std::move(asked.asked), std::move(told));
  if (with.node.waits(id)) exchange->on_gone([node = &with.node, id] { node->abandon(id); });
}

/// A trace, as the events of a stream; a trace that is refused is answered as any request.
void follow(const serving& with, node_route asked, const std::shared_ptr<shell::http_exchange>& exchange) {
  auto told = [exchange, begun = false](const result<node::streamed>& what) mutable {
    if (!what && !begun) return exchange->answer(shell::problem(what.error()));
    if (!std::exchange(begun, true)) exchange->stream();
    if (what) {
      exchange->push(what->type, what->document.json_text());
    } else {
      exchange->push("ended", nlohmann::json{{"reason", to_string(what.error())}}.dump());
    }
    if (!what || what->last) exchange->finish();
  };
  const auto id = with.node.follow(std::move(asked.asked), std::move(told));
  if (with.node.waits(id)) exchange->on_gone([node = &with.node, id] { node->abandon(id); });
}

void collect_metrics(const serving& with, std::function<void(std::string)> told) {
  auto with_nodes = [with, told = std::move(told)](result<value> nodes) {
    auto with_tree = [with, told, nodes = std::move(nodes)](result<value> tree) {
      with.node.ask(node::load_op{}, [with, told, nodes, tree = std::move(tree)](const result<value>& load) {
        auto now = with.observe();
        if (nodes) now.nodes = *nodes;
        if (tree) now.tree = *tree;
        if (load) now.load = *load;
        told(with.counted.text(now));
      });
    };
    with.node.ask(node::tree_op{.local = true}, std::move(with_tree));
  };
  with.node.ask(node::list_nodes_op{}, std::move(with_nodes));
}

}  // namespace

void serve_sdk(const serving& with, const shell::http_request& request,
               const std::shared_ptr<shell::http_exchange>& exchange) {
  if (const auto verdict = with.pages.judge(request.host, request.origin); !verdict) {
    return exchange->answer(shell::problem(verdict.error()));
  }
  auto found = find_route(request);
  if (auto* refused = std::get_if<refused_route>(&found)) {
    auto answer = shell::problem(refused->why, refused->status);
    if (!refused->allow.empty()) answer.headers.emplace_back("Allow", refused->allow);
    exchange->answer(std::move(answer));
  } else if (std::holds_alternative<events_route>(found)) {
    with.events.subscribe(exchange);
  } else if (std::holds_alternative<websocket_route>(found)) {
    with.websocket(request, exchange);
  } else if (std::holds_alternative<description_route>(found)) {
    exchange->answer(
        {.status = 200, .content_type = "application/yaml", .body = std::string(openapi_description()), .headers = {}});
  } else if (auto& asked = std::get<node_route>(found); std::holds_alternative<node::trace_op>(asked.asked)) {
    follow(with, std::move(asked), exchange);
  } else {
    ask_node(with, std::move(asked), exchange);
  }
}

std::string why_not_ready(const node::status& now) {
  if (now.draining) return "draining";
  if (now.isolated) return "isolated: neither a majority of the mesh nor the API server can be reached";
  if (!now.joined) return now.reason.empty() ? "not joined" : "not joined: " + now.reason;
  return {};
}

shell::admin_handlers admin_of(const serving& with) {
  return {
      .healthy = []() -> result<void> { return {}; },
      .ready = [&with]() -> result<void> {
        auto why = why_not_ready(with.node.current());
        if (why.empty()) return {};
        const auto trouble = with.observe().discovery_error;
        if (!trouble.empty()) why += "; discovery: " + trouble;
        return fail(errc::unavailable, std::move(why));
      },
      .metrics = [&with](std::function<void(std::string)> told) { collect_metrics(with, std::move(told)); },
  };
}

}  // namespace orrery::sidecar
