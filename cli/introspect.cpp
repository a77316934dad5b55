// Looking into one process: its state, and whether it runs.
#include "cli/asking.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <iostream>
#include <iterator>

namespace orrery::cli {

namespace {

using nlohmann::json;

result<http_reply> send(session& with, const http_question& asked) {
  auto reply = with.sidecar.send(asked, with.timeout.value_or(ask_timeout));
  if (!reply) return fail(reply.error());
  if (reply->status < 200 || reply->status > 299) return fail(problem_of(*reply));
  return reply;
}

/// The ETag without its quotes.
std::string version_of(const http_reply& reply) {
  const bool quoted = reply.etag.size() > 2 && reply.etag.front() == '"';
  return quoted ? reply.etag.substr(1, reply.etag.size() - 2) : reply.etag;
}

}  // namespace

exit_code state_get(session& with, const std::string& name) {
  const auto parsed = parse_process_name(name);
  if (!parsed) {
    complain(parsed.error());
    return exit_code::usage;
  }
  const auto reply = send(with, {.method = "GET", .target = path_of(*parsed) + "/state", .body = {}, .headers = {}});
  if (!reply) return complain(reply.error(), &with);
  if (with.form != output::json) {
    print(reply->body);
    return exit_code::ok;
  }
  const auto state = json::parse(reply->body, nullptr, false);
  if (state.is_discarded()) {
    return complain(error{errc::protocol, "the sidecar's answer is not JSON", took_effect::not_executed});
  }
  print(json{{"version", version_of(*reply)}, {"state", state}}.dump(2) + "\n");
  return exit_code::ok;
}

exit_code state_set(session& with, const std::string& name, std::string state, const std::string& version) {
  const auto parsed = parse_process_name(name);
  if (!parsed) {
    complain(parsed.error());
    return exit_code::usage;
  }
  if (state == "-") state.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (const auto fault = json_fault(state); fault || state.find_first_not_of(" \t\r\n") == std::string::npos) {
    complain(error{errc::invalid_argument, fault.value_or("the state is empty; it must be JSON, as null or 5"),
                   took_effect::not_executed});
    return exit_code::usage;
  }
  http_question asked{.method = "PUT", .target = path_of(*parsed) + "/state", .body = std::move(state), .headers = {}};
  if (!version.empty()) asked.headers.emplace_back("If-Match", fmt::format("\"{}\"", version));
  const auto reply = send(with, asked);
  if (!reply) return complain(reply.error(), &with);
  print(with.form == output::json ? json{{"version", version_of(*reply)}}.dump(2) + "\n"
                                  : fmt::format("replaced the state of {}\n", name));
  return exit_code::ok;
}

exit_code suspend(session& with, const std::string& name) {
  return change(with, name, "POST", "/suspend", {}, "suspended");
}
exit_code resume(session& with, const std::string& name) {
  return change(with, name, "POST", "/resume", {}, "resumed");
}

}  // namespace orrery::cli
