#include "operator/plan/concerns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include <algorithm>

namespace orrery::plan {

namespace {

/// A script reads best as a block; one that a block cannot hold as it is becomes a quoted string.
bool fits_a_block(const std::string& text) {
  if (text.empty() || text.front() == ' ' || text.front() == '\n' || text.back() != '\n') return false;
  if (text.size() > 1 && text[text.size() - 2] == '\n') return false;
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n') || byte >= 0x7f;
  });
}

void emit(YAML::Emitter& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object:
      out << YAML::BeginMap;
      for (const auto& [key, item] : value.items()) {
        out << YAML::Key << key << YAML::Value;
        emit(out, item);
      }
      out << YAML::EndMap;
      return;
    case json::value_t::array:
      out << YAML::BeginSeq;
      for (const auto& item : value)
        emit(out, item);
      out << YAML::EndSeq;
      return;
    case json::value_t::string: {
      const auto& text = value.get_ref<const std::string&>();
      const bool block = text.find('\n') != std::string::npos && fits_a_block(text);
      if (block) {
        out << YAML::Literal << text;
      } else {
        out << YAML::DoubleQuoted << text;
      }
      return;
    }
    case json::value_t::boolean:
      out << value.get<bool>();
      return;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      out << value.get<std::int64_t>();
      return;
    case json::value_t::number_float:
      out << value.get<double>();
      return;
    case json::value_t::null:
    case json::value_t::binary:
    case json::value_t::discarded:
      out << YAML::Null;
      return;
  }
}

}  // namespace

std::string render_config(const situation& now, const json& classes) {
  const auto& spec = now.spec;
  YAML::Emitter out;
  out << YAML::Comment("Written by orrery-operator; changes made here are taken back.") << YAML::Newline;
  emit(out, {{"mesh", {{"name", now.names.mesh}, {"namespace", kube::namespace_of(now.mesh)}}},
             {"discovery", {{"mode", "kubernetes"}, {"selector", pod_selector(now.names.mesh)}}},
             {"network", {{"meshPort", spec.mesh_port}, {"adminPort", spec.admin_port}}},
             {"failureDetection",
              {{"heartbeatInterval", to_text(spec.heartbeat_interval)}, {"downAfter", to_text(spec.down_after)}}},
             {"drainTimeout", to_text(spec.drain_timeout)},
             {"logLevel", spec.log_level},
             {"classes", classes}});
  return std::string(out.c_str()) + "\n";
}

std::size_t config_map_bytes(const json& klass) {
  YAML::Emitter out;
  emit(out, {{"classes", json::array({klass})}});  // where it will stand: its indentation may outweigh a script
  constexpr std::size_t separator = 1;
  return out.size() + klass.dump().size() + separator;
}

json build_config_map(const situation& now, const std::string& config, const json& classes) {
  json out = owned_object(kube::resources::config_maps, now.mesh, now.names.config(), "config");
  // config.yaml is for the sidecars; classes.json is how the operator remembers what it accepted last.
  out["data"] = {{"config.yaml", config}, {"classes.json", classes.dump()}};
  return out;
}

json delivered_classes(const observed& seen) {
  const object_names names{std::string(kube::name_of(*seen.mesh))};
  const auto* config = find_object(seen.config_maps, names.config());
  if (config == nullptr) return json::array();
  auto parsed = json::parse(kube::text_at(*config, {"data", "classes.json"}), nullptr, false);
  return parsed.is_array() ? parsed : json::array();
}

std::string hash_of_files(std::string_view config, const json& certificate_secret) {
  std::string all(config);
  for (const std::string_view key : {"tls.crt", "ca.crt"}) {
    all += '\0';
    all += kube::text_at(certificate_secret, {"data", key});
  }
  return short_hash(all);
}

}  // namespace orrery::plan
