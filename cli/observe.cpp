// Looking at crashes, and following one process' messages.
#include "cli/asking.hpp"
#include "cli/follow.hpp"
#include "cli/interrupt.hpp"
#include "cli/observing_views.hpp"
#include "cli/sse.hpp"
#include "kube/request.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace orrery::cli {

namespace {

using nlohmann::json;

/// Prints one event of a trace. False after the last.
bool print_traced(const sse_event& got, session& with) {
  auto document = json::parse(got.data, nullptr, false);
  if (document.is_discarded()) document = json::object();
  std::string line;
  if (with.form == output::json) {
    if (document.is_object()) document["type"] = got.type;
    line = document.dump(-1, ' ', false, json::error_handler_t::replace);
  } else {
    line = show_traced(got.type, document, {.wide = with.form == output::wide, .colours = with.colours});
  }
  // What is no message goes beside them, so that they can be piped.
  const bool aside = with.form != output::json && (got.type == "tracing" || got.type == "ended");
  std::fprintf(aside ? stderr : stdout, "%s\n", line.c_str());
  return got.type != "ended";
}

}  // namespace

exit_code crashes(session& with, const crashes_options& options) {
  auto target = fmt::format("/v1/crashes?limit={}", options.limit);
  if (!options.name.empty() && !options.klass.empty()) {
    complain(error{errc::invalid_argument, "give CLASS/KEY or --class, not both", took_effect::not_executed});
    return exit_code::usage;
  }
  if (!options.name.empty()) {
    const auto parsed = parse_process_name(options.name);
    if (!parsed) {
      complain(parsed.error());
      return exit_code::usage;
    }
    target += fmt::format("&class={}&key={}", kube::percent_encode(parsed->klass.value),
                          kube::percent_encode(parsed->key.value));
  }
  if (!options.klass.empty()) target += "&class=" + kube::percent_encode(options.klass);
  if (options.local) target += "&node=local";
  return show(with, target, show_crashes);
}

exit_code trace(session& with, const std::string& name, std::size_t limit, std::size_t seconds) {
  const auto parsed = parse_process_name(name);
  if (!parsed) {
    complain(parsed.error());
    return exit_code::usage;
  }
  catch_interrupts();
  sse_parser parser;
  bool ended = false;
  const auto target = fmt::format("{}/trace?limit={}&seconds={}", path_of(*parsed), limit, seconds);
  const auto reply = with.sidecar.stream({.method = "GET", .target = target, .body = {}, .headers = {}},
                                         stream_silence_max, interrupted, [&](std::string_view bytes) {
                                           for (const auto& each : parser.feed(bytes))
                                             ended |= !print_traced(each, with);
                                           std::fflush(stdout);
                                           return !ended && !std::ferror(stdout);
                                         });
  if (interrupted || ended) return exit_code::ok;
  if (!reply) return complain(reply.error(), &with);
  if (reply->status != 200) return complain(problem_of(*reply), &with);
  return complain(error{errc::unavailable, "the sidecar ended the trace before its time", took_effect::not_executed},
                  &with);
}

}  // namespace orrery::cli
