#include "mesh/process/census.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

double seconds_of(duration span) { return std::chrono::duration<double>(span).count(); }

bool greater(const great_process& a, const great_process& b) {
  return a.size != b.size ? a.size > b.size : a.slot < b.slot;
}

}  // namespace

void census::begin(time_point now) {
  before_ = has_baseline() ? std::optional{began_} : std::nullopt;
  began_ = now;
  ++walks_;
  for (auto& each : ranked_)
    each.clear();
}

std::optional<rates> census::measure_rates(time_point now, const seen_process& what) {
  const auto at = what.slot / chunk_size;
  if (at >= baseline_.size()) baseline_.resize(at + 1);
  if (!baseline_[at]) baseline_[at] = std::make_unique<chunk>();
  chunk& beside = *baseline_[at];
  if (std::exchange(beside.walk, walks_) != walks_) beside.at_before = std::exchange(beside.at, now);
  before& last = beside.of[what.slot % chunk_size];
  const bool same_life = last.who == what.who;
  // One that is younger than the walk before has done all that it did since then.
  const auto since = same_life ? beside.at_before : std::max(what.started_at, before_.value_or(what.started_at));
  std::optional<rates> told;
  if (before_ && now > since) {
    const auto span = seconds_of(now - since);
    const before from = same_life ? last : before{};
    told = rates{static_cast<double>(what.handled - from.handled) / span,
                 static_cast<double>(what.reductions - from.reductions) / span};
  }
  last = {what.who, what.handled, what.reductions};
  return told;
}

void census::rank(ranking& into, const seen_process& what, double size, const std::optional<rates>& per_second) {
  if (size <= 0) return;
  const great_process next{what.slot, what.who, size, per_second};
  if (into.size() == top_max) {
    if (!greater(next, into.front())) return;
    std::pop_heap(into.begin(), into.end(), greater);
    into.pop_back();
  }
  into.push_back(next);
  std::push_heap(into.begin(), into.end(), greater);
}

void census::see(time_point now, const seen_process& what) {
  const auto per_second = measure_rates(now, what);
  const auto into = [&](measure by) -> ranking& { return ranked_[static_cast<std::size_t>(by)]; };
  rank(into(measure::mailbox), what, static_cast<double>(what.waiting), per_second);
  rank(into(measure::age), what, what.oldest ? seconds_of(now - *what.oldest) : 0, per_second);
  rank(into(measure::memory), what, static_cast<double>(what.memory_bytes), per_second);
  if (!per_second) return;
  rank(into(measure::reductions), what, per_second->reductions, per_second);
  rank(into(measure::messages), what, per_second->messages, per_second);
}

void census::end(time_point now) {
  for (std::size_t i = 0; i < measures; ++i) {
    std::sort(ranked_[i].begin(), ranked_[i].end(), greater);
    greatest_[i] = std::exchange(ranked_[i], {});
  }
  has_rates_ = before_.has_value();
  ended_at_ = now;
}

void census::forget_baseline() {
  baseline_.clear();
  baseline_.shrink_to_fit();
  before_.reset();
}

}  // namespace orrery::process
