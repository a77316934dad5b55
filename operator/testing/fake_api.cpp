#include "operator/testing/fake_api.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace orrery::op::testing {

namespace {

kube::response refuse(int code, const std::string& reason, const std::string& message) {
  return {.status = code,
          .body = json{{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", message}}.dump()};
}

kube::response accept(const json& object) { return {.status = 200, .body = object.dump()}; }

std::string collection_of(const kube::resource& kind) {
  const std::string prefix = kind.group.empty() ? "/api/" : "/apis/" + std::string(kind.group) + "/";
  return prefix + std::string(kind.version) + "/" + std::string(kind.plural);
}

}  // namespace

class fake_api::wire final : public kube::transport {
 public:
  explicit wire(fake_api& server) : server_(server) {}

  result<kube::response> send(const kube::request& what, const kube::call_options&) override {
    return server_.answer(what);
  }
  result<kube::response> stream(const kube::request&, const kube::stream_options& options,
                                const chunk_handler& on_chunk) override {
    on_chunk("");
    std::mutex waiting;
    std::condition_variable_any ends;
    std::unique_lock lock(waiting);
    ends.wait(lock, options.stop, [] { return false; });
    return fail(errc::cancelled, "stopped");
  }
  void refresh_credentials() override {}

 private:
  fake_api& server_;
};

std::unique_ptr<kube::transport> fake_api::carrier() { return std::make_unique<wire>(*this); }

std::string fake_api::key(const kube::resource& kind, const std::string& name) {
  return collection_of(kind) + "/" + name;
}

void fake_api::put(const kube::resource& kind, json object) {
  const std::lock_guard lock(mutex_);
  stamp(object);
  const auto path = key(kind, std::string(kube::name_of(object)));
  objects_[path] = std::move(object);
}

void fake_api::remove(const kube::resource& kind, const std::string& name) {
  const std::lock_guard lock(mutex_);
  objects_.erase(key(kind, name));
}

json fake_api::get(const kube::resource& kind, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key(kind, name));
  return found == objects_.end() ? json{} : found->second;
}

std::vector<json> fake_api::all(const kube::resource& kind) const {
  const std::lock_guard lock(mutex_);
  std::vector<json> out;
  const auto prefix = collection_of(kind) + "/";
  for (const auto& [path, object] : objects_) {
    if (path.starts_with(prefix)) out.push_back(object);
  }
  return out;
}

void fake_api::refuse_writes(const kube::resource& kind, std::string words) {
  const std::lock_guard lock(mutex_);
  const auto collection = collection_of(kind);
  refused_[collection] = words.empty() ? collection + " may not be written" : std::move(words);
}

void fake_api::accept_all() {
  const std::lock_guard lock(mutex_);
  refused_.clear();
}

fake_api::place fake_api::read(std::string path) {
  path = path.substr(0, path.find('?'));
  std::vector<std::string> parts;
  for (std::size_t at = 1; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  const std::size_t head = parts.at(0) == "api" ? 2 : 3;  // api/v1 or apis/group/version
  place out;
  for (std::size_t i = 0; i < head; ++i)
    out.collection += "/" + parts.at(i);
  auto rest = std::vector<std::string>(parts.begin() + static_cast<std::ptrdiff_t>(head), parts.end());
  if (rest.size() > 2 && rest[0] == "namespaces") rest.erase(rest.begin(), rest.begin() + 2);
  out.collection += "/" + rest.at(0);
  if (rest.size() > 1) out.name = rest[1];
  if (rest.size() > 2) out.part = rest[2];
  return out;
}

void fake_api::stamp(json& object) {
  auto& metadata = object["metadata"];
  metadata["resourceVersion"] = std::to_string(++versions_);
  if (!metadata.contains("uid")) metadata["uid"] = "uid-" + std::to_string(versions_);
  if (!metadata.contains("creationTimestamp")) metadata["creationTimestamp"] = "2026-01-01T00:00:00Z";
}

kube::response fake_api::list(const std::string& collection) const {
  json out{{"metadata", {{"resourceVersion", std::to_string(versions_)}}}, {"items", json::array()}};
  for (const auto& [path, object] : objects_) {
    if (path.starts_with(collection + "/")) out["items"].push_back(object);
  }
  return accept(out);
}

kube::response fake_api::write(const kube::request& what, const place& at) {
  if (on_write && at.collection != collection_of(kube::resources::events)) on_write(what);
  if (const auto no = refused_.find(at.collection); no != refused_.end()) return refuse(403, "Forbidden", no->second);
  auto body = json::parse(what.body.empty() ? "{}" : what.body);
  const auto name = at.name.empty() ? std::string(kube::name_of(body)) : at.name;
  const auto path = at.collection + "/" + name;
  const auto found = objects_.find(path);
  if (what.method == "POST") {
    if (found != objects_.end()) return refuse(409, "AlreadyExists", name + " already exists");
    stamp(body);
    if (what.path.find("dryRun") == std::string::npos) objects_[path] = body;
    return accept(body);
  }
  const bool applies = what.content_type.find("apply-patch") != std::string::npos;
  if (found == objects_.end() && !applies) return refuse(404, "NotFound", name + " not found");
  if (what.method == "DELETE") {
    const auto gone = accept(found->second);
    objects_.erase(found);
    return gone;
  }
  auto& object = objects_[path];
  if (what.method == "PUT") {
    object = std::move(body);
  } else {
    object.merge_patch(body);
  }
  stamp(object);
  return accept(object);
}

kube::response fake_api::answer(const kube::request& what) {
  const std::lock_guard lock(mutex_);
  const auto at = read(what.path);
  if (what.method != "GET") return write(what, at);
  if (at.name.empty()) return list(at.collection);
  const auto found = objects_.find(at.collection + "/" + at.name);
  return found == objects_.end() ? refuse(404, "NotFound", at.name + " not found") : accept(found->second);
}

}  // namespace orrery::op::testing
