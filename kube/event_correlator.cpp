#include "kube/event_correlator.hpp"

#include <algorithm>
#include <utility>

namespace orrery::kube {

event_correlator::decision event_correlator::decide(const std::string& object, const std::string& identity,
                                                    time_point now) {
  if (!allowed(object, now)) return {.what = decision::kind::drop};
  const auto found = known_.find(identity);
  if (found == known_.end() || found->second.name.empty()) return {.what = decision::kind::create};
  return {.what = decision::kind::bump, .name = found->second.name, .count = ++found->second.count};
}

void event_correlator::created(const std::string& identity, std::string name) {
  const auto [at, is_new] = known_.insert_or_assign(identity, known{std::move(name), 1});
  if (!is_new) return;
  order_.push_back(identity);
  while (order_.size() > options_.remembered_max) {
    known_.erase(order_.front());
    order_.pop_front();
  }
}

void event_correlator::forget(const std::string& identity) {
  if (const auto found = known_.find(identity); found != known_.end()) found->second.name.clear();
}

bool event_correlator::allowed(const std::string& object, time_point now) {
  const auto burst = static_cast<double>(options_.burst);
  const auto found = buckets_.find(object);
  if (found == buckets_.end()) {
    if (buckets_.size() >= options_.remembered_max) {  // forget who is full again; if nobody is, everybody
      const auto full_after = options_.refill * static_cast<std::int64_t>(options_.burst);
      std::erase_if(buckets_, [&](const auto& each) { return now - each.second.filled >= full_after; });
      if (buckets_.size() >= options_.remembered_max) buckets_.clear();
    }
    buckets_.emplace(object, bucket{burst - 1, now});
    return burst >= 1;
  }
  auto& tokens_of = found->second;
  const std::chrono::duration<double> passed = now - tokens_of.filled;
  tokens_of.tokens = std::min(burst, tokens_of.tokens + passed / std::chrono::duration<double>{options_.refill});
  tokens_of.filled = now;
  if (tokens_of.tokens < 1) return false;
  tokens_of.tokens -= 1;
  return true;
}

}  // namespace orrery::kube
