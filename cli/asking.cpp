#include "cli/asking.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace orrery::cli {

using nlohmann::json;

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

result<json> ask(session& with, const http_question& asked, std::chrono::milliseconds timeout) {
  const auto reply = with.sidecar.send(asked, timeout);
  if (!reply) return fail(reply.error());
  if (reply->status < 200 || reply->status > 299) return fail(problem_of(*reply));
  auto document = json::parse(reply->body, nullptr, false);
  if (document.is_discarded()) {
    return fail(errc::protocol, fmt::format("the sidecar's answer is not JSON: {}", reply->body.substr(0, 200)));
  }
  return document;
}

exit_code show(session& with, const std::string& target, std::string (*view)(const json&, look)) {
  const auto document =
      ask(with, {.method = "GET", .target = target, .body = {}, .headers = {}}, with.timeout.value_or(ask_timeout));
  if (!document) return complain(document.error(), &with);
  if (with.form == output::json) {
    print(document->dump(2) + "\n");
    return exit_code::ok;
  }
  print(view(*document, {.wide = with.form == output::wide, .colours = with.colours}));
  const auto gaps = show_gaps(*document);
  std::fputs(gaps.c_str(), stderr);
  return exit_code::ok;
}

exit_code change(session& with, const std::string& name, const char* method, const std::string& suffix,
                 std::string body, const std::string& done) {
  const auto parsed = parse_process_name(name);
  if (!parsed) {
    complain(parsed.error());
    return exit_code::usage;
  }
  const auto document =
      ask(with, {.method = method, .target = path_of(*parsed) + suffix, .body = std::move(body), .headers = {}},
          with.timeout.value_or(ask_timeout));
  if (!document) return complain(document.error(), &with);
  print(with.form == output::json ? document->dump(2) + "\n" : done + " " + name + "\n");
  return exit_code::ok;
}

}  // namespace orrery::cli
