// What clients ask of groups and the registry. Each node knows the whole mesh, as far as it has heard.
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {

result<value> core::impl::groups_here(const list_groups_op& asked) const {
  const auto limit = std::clamp<std::size_t>(asked.limit, 1, list_limit_max);
  return group_list(runtime_.groups(asked.prefix, limit + 1), limit);  // one more, so that a list that was cut says so
}

result<value> core::impl::group_here(const group_op& asked) const {
  return group_document(asked.group, runtime_.members(asked.group));
}

result<value> core::impl::publish_here(const publish_op& asked) {
  if (isolation_.isolated()) {
    return fail(errc::isolated, "this node reaches neither a majority of the mesh nor the API server");
  }
  const auto members = runtime_.publish(now_, asked.group, asked.word, asked.payload, ran_);
  if (!members) return fail(members.error());
  return flat({{"members", std::uint64_t{*members}}});
}

result<value> core::impl::registry_here(const list_registry_op& asked) const {
  const auto limit = std::clamp<std::size_t>(asked.limit, 1, list_limit_max);
  std::vector<listed_key> all;
  for (const auto in : {process::key_space::mesh_unique, process::key_space::mesh_duplicate}) {
    for (auto& each : runtime_.keys(in, asked.prefix, limit + 1))
      all.emplace_back(std::move(each), in == process::key_space::mesh_unique);
  }
  std::ranges::stable_sort(all, {}, [](const listed_key& each) -> const std::string& { return each.first.key; });
  return registry_list(all, limit);
}

}  // namespace orrery::node
