#include "shell/problem.hpp"

#include <fmt/format.h>

#include "shell/log.hpp"

namespace orrery::shell {

int http_status(errc code) noexcept {
  switch (code) {
    case errc::invalid_argument:
      return 400;
    case errc::unauthenticated:
      return 401;
    case errc::forbidden:
      return 403;
    case errc::not_found:
      return 404;
    case errc::already_exists:
    case errc::conflict:
      return 409;
    case errc::too_large:
      return 413;
    case errc::overloaded:
      return 429;
    case errc::unavailable:
    case errc::draining:
    case errc::isolated:
    case errc::given_up:
      return 503;
    case errc::deadline_exceeded:
      return 504;
    case errc::process_exited:
    case errc::handler_failed:
    case errc::limit_exceeded:
    case errc::protocol:
    case errc::cancelled:
    case errc::gone:
    case errc::io:
    case errc::internal:
      return 500;
  }
  return 500;
}

std::string_view title(errc code) noexcept {
  switch (code) {
    case errc::invalid_argument:
      return "The request is wrong";
    case errc::unauthenticated:
      return "Not authenticated";
    case errc::forbidden:
      return "Not allowed";
    case errc::not_found:
      return "Not found";
    case errc::already_exists:
      return "Already exists";
    case errc::conflict:
      return "Conflict";
    case errc::too_large:
      return "Too large";
    case errc::overloaded:
      return "Overloaded, retry later";
    case errc::unavailable:
      return "Unavailable, retry later";
    case errc::draining:
      return "The node is draining";
    case errc::isolated:
      return "The node is isolated";
    case errc::deadline_exceeded:
      return "The deadline passed";
    case errc::process_exited:
      return "The process exited";
    case errc::handler_failed:
      return "The handler failed";
    case errc::limit_exceeded:
      return "A limit was exceeded";
    case errc::protocol:
      return "Protocol error";
    case errc::cancelled:
      return "Cancelled";
    case errc::gone:
      return "Gone";
    case errc::io:
      return "The operating system refused";
    case errc::internal:
      return "Internal error";
    case errc::given_up:
      return "The process is given up";
  }
  return "Error";
}

http_response problem(const error& why, int status, const std::vector<std::pair<std::string, std::string>>& extra) {
  http_response out;
  out.status = status != 0 ? status : http_status(why.code);
  out.content_type = "application/problem+json";
  const auto code = to_string(why.code);
  out.body = fmt::format(
      R"({{"type":"https://orrery.dev/errors/{}","title":"{}","status":{},"code":"{}","detail":{},"effect":"{}")", code,
      title(why.code), out.status, code, log::quoted(why.context), to_string(why.effect));
  for (const auto& [key, text] : extra)
    out.body += fmt::format(R"(,"{}":{})", key, log::quoted(text));
  out.body += "}\n";
  return out;
}

}  // namespace orrery::shell
