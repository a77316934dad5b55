#include "kube/watch_machine.hpp"

#include <algorithm>
#include <utility>

namespace orrery::kube {

using std::chrono::milliseconds;

watch_machine::watch_machine(const watch_machine_options& options) : options_(options), random_(options.seed) {
  plan_list(false);
}

void watch_machine::listed(std::string resource_version) {
  version_ = std::move(resource_version);
  refusals_ = 0;
  plan_watch(false);
}

void watch_machine::list_failed(const api_status& status) { plan_list(true, &status); }

watch_machine::verdict watch_machine::on_event(std::string_view type, std::string_view version,
                                               const api_status& status) {
  if (type == "ERROR") {
    error_ = status;
    ending_ = status.expired() ? ending::expired : ending::error;
    return verdict::end;
  }
  const bool object = type == "ADDED" || type == "MODIFIED" || type == "DELETED";
  if (!object && type != "BOOKMARK") return verdict::skip;  // of a later API version
  if (version.empty()) {
    ending_ = ending::broken;
    return verdict::end;
  }
  brought_something_ = true;
  version_ = version;
  return object ? verdict::store : verdict::skip;
}

void watch_machine::watch_ended(milliseconds lasted) {
  note_health(lasted);
  switch (ending_) {
    case ending::normal:
      plan_watch(lasted < healthy_watch && !brought_something_);
      return;
    case ending::broken:
      plan_watch(true);
      return;
    case ending::expired:
      plan_list(failures_ > 0 || !(brought_something_ || lasted >= healthy_watch));
      return;
    case ending::error:
      refused(error_);
      return;
  }
}

void watch_machine::watch_failed(milliseconds lasted) {
  note_health(lasted);
  plan_watch(true);
}

void watch_machine::watch_refused(const api_status& status) {
  brought_something_ = false;
  refused(status);
}

void watch_machine::refused(const api_status& status) {
  ++refusals_;
  // 401, 403, 429 and 5xx say nothing about our version: ask the same again, but not for ever.
  const bool version_may_be_good = status.retriable() || status.code == 401 || status.code == 403;
  if (status.expired() || !version_may_be_good || refusals_ >= refusals_before_list) {
    plan_list(true, &status);
  } else {
    plan_watch(true, &status);
  }
}

void watch_machine::note_health(milliseconds lasted) {
  if (ending_ == ending::broken || (!brought_something_ && lasted < healthy_watch)) return;
  failures_ = 0;
  refusals_ = 0;
}

void watch_machine::plan_list(bool after_failure, const api_status* status) {
  next_ = {.what = action::kind::list, .pause = after_failure ? pause_for(status) : milliseconds{0}};
}

void watch_machine::plan_watch(bool after_failure, const api_status* status) {
  const auto spread = (options_.watch_timeout_max - options_.watch_timeout_min).count();
  const auto extra = spread > 0 ? random_.below(static_cast<std::uint64_t>(spread) + 1) : 0;
  next_ = {.what = action::kind::watch,
           .pause = after_failure ? pause_for(status) : milliseconds{0},
           .resource_version = version_,
           .timeout = options_.watch_timeout_min + std::chrono::seconds{extra}};
  brought_something_ = false;
  ending_ = ending::normal;
}

milliseconds watch_machine::pause_for(const api_status* status) {
  auto pause = options_.backoff_min;
  for (std::uint32_t i = 0; i < failures_ && pause < options_.backoff_max; ++i) {
    pause *= 2;
  }
  ++failures_;
  pause = std::min(pause, options_.backoff_max);
  // Between half and all of it, so that clients that failed together do not return together.
  pause = pause / 2 + milliseconds{random_.below(static_cast<std::uint64_t>(pause.count() / 2) + 1)};
  if (status && status->retry_after) {
    pause = std::max<milliseconds>(pause, std::min(*status->retry_after, options_.retry_after_max));
  }
  return pause;
}

}  // namespace orrery::kube
