#include "mesh/process/tracing.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {

std::string_view to_string(kernel::message::kind what) noexcept {
  using kind = kernel::message::kind;
  switch (what) {
    case kind::plain:
      return "message";
    case kind::cast:
      return "cast";
    case kind::call:
      return "call";
    case kind::reply:
      return "reply";
    case kind::exit:
      return "exit";
    case kind::down:
      return "down";
    case kind::timer:
      return "timer";
    case kind::timeout:
      return "timeout";
    case kind::resume:
      return "continue";
  }
  return "message";
}

result<void> tracer::begin(trace_id id, process_name name, std::uint32_t slot, std::size_t limit) {
  if (traces_.size() >= traces_max) {
    return fail(errc::overloaded, std::to_string(traces_max) + " traces run on this node, as many as may; end one");
  }
  traces_.push_back({.id = id, .name = std::move(name), .slot = slot, .left = limit});
  return {};
}

std::optional<std::uint64_t> tracer::end(trace_id id) {
  const auto found = std::find_if(traces_.begin(), traces_.end(), [&](const trace& each) { return each.id == id; });
  if (found == traces_.end()) return {};
  const auto dropped = found->dropped;
  traces_.erase(found);
  return dropped;
}

void tracer::appeared(const process_name& name, std::uint32_t slot) {
  for (auto& each : traces_) {
    if (each.name == name) each.slot = slot;
  }
}

void tracer::forgot(std::uint32_t slot) {
  for (auto& each : traces_) {
    if (each.slot == slot) each.slot = kernel::no_slot;
  }
}

void tracer::record(std::uint32_t slot, const trace_entry& what) {
  for (auto& each : traces_) {
    if (each.slot != slot || each.left == 0) continue;
    if (what.at - each.second >= std::chrono::seconds{1}) {
      each.second = what.at;
      each.in_second = 0;
    }
    if (each.in_second >= trace_entries_per_second_max) {
      ++each.dropped;
      continue;
    }
    ++each.in_second;
    --each.left;
    recorded_.push_back({each.id, what, std::exchange(each.dropped, 0), each.left == 0});
  }
  std::erase_if(traces_, [](const trace& each) { return each.left == 0; });
}

}  // namespace orrery::process
