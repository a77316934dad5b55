#include "sidecar/handlers.hpp"

#include "sidecar/problem.hpp"
#include "sidecar/routes.hpp"

#include <fmt/format.h>

namespace orrery::sidecar {

namespace {

http_response plain(int status, std::string text) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text), .headers = {}};
}

http_response to_response(const result<value>& answer, int success) {
  if (!answer) return problem(answer.error());
  return {.status = success, .content_type = "application/json", .body = answer->json_text() + "\n", .headers = {}};
}

void ask_node(const serving& with, node_route asked, const std::shared_ptr<http_exchange>& exchange) {
  std::optional<class_name> called;
  if (const auto* call = std::get_if<node::call_op>(&asked.asked)) called = call->name.klass;
  const auto began = std::chrono::steady_clock::now();
  auto told = [exchange, success = asked.success, called = std::move(called), began,
               counted = &with.counted](const result<value>& answer) {
    if (called) {
      counted->count_call(*called, answer ? std::nullopt : std::optional(answer.error().code),
                          std::chrono::steady_clock::now() - began);
    }
    exchange->answer(to_response(answer, success));
  };
  const auto id = with.node.ask(std::move(asked.asked), std::move(told));
  if (with.node.waits(id)) exchange->on_gone([node = &with.node, id] { node->abandon(id); });
}

void serve_metrics(const serving& with, const std::shared_ptr<http_exchange>& exchange) {
  with.node.ask(node::list_nodes_op{}, [with, exchange](result<value> nodes) {
    with.node.ask(node::tree_op{.local = true}, [with, exchange, nodes = std::move(nodes)](const result<value>& tree) {
      auto now = with.observe();
      if (nodes) now.nodes = *nodes;
      if (tree) now.tree = *tree;
      http_response answer{.status = 200,
                           .content_type = "text/plain; version=0.0.4; charset=utf-8",
                           .body = with.counted.text(now),
                           .headers = {}};
      exchange->answer(std::move(answer));
    });
  });
}

}  // namespace

void serve_sdk(const serving& with, const http_request& request, const std::shared_ptr<http_exchange>& exchange) {
  auto found = find_route(request);
  if (auto* refused = std::get_if<refused_route>(&found)) {
    auto answer = problem(refused->why, refused->status);
    if (!refused->allow.empty()) answer.headers.emplace_back("Allow", refused->allow);
    exchange->answer(std::move(answer));
  } else if (std::holds_alternative<events_route>(found)) {
    with.events.subscribe(exchange);
  } else {
    ask_node(with, std::get<node_route>(std::move(found)), exchange);
  }
}

std::string why_not_ready(const node::status& now) {
  if (now.draining) return "draining";
  if (now.isolated) return "isolated: neither a majority of the mesh nor the API server can be reached";
  if (!now.joined) return now.reason.empty() ? "not joined" : "not joined: " + now.reason;
  return {};
}

void serve_admin(const serving& with, const http_request& request, const std::shared_ptr<http_exchange>& exchange) {
  const auto path = request.target.substr(0, request.target.find('?'));
  if (request.method != "GET" && request.method != "HEAD") {
    auto answer = plain(405, "only GET is accepted\n");
    answer.headers.emplace_back("Allow", "GET, HEAD");
    return exchange->answer(std::move(answer));
  }
  if (path == "/healthz") return exchange->answer(plain(200, "ok\n"));
  if (path == "/readyz") {
    auto why = why_not_ready(with.node.current());
    if (!why.empty()) {
      const auto trouble = with.observe().discovery_error;
      if (!trouble.empty()) why += "; discovery: " + trouble;
    }
    return exchange->answer(why.empty() ? plain(200, "ready\n") : plain(503, why + "\n"));
  }
  if (path == "/metrics") return serve_metrics(with, exchange);
  exchange->answer(plain(404, "there are /healthz, /readyz and /metrics\n"));
}

}  // namespace orrery::sidecar
