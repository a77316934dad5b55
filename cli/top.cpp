// The greatest processes of the mesh, once or again and again.
#include "cli/asking.hpp"
#include "cli/format.hpp"
#include "cli/interrupt.hpp"
#include "cli/keyboard.hpp"
#include "cli/observing_views.hpp"
#include "kube/request.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace orrery::cli {

namespace {

using nlohmann::json;
using std::chrono::steady_clock;

constexpr std::size_t lines_around = 4;  ///< of the screen, beside the processes
constexpr const char* enter_screen = "\x1b[?1049h\x1b[?25l";
constexpr const char* leave_screen = "\x1b[?25h\x1b[?1049l";
constexpr const char* clear_screen = "\x1b[H\x1b[2J";

std::string target_of(const top_options& options, std::size_t limit) {
  return fmt::format("/v1/top?by={}&limit={}{}", kube::percent_encode(options.by), limit,
                     options.local ? "&node=local" : "");
}

/// What to sort by from now on.
const char* measure_of(char key) {
  switch (key) {
    case 'b':
      return "mailbox";
    case 'a':
      return "age";
    case 'm':
      return "memory";
    case 'r':
      return "reductions";
    case 's':
      return "messages";
    default:
      return nullptr;
  }
}

std::string screen_of(const json& document, const top_options& options, look how) {
  return fmt::format("{}\n{}\n{}{}", painted("by " + options.by, tone::strong, how.colours),
                     painted("sort by: mailBox Age Memory Reductions meSsages; Quit", tone::faint, how.colours),
                     show_top(document, how), show_gaps(document));
}

/// Whatever is typed in the meantime. False: to quit.
bool heed_keys(const keyboard& keys, top_options& options, steady_clock::time_point until) {
  while (!interrupted && steady_clock::now() < until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now());
    const auto key = keys.wait(std::max(left, std::chrono::milliseconds{1}));
    if (!key) continue;
    if (*key == 'q' || *key == 'Q') return false;
    const auto* by = measure_of(static_cast<char>(*key | 0x20));
    if (by == nullptr) continue;
    options.by = by;
    return true;
  }
  return true;
}

}  // namespace

exit_code top(session& with, top_options options) {
  const auto rows = terminal_rows();
  if (options.once || !rows || with.form == output::json)
    return show(with, target_of(options, options.limit), show_top);
  catch_interrupts();
  const keyboard keys;
  std::fputs(enter_screen, stdout);
  std::optional<error> failed;
  do {
    const auto room = terminal_rows().value_or(*rows);
    const auto limit = std::clamp<std::size_t>(room > lines_around ? room - lines_around : 1, 1, options.limit);
    const auto next = steady_clock::now() + options.interval;
    const auto document = ask(with, {.method = "GET", .target = target_of(options, limit), .body = {}, .headers = {}},
                              with.timeout.value_or(ask_timeout));
    if (interrupted) break;
    if (!document) {
      failed = document.error();
      break;
    }
    const look how{.wide = with.form == output::wide, .colours = with.colours};
    std::fputs((clear_screen + screen_of(*document, options, how)).c_str(), stdout);
    std::fflush(stdout);
    if (!heed_keys(keys, options, next)) break;
  } while (!interrupted);
  std::fputs(leave_screen, stdout);
  std::fflush(stdout);
  return failed ? complain(*failed, &with) : exit_code::ok;
}

}  // namespace orrery::cli
