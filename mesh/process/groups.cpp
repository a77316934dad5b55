#include "mesh/process/groups.hpp"

#include "mesh/base/ids.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace orrery::process {

result<void> check_group_name(std::string_view group) {
  if (!group.empty() && group.size() <= group_name_bytes_max && is_utf8(group)) return {};
  return fail(errc::invalid_argument, "a group's name has 1 to " + std::to_string(group_name_bytes_max) +
                                          " bytes of UTF-8; this one has " + std::to_string(group.size()));
}

result<std::uint32_t> groups::join(std::string_view group, kernel::handle who) {
  if (auto fine = check_group_name(group); !fine) return fail(std::move(fine.error()));
  const auto found = groups_.find(group);
  if (found != groups_.end()) {
    const auto member = found->second.members.find(who);
    if (member != found->second.members.end()) {
      if (member->second == std::numeric_limits<std::uint32_t>::max()) {
        return fail(errc::overloaded, "a process can join one group 4294967295 times, and has");
      }
      return ++member->second;
    }
  }
  if (here_ >= limits_.here_max || known_ >= limits_.known_max) {
    return fail(errc::overloaded, "this node's processes have joined " + std::to_string(here_) +
                                      " groups and all that are known " + std::to_string(known_) +
                                      ", as many as may be; retry later");
  }
  static_cast<void>(set(group, who, 1));
  return 1;
}

std::optional<std::uint32_t> groups::leave(std::string_view group, kernel::handle who) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  const auto member = found->second.members.find(who);
  if (member == found->second.members.end()) return {};
  if (--member->second > 0) return member->second;
  remove(found, who);
  return 0;
}

bool groups::set(std::string_view group, kernel::handle who, std::uint32_t joins) {
  auto found = groups_.find(group);
  const bool was = found != groups_.end() && found->second.members.contains(who);
  if (joins == 0) {
    if (was) remove(found, who);
    return was;
  }
  if (was) {
    found->second.members[who] = joins;
    return false;
  }
  if (known_ >= limits_.known_max) return false;
  if (found == groups_.end()) found = groups_.emplace(std::string{group}, entry{}).first;
  found->second.members.emplace(who, joins);
  joined_[who].insert(found->first);
  ++known_;
  if (who.node == kernel::handle::here) ++here_;
  return true;
}

void groups::remove(table::iterator group, kernel::handle who) {
  group->second.members.erase(who);
  const auto of = joined_.find(who);
  of->second.erase(of->second.find(group->first));
  if (of->second.empty()) joined_.erase(of);
  --known_;
  if (who.node == kernel::handle::here) --here_;
  tidy(group);
}

void groups::tidy(table::iterator group) {
  if (group->second.members.empty() && group->second.watchers.empty()) groups_.erase(group);
}

std::vector<std::string> groups::forget(kernel::handle who) {
  std::vector<std::string> left;
  if (const auto of = joined_.find(who); of != joined_.end()) left.assign(of->second.begin(), of->second.end());
  for (const auto& group : left)
    remove(groups_.find(group), who);
  unwatch_all(who);
  return left;
}

std::vector<groups::change> groups::forget_node(std::uint32_t node) {
  std::vector<change> changes;
  for (auto of = joined_.lower_bound({node, 0, 0}); of != joined_.end() && of->first.node == node;) {
    const kernel::handle who = (of++)->first;  // what follows erases it
    for (auto& group : forget(who))
      changes.push_back({std::move(group), who, false});
  }
  return changes;
}

std::vector<kernel::handle> groups::members(std::string_view group, reach among) const {
  std::vector<kernel::handle> all;
  const auto found = groups_.find(group);
  if (found == groups_.end()) return all;
  const auto end = among == reach::node ? end_of_here(found->second) : found->second.members.end();
  for (auto at = found->second.members.begin(); at != end; ++at)
    all.push_back(at->first);
  return all;
}

std::vector<std::string> groups::names(std::string_view prefix, std::size_t limit) const {
  std::vector<std::string> all;
  for (auto at = groups_.lower_bound(prefix); at != groups_.end() && at->first.starts_with(prefix); ++at) {
    if (all.size() == limit) break;
    if (!at->second.members.empty()) all.push_back(at->first);
  }
  return all;
}

std::size_t groups::count(std::string_view group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? 0 : found->second.members.size();
}

std::vector<groups::membership> groups::of(kernel::handle who) const {
  std::vector<membership> all;
  const auto of = joined_.find(who);
  if (of == joined_.end()) return all;
  for (const auto& group : of->second)
    all.push_back({group, who, groups_.find(group)->second.members.at(who)});
  return all;
}

std::vector<groups::membership> groups::of_this_node() const {
  std::vector<membership> all;
  all.reserve(here_);
  for (auto at = joined_.begin(); at != joined_.end() && at->first.node == kernel::handle::here; ++at) {
    auto some = of(at->first);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

result<void> groups::watch(std::string_view group, kernel::handle watcher) {
  if (auto fine = check_group_name(group); !fine) return fine;
  auto found = groups_.find(group);
  if (found != groups_.end() && found->second.watchers.contains(watcher)) return {};
  if (watches_ >= limits_.watches_max) {
    return fail(errc::overloaded,
                "processes of this node watch " + std::to_string(watches_) + " groups, as many as may be; retry later");
  }
  if (found == groups_.end()) found = groups_.emplace(std::string{group}, entry{}).first;
  found->second.watchers.insert(watcher);
  watched_[watcher].insert(found->first);
  ++watches_;
  return {};
}

void groups::unwatch(std::string_view group, kernel::handle watcher) {
  const auto found = groups_.find(group);
  if (found == groups_.end() || found->second.watchers.erase(watcher) == 0) return;
  const auto of = watched_.find(watcher);
  of->second.erase(found->first);
  if (of->second.empty()) watched_.erase(of);
  --watches_;
  tidy(found);
}

void groups::unwatch_all(kernel::handle watcher) {
  const auto of = watched_.find(watcher);
  if (of == watched_.end()) return;
  const auto watched = std::move(of->second);
  watched_.erase(of);
  watches_ -= watched.size();
  for (const auto& group : watched) {
    const auto found = groups_.find(group);
    found->second.watchers.erase(watcher);
    tidy(found);
  }
}

std::vector<kernel::handle> groups::watchers(std::string_view group) const {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  return {found->second.watchers.begin(), found->second.watchers.end()};
}

}  // namespace orrery::process
