#include "kube/local/patch.hpp"

#include "kube/local/schema.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

constexpr std::string_view order_prefix = "$setElementOrder/";
constexpr std::string_view delete_prefix = "$deleteFromPrimitiveList/";

bool is_directive(const std::string& field) {
  return field == "$patch" || field == "$retainKeys" || field.starts_with(order_prefix) ||
         field.starts_with(delete_prefix);
}

json::iterator find_item(json& list, const std::string& key, const json& wanted) {
  return std::find_if(list.begin(), list.end(), [&](const json& item) {
    return item.is_object() && item.contains(key) && item.at(key) == wanted;
  });
}

/// Sorts `list` as `order` says; items that it does not name stay behind the one they followed.
void reorder(json& list, const json& order, const std::string& key) {
  const auto rank = [&](const json& item) -> std::ptrdiff_t {
    for (std::size_t at = 0; at < order.size(); ++at) {
      if (key.empty() ? order[at] == item
                      : item.is_object() && order[at].is_object() && item.contains(key) && order[at].contains(key) &&
                            item.at(key) == order[at].at(key)) {
        return static_cast<std::ptrdiff_t>(at);
      }
    }
    return -1;
  };
  std::vector<std::pair<std::ptrdiff_t, json>> ranked;
  std::ptrdiff_t last = -1;
  for (auto& item : list) {
    const auto own = rank(item);
    if (own >= 0) last = own;
    ranked.emplace_back(last, std::move(item));
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t at = 0; at < ranked.size(); ++at)
    list[at] = std::move(ranked[at].second);
}

class strategic {
 public:
  reply<void> merge_map(const json* schema, json& object, const json& patch) {
    if (!object.is_object()) object = json::object();
    if (const auto directive = text_at(patch, {"$patch"}); directive == "replace") {
      object = patch;
      object.erase("$patch");
      return {};
    } else if (directive == "delete") {
      object = json::object();
      return {};
    }
    if (const auto keep = list_at(patch, {"$retainKeys"}); !keep.empty()) {
      for (auto it = object.begin(); it != object.end();) {
        it = std::find(keep.begin(), keep.end(), json(it.key())) == keep.end() ? object.erase(it) : std::next(it);
      }
    }
    for (const auto& [field, value] : patch.items()) {
      if (is_directive(field)) continue;
      const auto* sub = schema == nullptr ? nullptr : field_schema(*schema, field);
      if (value.is_null()) {
        object.erase(field);
      } else if (value.is_object()) {
        if (auto done = merge_map(sub, object[field], value); !done) return done;
      } else if (value.is_array()) {
        if (auto done = merge_list(sub, object[field], value); !done) return done;
      } else {
        object[field] = value;
      }
    }
    return apply_list_directives(schema, object, patch);
  }

 private:
  reply<void> merge_list(const json* schema, json& list, const json& patch) {
    const auto strategy = schema == nullptr ? "" : text_at(*schema, {"x-kubernetes-patch-strategy"});
    if (!list.is_array()) list = json::array();
    if (strategy != "merge") {
      list = patch;
      return {};
    }
    const auto key = text_at(*schema, {"x-kubernetes-patch-merge-key"});
    if (key.empty()) {
      for (const auto& item : patch) {
        if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
      }
      return {};
    }
    for (const auto& item : patch) {
      if (text_at(item, {"$patch"}) == "replace") {
        json fresh = json::array();
        for (const auto& each : patch) {
          if (text_at(each, {"$patch"}) != "replace") fresh.push_back(each);
        }
        list = std::move(fresh);
        return {};
      }
    }
    for (const auto& item : patch) {
      if (!item.is_object() || !item.contains(key)) {
        return bad_request("map: " + item.dump() + " does not contain declared merge key: " + key);
      }
      auto it = find_item(list, key, item.at(key));
      if (text_at(item, {"$patch"}) == "delete") {
        if (it != list.end()) list.erase(it);
        continue;
      }
      if (it == list.end()) {
        list.push_back(json::object());
        it = std::prev(list.end());
      }
      if (auto done = merge_map(item_schema(*schema), *it, item); !done) return done;
    }
    return {};
  }

  static reply<void> apply_list_directives(const json* schema, json& object, const json& patch) {
    for (const auto& [field, value] : patch.items()) {
      if (!value.is_array()) continue;
      if (field.starts_with(delete_prefix)) {
        auto& list = object[field.substr(delete_prefix.size())];
        if (!list.is_array()) continue;
        json kept = json::array();
        for (auto& item : list) {
          if (std::find(value.begin(), value.end(), item) == value.end()) kept.push_back(item);
        }
        list = std::move(kept);
      }
      if (field.starts_with(order_prefix)) {
        const auto name = field.substr(order_prefix.size());
        const auto it = object.find(name);
        if (it == object.end() || !it->is_array()) continue;
        const auto* sub = schema == nullptr ? nullptr : field_schema(*schema, name);
        reorder(*it, value, sub == nullptr ? "" : text_at(*sub, {"x-kubernetes-patch-merge-key"}));
      }
    }
    return {};
  }
};

}  // namespace

reply<json> json_patch(const json& object, const json& operations) {
  if (!operations.is_array()) return bad_request("a JSON patch is a list of operations, but this is not a list");
  try {
    return object.patch(operations);
  } catch (const json::exception& wrong) {
    return refuse(422, "Invalid",
                  std::string("the server rejected our request due to an error in our request: ") + wrong.what());
  }
}

json merge_patch(json object, const json& patch) {
  object.merge_patch(patch);
  return object;
}

reply<json> strategic_merge_patch(const json& schema, json object, const json& patch) {
  if (!patch.is_object()) return bad_request("a strategic merge patch is an object");
  if (auto done = strategic().merge_map(&schema, object, patch); !done) return tl::unexpected(done.error());
  return object;
}

}  // namespace orrery::local
