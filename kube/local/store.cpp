#include "kube/local/store.hpp"

#include <algorithm>

namespace orrery::local {

store::store(options chosen) : options_(chosen), version_(chosen.first_version) {}

store::bucket_state& store::bucket(const std::string& name) const {
  auto& slot = buckets_[name];
  if (!slot) {
    slot = std::make_unique<bucket_state>();
    slot->forgotten = options_.first_version - 1;
  }
  return *slot;
}

object_ptr store::get(const object_key& key) const {
  const std::lock_guard lock(mutex_);
  const auto& objects = bucket(key.bucket).objects;
  const auto it = objects.find({key.space, key.name});
  return it == objects.end() ? nullptr : it->second;
}

listing store::list(const std::string& name, const std::string& space) const {
  const std::lock_guard lock(mutex_);
  listing out{.version = version_, .objects = {}};
  for (const auto& [key, object] : bucket(name).objects) {
    if (space.empty() || key.first == space) out.objects.push_back(object);
  }
  return out;
}

std::uint64_t store::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

std::uint64_t store::last_change(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return bucket(name).last;
}

reply<object_ptr> store::write(const object_key& key, const std::function<reply<decision>(const object_ptr&)>& decide) {
  const std::lock_guard lock(mutex_);
  auto& state = bucket(key.bucket);
  const auto it = state.objects.find({key.space, key.name});
  const object_ptr before = it == state.objects.end() ? nullptr : it->second;
  auto decided = decide(before);
  if (!decided) return tl::unexpected(decided.error());
  if (decided->what == decision::action::keep) return before;

  ++version_;
  decided->object["metadata"]["resourceVersion"] = std::to_string(version_);
  const auto after = std::make_shared<const json>(std::move(decided->object));
  auto kind = before ? change::modified : change::added;
  if (decided->what == decision::action::remove) {
    kind = change::deleted;
    if (it != state.objects.end()) state.objects.erase(it);
  } else {
    state.objects[{key.space, key.name}] = after;
  }
  state.history.push_back({.version = version_, .kind = kind, .object = after, .before = before});
  state.last = version_;
  while (state.history.size() > options_.history_max) {
    state.forgotten = state.history.front().version;
    state.history.pop_front();
  }
  state.changed.notify_all();
  any_changed_.notify_all();
  return after;
}

reply<std::vector<store_event>> store::changes(const std::string& name, std::uint64_t version, std::size_t count_max,
                                               std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  auto& state = bucket(name);
  state.changed.wait_until(lock, deadline,
                           [&] { return stopped_ || state.last > version || version < state.forgotten; });
  // A version from the future is of an earlier life of this server: its reader must list again as well.
  if (version < state.forgotten || version > version_) return expired(version, state.forgotten + 1);
  const auto first =
      std::upper_bound(state.history.begin(), state.history.end(), version,
                       [](std::uint64_t asked, const store_event& each) { return asked < each.version; });
  const auto count = std::min(count_max, static_cast<std::size_t>(state.history.end() - first));
  return std::vector<store_event>(first, first + static_cast<std::ptrdiff_t>(count));
}

std::uint64_t store::wait_any(std::uint64_t version, const std::vector<std::string>& ignored,
                              std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  any_changed_.wait_until(lock, deadline, [&] {
    if (stopped_) return true;
    return std::any_of(buckets_.begin(), buckets_.end(), [&](const auto& each) {
      return each.second->last > version && std::find(ignored.begin(), ignored.end(), each.first) == ignored.end();
    });
  });
  return version_;
}

void store::compact() {
  const std::lock_guard lock(mutex_);
  ++version_;
  for (auto& [name, state] : buckets_) {
    state->history.clear();
    state->forgotten = version_;
    state->changed.notify_all();
  }
}

void store::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (auto& [name, state] : buckets_)
    state->changed.notify_all();
  any_changed_.notify_all();
}

bool store::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

}  // namespace orrery::local
