#include "kube/local/api_target.hpp"

#include <yaml-cpp/yaml.h>

#include <charconv>

namespace orrery::local {
namespace {

constexpr int depth_max = 100;

json scalar(const YAML::Node& node) {
  const auto& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text == "true" || text == "false") return text == "true";
  if (text.empty() || text == "~" || text == "null") return nullptr;
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  if (auto [rest, wrong] = std::from_chars(text.data(), end, whole); wrong == std::errc{} && rest == end) return whole;
  double number = 0;
  if (auto [rest, wrong] = std::from_chars(text.data(), end, number); wrong == std::errc{} && rest == end)
    return number;
  return text;
}

json convert(const YAML::Node& node, int depth) {
  if (depth > depth_max) throw YAML::Exception(node.Mark(), "nested too deeply");
  if (node.IsMap()) {
    json out = json::object();
    for (const auto& each : node)
      out[each.first.Scalar()] = convert(each.second, depth + 1);
    return out;
  }
  if (node.IsSequence()) {
    json out = json::array();
    for (const auto& each : node)
      out.push_back(convert(each, depth + 1));
    return out;
  }
  return node.IsScalar() ? scalar(node) : json(nullptr);
}

}  // namespace

reply<json> parse_yaml(const std::string& text) {
  try {
    return convert(YAML::Load(text), 0);
  } catch (const YAML::Exception& wrong) {
    return bad_request(std::string("the body is neither JSON nor YAML: ") + wrong.what());
  }
}

}  // namespace orrery::local
