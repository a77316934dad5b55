// The census: all processes are looked at, some in a step, when somebody waits for what it finds.
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {

void core::impl::take_a_look(look asked) {
  if (looks_.size() >= looks_max) {
    return answer(asked.to, fail(errc::overloaded, "too many wait to look at all processes; retry later"));
  }
  const auto& seen = runtime_.seen();
  const auto shared = asked.top || runtime_.count() <= census_places_max ? census_shared : census_shared_by_metrics;
  const bool fresh = asked.top && seen.ended_at() && now_ < *seen.ended_at() + shared;
  const bool fresh_enough =
      !asked.top && runtime_.count() > census_places_max && seen.ended_at() && now_ < *seen.ended_at() + shared;
  if ((fresh && (!asked.wants_rates() || seen.has_rates())) || fresh_enough) return answer_look(asked);
  looks_.push_back(std::move(asked));
  if (!census_walks_) census_at_ = std::min(census_at_, now_);
}

void core::impl::advance_census() {
  if (now_ >= forget_baseline_at_ && !census_walks_) {
    forget_baseline_at_ = never;
    runtime_.forget_baseline();
  }
  if (now_ < census_at_) return;
  if (!census_walks_) runtime_.begin_census(now_);
  census_walks_ = runtime_.continue_census(now_, census_places_max);
  if (census_walks_) {
    census_at_ = now_ + census_pause;
    return;
  }
  forget_baseline_at_ = now_ + process::baseline_kept;
  std::vector<look> waiting;
  waiting.swap(looks_);
  for (auto& each : waiting) {
    if (each.wants_rates() && !runtime_.seen().has_rates()) {
      looks_.push_back(std::move(each));
    } else {
      answer_look(each);
    }
  }
  census_at_ = looks_.empty() ? never : now_ + rate_window;
}

time_point core::impl::census_wake_at() const { return std::min(census_at_, forget_baseline_at_); }

void core::impl::answer_look(const look& asked) {
  const report_context here = report_here();
  if (!asked.top) return answer(asked.to, load_document(here, runtime_));
  auto part = top_list(here, asked.top->by, runtime_.top(asked.top->by, asked.top->limit));
  if (asked.gather != 0) return on_own_part(asked.gather, std::move(part));
  if (std::holds_alternative<from_client>(asked.to)) return answer(asked.to, merge_parts(*asked.top, {part}, {}));
  answer(asked.to, std::move(part));
}

}  // namespace orrery::node
