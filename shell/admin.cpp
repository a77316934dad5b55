#include "shell/admin.hpp"

namespace orrery::shell {

namespace {

http_response plain(int status, std::string text) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text), .headers = {}};
}

http_response judged(const result<void>& verdict) {
  return verdict ? plain(200, "ok\n") : plain(503, verdict.error().context + "\n");
}

}  // namespace

http_server_options admin_options(std::string listen_address) {
  return {.listen_address = std::move(listen_address), .connections_max = 64, .body_bytes_max = 1024};
}

void serve_admin(const admin_handlers& with, const http_request& request,
                 const std::shared_ptr<http_exchange>& exchange) {
  const auto path = request.target.substr(0, request.target.find('?'));
  if (request.method != "GET" && request.method != "HEAD") {
    auto answer = plain(405, "only GET and HEAD are accepted\n");
    answer.headers.emplace_back("Allow", "GET, HEAD");
    return exchange->answer(std::move(answer));
  }
  if (path == "/healthz") return exchange->answer(judged(with.healthy()));
  if (path == "/readyz") return exchange->answer(judged(with.ready()));
  if (path == "/metrics") {
    return with.metrics([exchange](std::string text) {
      auto answer = plain(200, std::move(text));
      answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
      exchange->answer(std::move(answer));
    });
  }
  exchange->answer(plain(404, "there are /healthz, /readyz and /metrics\n"));
}

}  // namespace orrery::shell
