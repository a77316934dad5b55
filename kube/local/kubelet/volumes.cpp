#include "kube/local/kubelet/volumes.hpp"

#include "kube/local/util.hpp"
#include "mesh/base/base64.hpp"
#include "mesh/base/hash.hpp"

#include <filesystem>
#include <set>
#include <sys/stat.h>

namespace orrery::local {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const json& item, std::int64_t fallback) {
  return static_cast<unsigned>(number_at(item, {"mode"}, fallback)) & 0777U;
}

/// Files of one config map or secret; all keys, or those that `items` names.
result<void> add_object(const json& source, const std::string& bucket, const std::string& name, std::int64_t mode,
                        const lookup& find_object, volume_files& out) {
  const auto object = find_object(bucket, name);
  const bool optional = flag_at(source, {"optional"});
  if (object.is_null()) {
    if (optional) return {};
    return fail(errc::not_found, (bucket == "secrets" ? "secret \"" : "configmap \"") + name + "\" not found");
  }
  volume_files all;
  for (const auto& [key, value] : map_at(object, {"data"}).items()) {
    const auto text = value.is_string() ? value.get<std::string>() : "";
    all[key].data = bucket == "secrets" ? base64_decode(text).value_or("") : text;
  }
  for (const auto& [key, value] : map_at(object, {"binaryData"}).items())
    all[key].data = base64_decode(value.get<std::string>()).value_or("");
  const auto& items = list_at(source, {"items"});
  for (auto& [key, file] : all) {
    file.mode = static_cast<unsigned>(mode) & 0777U;
    if (items.empty()) out[key] = file;
  }
  for (const auto& item : items) {
    const auto it = all.find(text_at(item, {"key"}));
    if (it == all.end()) {
      if (optional) continue;
      return fail(errc::not_found,
                  "references non-existent key " + text_at(item, {"key"}) + " of " + bucket + " \"" + name + "\"");
    }
    it->second.mode = mode_of(item, mode);
    out[text_at(item, {"path"})] = it->second;
  }
  return {};
}

result<void> add_downward(const json& pod, const json& source, std::int64_t mode, volume_files& out) {
  for (const auto& item : list_at(source, {"items"})) {
    auto value = pod_field(pod, text_at(item, {"fieldRef", "fieldPath"}));
    if (!value) return fail(value.error());
    out[text_at(item, {"path"})] = {.data = *value, .mode = mode_of(item, mode)};
  }
  return {};
}

bool is_inside(const std::string& path) {
  const auto clean = fs::path(path).lexically_normal();
  return !path.empty() && clean.is_relative() && clean.begin()->string() != "..";
}

}  // namespace

bool follows_objects(const json& volume) {
  return volume.contains("configMap") || volume.contains("secret") || volume.contains("projected") ||
         volume.contains("downwardAPI");
}

std::string volume_directory(const json& volume, const std::string& root) {
  if (const auto* host = find(volume, {"hostPath"})) return text_at(*host, {"path"});
  return root + "/" + text_at(volume, {"name"});
}

std::string seen_directory(const json& volume, const std::string& directory) {
  constexpr std::size_t long_path = 80;
  if (!volume.contains("emptyDir") || directory.size() <= long_path) return directory;
  return fs::temp_directory_path() / ("orl-" + std::to_string(stable_hash(directory)));
}

void link_volume(const json& volume, const std::string& directory) {
  const auto link = seen_directory(volume, directory);
  std::error_code ignored;
  if (link == directory || fs::read_symlink(link, ignored) == directory) return;
  fs::remove(link, ignored);
  fs::create_directory_symlink(directory, link, ignored);
}

void unlink_volume(const json& volume, const std::string& directory) {
  const auto link = seen_directory(volume, directory);
  std::error_code ignored;
  if (link != directory) fs::remove(link, ignored);
}

result<volume_files> volume_content(const json& pod, const json& volume, const volume_sources& sources) {
  volume_files out;
  const auto finish = [&](const result<void>& done) -> result<volume_files> {
    if (!done) return fail(done.error());
    for (const auto& [path, ignored] : out) {
      if (!is_inside(path))
        return fail(errc::invalid_argument,
                    "volume \"" + text_at(volume, {"name"}) + "\" has a file outside of itself: " + path);
    }
    return out;
  };
  if (volume.contains("emptyDir") || volume.contains("hostPath")) return out;
  if (const auto* map = find(volume, {"configMap"}))
    return finish(add_object(*map, "configmaps", text_at(*map, {"name"}), number_at(*map, {"defaultMode"}, 0644),
                             sources.find_object, out));
  if (const auto* secret = find(volume, {"secret"}))
    return finish(add_object(*secret, "secrets", text_at(*secret, {"secretName"}),
                             number_at(*secret, {"defaultMode"}, 0644), sources.find_object, out));
  if (const auto* downward = find(volume, {"downwardAPI"}))
    return finish(add_downward(pod, *downward, number_at(*downward, {"defaultMode"}, 0644), out));
  const auto* projected = find(volume, {"projected"});
  if (projected == nullptr)
    return fail(errc::invalid_argument, "volume \"" + text_at(volume, {"name"}) +
                                            "\" is of a kind that this cluster does not have; accepted are: configMap, "
                                            "secret, emptyDir, downwardAPI, projected, hostPath");
  const auto mode = number_at(*projected, {"defaultMode"}, 0644);
  for (const auto& source : list_at(*projected, {"sources"})) {
    result<void> done;
    if (const auto* map = find(source, {"configMap"}))
      done = add_object(*map, "configmaps", text_at(*map, {"name"}), mode, sources.find_object, out);
    if (const auto* secret = find(source, {"secret"}))
      done = add_object(*secret, "secrets", text_at(*secret, {"name"}), mode, sources.find_object, out);
    if (const auto* downward = find(source, {"downwardAPI"})) done = add_downward(pod, *downward, mode, out);
    if (const auto* token = find(source, {"serviceAccountToken"}))
      out[text_at(*token, {"path"}, "token")] = {.data = sources.token(), .mode = 0600};
    if (!done) return finish(done);
  }
  return finish({});
}

result<void> write_volume(const std::string& directory, const volume_files& files) {
  std::error_code wrong;
  fs::create_directories(directory, wrong);
  const auto link = directory + "/..data";
  const auto old = fs::is_symlink(link, wrong) ? fs::read_symlink(link, wrong).string() : std::string();
  const auto fresh = "..v" + random_suffix(8);
  const auto broken = [&](const std::string& path) { return fail(errc::io, "cannot write " + path); };
  fs::create_directories(directory + "/" + fresh, wrong);
  std::set<std::string> tops;
  for (const auto& [path, file] : files) {
    const auto whole = directory + "/" + fresh + "/" + path;
    fs::create_directories(fs::path(whole).parent_path(), wrong);
    if (!write_file(whole, file.data)) return broken(whole);
    ::chmod(whole.c_str(), file.mode);
    tops.insert(fs::path(path).begin()->string());
  }
  const auto next_link = directory + "/..data_tmp";
  fs::remove(next_link, wrong);
  fs::create_symlink(fresh, next_link, wrong);
  fs::rename(next_link, link, wrong);
  if (wrong) return broken(link);
  for (const auto& top : tops) {
    const auto visible = directory + "/" + top;
    if (!fs::is_symlink(visible, wrong)) fs::create_symlink("..data/" + top, visible, wrong);
  }
  for (const auto& each : fs::directory_iterator(directory, wrong)) {
    const auto name = each.path().filename().string();
    if (!name.starts_with("..") && !tops.contains(name)) fs::remove(each.path(), wrong);
  }
  if (!old.empty()) fs::remove_all(directory + "/" + old, wrong);
  return {};
}

}  // namespace orrery::local
