#include "cli/commands.hpp"

#include "cli/asking.hpp"
#include "cli/views.hpp"
#include "kube/request.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <iostream>
#include <iterator>

namespace orrery::cli {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto call_timeout = 2min;  ///< a class' own timeout ends a call before; this is for a sidecar that is stuck
constexpr auto timeout_slack = 2s;   ///< so that the sidecar's answer, which knows more, comes first

exit_code message(session& with, const char* kind, const std::string& name, const std::string& method,
                  std::string argument) {
  const auto parsed = parse_process_name(name);
  if (!parsed) {
    complain(parsed.error());
    return exit_code::usage;
  }
  if (!read_argument(argument)) return exit_code::usage;
  http_question asked{.method = "POST",
                      .target = fmt::format("{}/{}/{}", path_of(*parsed), kind, kube::percent_encode(method)),
                      .body = std::move(argument),
                      .headers = {}};
  if (with.timeout) asked.headers.emplace_back("Orrery-Timeout", fmt::format("{}ms", with.timeout->count()));
  const auto reply = ask(with, asked, with.timeout ? *with.timeout + timeout_slack : call_timeout);
  if (!reply) return complain(reply.error(), &with);
  if (std::string_view(kind) == "call") print(reply->dump() + "\n");
  return exit_code::ok;
}

}  // namespace

std::string path_of(const process_name& name) {
  return fmt::format("/v1/processes/{}/{}", name.klass.value, kube::percent_encode(name.key.value));
}

error problem_of(const http_reply& reply) {
  const auto document = json::parse(reply.body, nullptr, false);
  const auto text = [&](const char* key) {
    return document.is_object() && document.contains(key) && document[key].is_string()
               ? document[key].get<std::string>()
               : std::string();
  };
  if (const auto code = text("code"); !code.empty()) {
    return {errc_from(code), text("detail"), took_effect_from(text("effect"))};
  }
  return {errc::protocol,
          fmt::format("HTTP {} from something that is no sidecar: {}", reply.status, reply.body.substr(0, 200)),
          took_effect::unknown};
}

std::optional<std::string> json_fault(const std::string& argument) {
  if (argument.find_first_not_of(" \t\r\n") == std::string::npos || json::accept(argument)) return std::nullopt;
  const bool simple = argument.find_first_of("{}[]\"'") == std::string::npos;
  return fmt::format("the argument {} is not JSON; {}", argument,
                     simple ? fmt::format("a string needs its own quotes: '{}'",
                                          json(argument).dump(-1, ' ', false, json::error_handler_t::replace))
                            : R"(put it into single quotes, as '{"key": "colour", "value": "blue"}')");
}

bool read_argument(std::string& argument) {
  if (argument == "-") argument.assign(std::istreambuf_iterator<char>(std::cin), {});
  const auto fault = json_fault(argument);
  if (fault) complain(error{errc::invalid_argument, *fault, took_effect::not_executed});
  return !fault;
}

exit_code complain(const error& why, const session* with) {
  std::string text = fmt::format("orrery: {}: {}", to_string(why.code), why.context);
  const bool unreachable = why.code == errc::unavailable && why.context.starts_with("cannot ");
  if (unreachable && with != nullptr && with->default_sidecar) {
    text += "; run inside a pod of the mesh, or use --mesh NAME, or --sidecar URL";
  }
  if (why.effect == took_effect::unknown) text += " (whether it took effect is not known)";
  if (why.effect == took_effect::executed) text += " (its method ran)";
  std::fprintf(stderr, "%s\n", text.c_str());
  return unreachable ? exit_code::unreachable : exit_code::failed;
}

exit_code nodes(session& with) { return show(with, "/v1/nodes", show_nodes); }
exit_code classes(session& with) { return show(with, "/v1/classes", show_classes); }
exit_code tree(session& with, const tree_options& options) {
  const bool children = options.depth > 1 || !options.klass.empty();
  auto target = fmt::format("/v1/tree?children={}", children ? options.limit : 0);
  if (!options.klass.empty()) target += "&class=" + kube::percent_encode(options.klass);
  if (options.local) target += "&node=local";
  return show(with, target, options.depth == 0 ? show_tree_nodes : show_tree);
}

exit_code processes(session& with, const std::string& klass, std::size_t limit, bool local) {
  auto target = fmt::format("/v1/processes?limit={}", limit);
  if (!klass.empty()) target += "&class=" + kube::percent_encode(klass);
  if (local) target += "&node=local";
  return show(with, target, show_processes);
}

exit_code inspect(session& with, const std::string& name) {
  const auto parsed = parse_process_name(name);
  if (!parsed) {
    complain(parsed.error());
    return exit_code::usage;
  }
  return show(with, path_of(*parsed), show_process);
}

exit_code call(session& with, const std::string& name, const std::string& method, std::string argument) {
  return message(with, "call", name, method, std::move(argument));
}
exit_code cast(session& with, const std::string& name, const std::string& method, std::string argument) {
  return message(with, "cast", name, method, std::move(argument));
}
exit_code kill(session& with, const std::string& name, const std::string& reason) {
  const auto body = reason.empty() ? json(nullptr) : json{{"reason", reason}};
  return change(with, name, "POST", "/kill", body.dump(-1, ' ', false, json::error_handler_t::replace), "killed");
}
exit_code release(session& with, const std::string& name) {
  return change(with, name, "POST", "/release", {}, "released");
}
exit_code stop(session& with, const std::string& name) { return change(with, name, "DELETE", "", {}, "stopped"); }

}  // namespace orrery::cli
