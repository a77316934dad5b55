#include "mesh/process/given_up.hpp"

namespace orrery::process {
namespace {

/// Before every name of the class.
process_name first_of(const class_name& klass) { return {klass, process_key{}}; }

}  // namespace

void given_up_names::add(process_name name, entry what) {
  release(name);
  if (names_.size() >= names_max) release(process_name{by_time_.begin()->second});
  by_time_.emplace(what.until, name);
  names_.emplace(std::move(name), std::move(what));
}

const given_up_names::entry* given_up_names::find(const process_name& name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

bool given_up_names::release(const process_name& name) {
  const auto found = names_.find(name);
  if (found == names_.end()) return false;
  by_time_.erase({found->second.until, name});
  names_.erase(found);
  return true;
}

std::optional<process_name> given_up_names::take_due(time_point now) {
  if (next() > now) return {};
  std::optional<process_name> due{by_time_.begin()->second};
  release(*due);
  return due;
}

std::vector<std::pair<process_name, given_up_names::entry>> given_up_names::of(const class_name& klass,
                                                                               std::size_t most) const {
  std::vector<std::pair<process_name, entry>> out;
  for (auto at = names_.lower_bound(first_of(klass)); at != names_.end() && at->first.klass == klass; ++at) {
    if (out.size() == most) break;
    out.push_back(*at);
  }
  return out;
}

std::size_t given_up_names::count(const class_name& klass) const {
  std::size_t all = 0;
  for (auto at = names_.lower_bound(first_of(klass)); at != names_.end() && at->first.klass == klass; ++at)
    ++all;
  return all;
}

}  // namespace orrery::process
