#include "cli/follow.hpp"
#include "cli/interrupt.hpp"
#include "cli/sse.hpp"
#include "cli/views.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdio>
#include <thread>

namespace orrery::cli {

std::atomic<bool> interrupted{false};

void catch_interrupts() {
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
}

void pause_for(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!interrupted && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::min(time, std::chrono::milliseconds{50}));
  }
}

std::string event_line(const sse_event& got, output form, bool colours, const std::string& node) {
  auto document = nlohmann::json::parse(got.data, nullptr, false);
  if (document.is_discarded()) document = got.data;
  if (document.is_object() && !document.contains("node") && !node.empty()) document["node"] = node;
  if (form != output::json) return show_event(got.type, document, {.wide = form == output::wide, .colours = colours});
  if (document.is_object()) document["type"] = got.type;
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

exit_code events(session& with) {
  catch_interrupts();
  auto wait = retry_min;
  bool told = false;
  while (!interrupted) {
    sse_parser parser;
    const auto ended = with.sidecar.stream({.method = "GET", .target = "/v1/events", .body = {}, .headers = {}},
                                           stream_silence_max, interrupted, [&](std::string_view bytes) {
                                             told = false;
                                             wait = retry_min;
                                             for (const auto& each : parser.feed(bytes)) {
                                               const auto line = event_line(each, with.form, with.colours, "");
                                               std::fprintf(stdout, "%s\n", line.c_str());
                                             }
                                             std::fflush(stdout);
                                             return !std::ferror(stdout);
                                           });
    if (interrupted || std::ferror(stdout) != 0) break;
    if (ended && ended->status != 200) return complain(problem_of(*ended), &with);
    if (!std::exchange(told, true)) {  // once for each outage
      if (ended) {
        std::fputs("orrery: the sidecar ended the stream; connecting again\n", stderr);
      } else {
        complain(ended.error(), &with);
        std::fputs("orrery: trying again until it answers (Ctrl-C ends this)\n", stderr);
      }
    }
    pause_for(wait);
    wait = std::min(wait * 2, retry_max);
  }
  return exit_code::ok;
}

}  // namespace orrery::cli
