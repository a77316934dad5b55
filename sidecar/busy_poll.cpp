#include "sidecar/busy_poll.hpp"

#include "mesh/base/duration_text.hpp"
#include "sidecar/processors.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <sched.h>

namespace orrery::sidecar {

result<std::optional<duration>> parse_busy_poll(const std::string& text) {
  if (text == "auto") return std::optional<duration>{};
  if (text == "off") return std::optional{duration{0}};
  const auto length = parse_duration(text);
  if (!length || *length > busy_poll::length_max) {
    return fail(errc::invalid_argument, fmt::format("'{}' is neither auto, nor off, nor a duration up to 1ms", text));
  }
  return std::optional{*length};
}

duration busy_poll_length(unsigned processors, std::optional<double> quota) {
  constexpr double enough = 2;
  return processors >= enough && quota.value_or(enough) >= enough ? busy_poll::usual_length : duration{0};
}

duration busy_poll_length() { return busy_poll_length(processors_allowed(), processor_quota()); }

look_result look(boost::asio::io_context& io, duration length) {
  using clock = std::chrono::steady_clock;
  const auto until = clock::now() + length;
  for (auto now = clock::now(); now < until;) {
    if (io.poll() > 0) return {.found = true};
    const auto before = clock::now();
    ::sched_yield();  // whoever else can run here comes first
    now = clock::now();
    if (now - before > length) return {.found = io.poll() > 0, .crowded = true};
  }
  return {};
}

void run(boost::asio::io_context& io, busy_poll looks,
         const std::function<look_result(boost::asio::io_context&, duration)>& how) {
  while (!io.stopped()) {
    io.run_one();
    io.poll();
    for (bool found = true; found && !io.stopped();) {
      const auto length = looks.next();
      if (length == duration{0}) break;
      const auto came = how(io, length);
      looks.ended(came);
      found = came.found;
    }
  }
}

}  // namespace orrery::sidecar
