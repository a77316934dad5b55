#include "kube/object_store.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace orrery::kube {
namespace {

void note(std::vector<store_change>& changes, const object_ptr& before, const object_ptr& now) {
  if (before && now) {
    if (resource_version_of(*before) == resource_version_of(*now) && uid_of(*before) == uid_of(*now)) return;
    if (uid_of(*before) != uid_of(*now)) {
      changes.push_back({before, nullptr});
      changes.push_back({nullptr, now});
      return;
    }
  }
  changes.push_back({before, now});
}

}  // namespace

object_ptr object_store::get(const object_key& key) const {
  const std::lock_guard lock{mutex_};
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

std::vector<object_ptr> object_store::list() const {
  const std::lock_guard lock{mutex_};
  std::vector<object_ptr> all;
  all.reserve(objects_.size());
  for (const auto& [key, object] : objects_) {
    all.push_back(object);
  }
  return all;
}

std::size_t object_store::size() const {
  const std::lock_guard lock{mutex_};
  return objects_.size();
}

std::vector<store_change> object_store::upsert(object_ptr object) {
  std::vector<store_change> changes;
  const std::lock_guard lock{mutex_};
  auto& slot = objects_[key_of(*object)];
  note(changes, slot, object);
  slot = std::move(object);
  return changes;
}

std::vector<store_change> object_store::erase(object_ptr last) {
  const std::lock_guard lock{mutex_};
  if (objects_.erase(key_of(*last)) == 0) return {};
  return {{std::move(last), nullptr}};
}

std::vector<store_change> object_store::replace(std::vector<object_ptr> all) {
  std::map<object_key, object_ptr> fresh;
  for (auto& object : all) {
    auto key = key_of(*object);
    fresh.insert_or_assign(std::move(key), std::move(object));
  }
  std::vector<store_change> changes;
  const std::lock_guard lock{mutex_};
  for (const auto& [key, object] : objects_) {
    if (!fresh.contains(key)) changes.push_back({object, nullptr});
  }
  for (const auto& [key, object] : fresh) {
    const auto known = objects_.find(key);
    note(changes, known == objects_.end() ? nullptr : known->second, object);
  }
  objects_.swap(fresh);
  return changes;
}

}  // namespace orrery::kube
