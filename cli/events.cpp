#include "cli/commands.hpp"
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

namespace {

using namespace std::chrono_literals;

constexpr auto silence_max = 40s;  ///< the server comments every 15 s
constexpr auto retry_min = 250ms;
constexpr std::chrono::milliseconds retry_max = 5s;

void print_event(const session& with, const sse_event& got) {
  auto document = nlohmann::json::parse(got.data, nullptr, false);
  if (document.is_discarded()) document = got.data;
  std::string line;
  if (with.form == output::json) {
    if (document.is_object()) document["type"] = got.type;
    line = document.dump();
  } else {
    line = show_event(got.type, document, {.wide = with.form == output::wide, .colours = with.colours});
  }
  std::fprintf(stdout, "%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace

exit_code events(session& with) {
  catch_interrupts();
  auto wait = std::chrono::milliseconds{retry_min};
  bool told = false;
  std::string told_of;
  while (!interrupted) {
    if (with.node != told_of) {
      std::fprintf(stderr, "orrery: what node %s sees and does; processes of other nodes are told of by those\n",
                   with.node.c_str());
      told_of = with.node;
    }
    sse_parser parser;
    const auto ended = with.sidecar.stream({.method = "GET", .target = "/v1/events", .body = {}, .headers = {}},
                                           silence_max, interrupted, [&](std::string_view bytes) {
                                             told = false;
                                             wait = retry_min;
                                             for (const auto& each : parser.feed(bytes))
                                               print_event(with, each);
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
    if (with.find_again && !interrupted) {
      if (const auto found = with.find_again(); !found) complain(found.error());
    }
    wait = std::min(wait * 2, retry_max);
  }
  return exit_code::ok;
}

}  // namespace orrery::cli
