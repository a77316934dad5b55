#pragma once
#include "kube/informer.hpp"
#include "kube/resource.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace orrery::kube {

/// A change of the store, in the form that handlers are told. An object that was replaced by another of the same name
/// (another uid) is a removal and an addition.
struct store_change {
  object_ptr before;  ///< null: added
  object_ptr now;     ///< null: removed
};

/// What an informer knows: objects by key. Thread-safe; written by the informer's thread alone.
class object_store {
 public:
  [[nodiscard]] object_ptr get(const object_key& key) const;
  [[nodiscard]] std::vector<object_ptr> list() const;
  [[nodiscard]] std::size_t size() const;

  std::vector<store_change> upsert(object_ptr object);
  std::vector<store_change> erase(object_ptr last);
  /// Makes the store equal to a complete list. Readers see all of it or none.
  std::vector<store_change> replace(std::vector<object_ptr> all);

 private:
  mutable std::mutex mutex_;
  std::map<object_key, object_ptr> objects_;
};

}  // namespace orrery::kube
