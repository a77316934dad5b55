#include "kube/local/kubelet/environment.hpp"

#include "kube/local/selector.hpp"
#include "kube/local/util.hpp"
#include "mesh/base/base64.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

bool is_path_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-' || c == '/';
}

/// One key of a config map or secret, decoded; nullptr-like nothing when absent.
std::optional<std::string> value_of(const json& object, const std::string& bucket, const std::string& key) {
  const auto decoded = [](const json& text) -> std::optional<std::string> {
    auto out = base64_decode(text.get_ref<const std::string&>());
    return out ? std::optional(*std::move(out)) : std::nullopt;
  };
  const auto text = find(object, {"data", key});
  if (text != nullptr && text->is_string()) return bucket == "secrets" ? decoded(*text) : text->get<std::string>();
  const auto binary = find(object, {"binaryData", key});
  return binary != nullptr && binary->is_string() ? decoded(*binary) : std::nullopt;
}

result<void> add_all(const json& source, const lookup& find_object, std::map<std::string, std::string>& out) {
  for (const auto& [field, bucket] : {std::pair("configMapRef", "configmaps"), std::pair("secretRef", "secrets")}) {
    const auto* ref = find(source, {field});
    if (ref == nullptr) continue;
    const auto name = text_at(*ref, {"name"});
    const auto object = find_object(bucket, name);
    if (object.is_null() && !flag_at(*ref, {"optional"}))
      return fail(errc::not_found, std::string(bucket) + " \"" + name + "\" not found");
    for (const auto& [key, ignored] : map_at(object, {"data"}).items()) {
      if (const auto value = value_of(object, bucket, key)) out[text_at(source, {"prefix"}) + key] = *value;
    }
  }
  return {};
}

result<std::optional<std::string>> from_source(const json& pod, const json& container, const json& source,
                                               const lookup& find_object) {
  if (const auto* ref = find(source, {"fieldRef"})) {
    auto value = pod_field(pod, text_at(*ref, {"fieldPath"}));
    if (!value) return fail(value.error());
    return std::optional(*value);
  }
  if (const auto* ref = find(source, {"resourceFieldRef"})) {
    const auto* value = at_dotted(container, "resources." + text_at(*ref, {"resource"}));
    return std::optional(value == nullptr ? "0" : value->is_string() ? value->get<std::string>() : value->dump());
  }
  for (const auto& [field, bucket] :
       {std::pair("configMapKeyRef", "configmaps"), std::pair("secretKeyRef", "secrets")}) {
    const auto* ref = find(source, {field});
    if (ref == nullptr) continue;
    const auto name = text_at(*ref, {"name"});
    const auto key = text_at(*ref, {"key"});
    const auto object = find_object(bucket, name);
    auto value = object.is_null() ? std::nullopt : value_of(object, bucket, key);
    if (value || flag_at(*ref, {"optional"})) return value;
    if (object.is_null()) return fail(errc::not_found, std::string(bucket) + " \"" + name + "\" not found");
    return fail(errc::not_found, "couldn't find key " + key + " in " + bucket + " \"" + name + "\"");
  }
  return fail(errc::invalid_argument,
              "valueFrom has none of: fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef");
}

}  // namespace

std::string expand(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      out += text[at];
    } else if (text[at + 1] == '$') {
      out += '$';
      ++at;
    } else if (const auto close = text.find(')', at); text[at + 1] == '(' && close != std::string::npos) {
      const auto name = text.substr(at + 2, close - at - 2);
      const auto it = values.find(name);
      out += it == values.end() ? "$(" + name + ")" : it->second;
      at = close;
    } else {
      out += text[at];
    }
  }
  return out;
}

result<std::string> pod_field(const json& pod, const std::string& path) {
  for (const char* map : {"labels", "annotations"}) {
    const auto prefix = std::string("metadata.") + map;
    if (path == prefix) {
      std::string out;
      for (const auto& [key, value] : map_at(pod, {"metadata", map}).items())
        out += key + "=" + value.dump() + "\n";
      return out;
    }
    if (path.starts_with(prefix + "['") && path.ends_with("']")) {
      const auto key = path.substr(prefix.size() + 2, path.size() - prefix.size() - 4);
      return text_at(pod, {"metadata", map, key});
    }
  }
  if (path == "status.hostIP") return std::string("127.0.0.1");
  if (path == "status.podIPs") return text_at(pod, {"status", "podIP"});
  static const std::vector<std::string> known = {"metadata.name", "metadata.namespace",      "metadata.uid",
                                                 "spec.nodeName", "spec.serviceAccountName", "status.podIP"};
  if (std::find(known.begin(), known.end(), path) == known.end()) {
    return fail(errc::invalid_argument,
                "unsupported fieldPath: " + path +
                    "; accepted are: metadata.labels, metadata.annotations, status.hostIP, status.podIPs, " +
                    join(known, ", "));
  }
  const auto* value = at_dotted(pod, path);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

result<std::map<std::string, std::string>> container_environment(const json& pod, const json& container,
                                                                 const lookup& find_object) {
  std::map<std::string, std::string> out;
  for (const auto& source : list_at(container, {"envFrom"})) {
    if (auto done = add_all(source, find_object, out); !done) return fail(done.error());
  }
  for (const auto& each : list_at(container, {"env"})) {
    const auto name = text_at(each, {"name"});
    if (const auto* source = find(each, {"valueFrom"})) {
      auto value = from_source(pod, container, *source, find_object);
      if (!value) return fail(value.error());
      if (*value) out[name] = **value;
    } else {
      out[name] = expand(text_at(each, {"value"}), out);
    }
  }
  return out;
}

rewriter::rewriter(std::string pod_address, std::map<std::string, std::string> mounts)
    : address_(std::move(pod_address)) {
  for (auto& each : mounts) {
    auto path = each.first;
    while (path.size() > 1 && path.ends_with('/'))
      path.pop_back();
    if (path.size() > 1) mounts_.emplace_back(std::move(path), each.second);
  }
  std::stable_sort(mounts_.begin(), mounts_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

std::string rewriter::apply(const std::string& text) const {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = std::string_view(text).substr(at);
    const bool starts_path = at == 0 || !is_path_character(text[at - 1]);
    const auto mount = std::find_if(mounts_.begin(), mounts_.end(), [&](const auto& each) {
      if (!starts_path || !rest.starts_with(each.first)) return false;
      const auto end = rest.substr(each.first.size());
      return end.empty() || end.front() == '/' || !is_path_character(end.front());
    });
    if (mount != mounts_.end()) {
      out += mount->second;
      at += mount->first.size();
    } else if (rest.starts_with("127.0.0.1") &&
               (rest.size() == 9 || std::isdigit(static_cast<unsigned char>(rest[9])) == 0) &&
               (at == 0 || std::isdigit(static_cast<unsigned char>(text[at - 1])) == 0)) {
      out += address_;
      at += 9;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace orrery::local
