#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

namespace orrery::plan {

std::string new_mesh_id(seeded_random& random) {  // a UUID, version 4
  const auto a = random.next();
  const auto b = random.next();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", a >> 32U, (a >> 16U) & 0xffffU, a & 0xfffU,
                     ((b >> 48U) & 0x3fffU) | 0x8000U, b & 0xffffffffffffU);
}

bool is_mesh_id(std::string_view text) {
  constexpr std::size_t bytes_max = 64;
  return !text.empty() && text.size() <= bytes_max &&
         text.find_first_not_of("0123456789abcdefABCDEF-") == std::string_view::npos;
}

namespace {

YAML::Node read(const json& genesis) {
  try {
    return YAML::Load(std::string(kube::text_at(genesis, {"data", "genesis.yaml"})));
  } catch (const YAML::Exception&) {
    return {};
  }
}

}  // namespace

json build_genesis(const situation& now, const std::vector<std::string>& members, const std::string& mesh_id) {
  json out = owned_object(kube::resources::config_maps, now.mesh, now.names.genesis(), "genesis");
  std::string text = fmt::format(
      "# The birth of this mesh: written once by orrery-operator and never changed.\nmeshID: {}\ncreatedAt: "
      "{}\nmembers:\n",
      mesh_id, pki::to_text(now.now));
  for (const auto& one : members)
    text += fmt::format("  - {}\n", one);
  out["data"] = {{"genesis.yaml", text}};
  return out;
}

std::string mesh_id_of(const json& genesis) {
  const auto parsed = read(genesis);
  return parsed.IsMap() && parsed["meshID"] && parsed["meshID"].IsScalar() ? parsed["meshID"].Scalar() : std::string{};
}

std::vector<std::string> members_of(const json& genesis) {
  std::vector<std::string> out;
  const auto parsed = read(genesis);
  if (!parsed.IsMap() || !parsed["members"] || !parsed["members"].IsSequence()) return out;
  for (const auto& one : parsed["members"]) {
    if (one.IsScalar()) out.push_back(one.Scalar());
  }
  return out;
}

}  // namespace orrery::plan
