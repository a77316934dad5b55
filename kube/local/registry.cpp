#include "kube/local/registry.hpp"

#include "kube/local/apply.hpp"
#include "kube/local/builtin_rules.hpp"
#include "kube/local/patch.hpp"
#include "kube/local/schema.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

/// As etcd and the API server have it.
constexpr std::size_t object_bytes_max = 1'572'864;

object_key key_for(const resource_info& info, const std::string& space, const std::string& name) {
  return {.bucket = info.bucket(), .space = info.namespaced ? space : "", .name = name};
}

/// The object in the version that was asked for: versions of one kind differ in name only (no conversion).
object_ptr in_version(const resource_info& info, const object_ptr& object) {
  if (!object || text_at(*object, {"apiVersion"}) == info.api_version()) return object;
  json copy = *object;
  copy["apiVersion"] = info.api_version();
  return std::make_shared<const json>(std::move(copy));
}

json without_bookkeeping(json object) {
  auto* meta = find(object, {"metadata"});
  if (meta == nullptr) return object;
  meta->erase("managedFields");
  meta->erase("resourceVersion");
  meta->erase("generation");
  return object;
}

json spec_part(json object) {
  object.erase("metadata");
  object.erase("status");
  return object;
}

bool has_finalizers(const json& object) { return !list_at(object, {"metadata", "finalizers"}).empty(); }

/// Deletion was asked for and nothing holds the object any longer.
bool is_done(const json& object) {
  if (!is_deleting(object) || has_finalizers(object)) return false;
  if (text_at(object, {"kind"}) == "Namespace" && !list_at(object, {"spec", "finalizers"}).empty()) return false;
  return number_at(object, {"metadata", "deletionGracePeriodSeconds"}) == 0;
}

void keep(const json& before, json& after, const char* field) {
  if (before.contains(field)) {
    after[field] = before[field];
  } else {
    after.erase(field);
  }
}

}  // namespace

registry::registry(store& objects, catalog& kinds, clock now)
    : objects_(objects), kinds_(kinds), now_(std::move(now)) {}

reply<object_ptr> registry::get(const resource_info& info, const std::string& space, const std::string& name) const {
  const auto found = objects_.get(key_for(info, space, name));
  if (!found) return not_found(info.plural, info.group, name);
  return in_version(info, found);
}

reply<void> registry::admit_create(const resource_info& info, const std::string& space, json& object) const {
  if (!object.is_object()) return bad_request("the body is not an object: a " + info.kind + " was expected");
  auto& meta = object["metadata"];
  if (!meta.is_object()) meta = json::object();
  if (info.namespaced) {
    if (const auto given = text_at(meta, {"namespace"}); !given.empty() && given != space) {
      return bad_request("the namespace of the provided object does not match the namespace sent on the request (\"" +
                         given + "\" and \"" + space + "\")");
    }
    meta["namespace"] = space;
    const auto home = objects_.get({"namespaces", "", space});
    if (!home) return not_found("namespaces", "", space);
    if (is_deleting(*home)) {
      return refuse(403, "Forbidden",
                    info.plural + " \"" + text_at(meta, {"name"}) +
                        "\" is forbidden: unable to create new content in namespace " + space +
                        " because it is being terminated");
    }
  } else {
    meta.erase("namespace");
  }
  if (text_at(meta, {"name"}).empty()) {
    const auto prefix = text_at(meta, {"generateName"});
    if (prefix.empty()) {
      return invalid(info.kind, info.group, "",
                     {{"metadata.name", "FieldValueRequired", "Required value: name or generateName is required"}});
    }
    meta["name"] = prefix + random_suffix(5);
  }
  const auto name = text_at(meta, {"name"});
  if (const auto wrong = name_error(name); !wrong.empty() && info.group != "rbac.authorization.k8s.io") {
    return invalid(info.kind, info.group, name,
                   {{"metadata.name", "FieldValueInvalid", "Invalid value: \"" + name + "\": " + wrong}});
  }
  if (info.bucket() == "pods") {
    const auto account =
        text_at(object, {"spec", "serviceAccountName"}, text_at(object, {"spec", "serviceAccount"}, "default"));
    if (!objects_.get({"serviceaccounts", space, account})) {
      return refuse(403, "Forbidden",
                    "pods \"" + name + "\" is forbidden: error looking up service account " + space + "/" + account +
                        ": serviceaccount \"" + account + "\" not found");
    }
    if (object.contains("spec") && object["spec"].is_object()) object["spec"]["serviceAccountName"] = account;
  }
  return {};
}

reply<void> registry::check(const resource_info& info, const json& before, json& after,
                            const write_options& options) const {
  const auto unknown = prune(info.schema, after);
  if (options.fields == field_validation::strict && !unknown.empty()) {
    std::vector<std::string> texts;
    for (const auto& path : unknown)
      texts.push_back("unknown field \"" + path + "\"");
    return bad_request(info.kind + " in version \"" + info.version + "\" cannot be handled as a " + info.kind +
                       ": strict decoding error: " + join(texts, ", "));
  }
  if (options.fields == field_validation::warn && options.warnings != nullptr) {
    for (const auto& path : unknown)
      options.warnings->push_back("unknown field \"" + path + "\"");
  }
  const auto name = name_of(after);
  if (info.custom) {
    apply_defaults(info.schema, after);
    const auto wrong = validate(info.schema, after);
    if (!wrong.empty()) return invalid(info.kind, info.group, name, wrong);
    return {};
  }
  if (const auto wrong = first_type_error(info.schema, after); !wrong.empty()) {
    return bad_request(info.kind + " in version \"" + info.version + "\" cannot be handled as a " + info.kind + ": " +
                       wrong);
  }
  default_builtin(info, after);
  if (options.subresource == "status") return {};
  const auto wrong = validate_builtin(info, before, after);
  if (!wrong.empty()) return invalid(info.kind, info.group, name, wrong);
  return {};
}

reply<decision> registry::finish(const resource_info& info, const object_ptr& before, json after,
                                 const write_options& options) const {
  const auto name = name_of(*before);
  auto& meta = after["metadata"];
  if (!meta.is_object()) meta = json::object();
  const auto given = text_at(meta, {"resourceVersion"});
  if (!given.empty() && given != text_at(*before, {"metadata", "resourceVersion"}))
    return modified(info.plural, info.group, name);
  if (const auto uid = text_at(meta, {"uid"}); !uid.empty() && uid != uid_of(*before)) {
    auto failure = modified(info.plural, info.group, name).value();
    failure.message = "Operation cannot be fulfilled on " + info.bucket() + " \"" + name +
                      "\": Precondition failed: UID in precondition: " + uid +
                      ", UID in object meta: " + uid_of(*before);
    return tl::unexpected(std::move(failure));
  }
  if (const auto other = text_at(meta, {"name"}); !other.empty() && other != name) {
    return bad_request("the name of the object (" + other + ") does not match the name on the URL (" + name + ")");
  }
  if (options.subresource == "status") {
    json whole = *before;
    keep(after, whole, "status");
    if (meta.contains("managedFields")) whole["metadata"]["managedFields"] = meta["managedFields"];
    after = std::move(whole);
  } else if (info.has_status) {
    keep(*before, after, "status");
  }
  after["apiVersion"] = info.api_version();
  after["kind"] = info.kind;
  const auto& was = before->at("metadata");
  auto& now = after["metadata"];
  for (const char* field : {"name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp",
                            "deletionGracePeriodSeconds", "generateName", "resourceVersion"}) {
    keep(was, now, field);
  }
  if (auto good = check(info, *before, after, options); !good) return tl::unexpected(good.error());

  if (is_deleting(*before)) {
    for (const auto& each : list_at(after, {"metadata", "finalizers"})) {
      const auto& old = list_at(*before, {"metadata", "finalizers"});
      if (std::find(old.begin(), old.end(), each) == old.end()) {
        return invalid(
            info.kind, info.group, name,
            {{"metadata.finalizers", "FieldValueForbidden",
              "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers [" +
                  each.dump() + "]"}});
      }
    }
  }
  if (is_done(after)) return decision{decision::action::remove, std::move(after)};
  if (without_bookkeeping(after) == without_bookkeeping(*before)) {
    const bool same_owners =
        list_at(after, {"metadata", "managedFields"}).size() == list_at(*before, {"metadata", "managedFields"}).size();
    if (same_owners) return decision{};
  }
  if (info.has_generation && options.subresource.empty() && spec_part(after) != spec_part(*before)) {
    after["metadata"]["generation"] = number_at(*before, {"metadata", "generation"}) + 1;
  }
  if (after.dump().size() > object_bytes_max) {
    return refuse(413, "RequestEntityTooLarge",
                  "the object is larger than " + std::to_string(object_bytes_max) + " bytes");
  }
  return decision{decision::action::put, std::move(after)};
}

reply<object_ptr> registry::create(const resource_info& info, const std::string& space, json object,
                                   const write_options& options) {
  if (auto good = admit_create(info, space, object); !good) return tl::unexpected(good.error());
  auto& meta = object["metadata"];
  if (!text_at(meta, {"resourceVersion"}).empty())
    return bad_request("resourceVersion should not be set on objects to be created");
  object["apiVersion"] = info.api_version();
  object["kind"] = info.kind;
  for (const char* field : {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"})
    meta.erase(field);
  if (info.has_status && !options.manager.empty()) object.erase("status");
  meta["uid"] = new_uid();
  meta["creationTimestamp"] = rfc3339(now_());
  if (info.has_generation) meta["generation"] = 1;
  if (auto good = check(info, nullptr, object, options); !good) return tl::unexpected(good.error());
  if (!options.manager.empty() && list_at(object, {"metadata", "managedFields"}).empty()) {
    track_update(info.schema, nullptr, object, {options.manager, info.api_version(), "", rfc3339(now_())});
  }
  if (object.dump().size() > object_bytes_max) {
    return refuse(413, "RequestEntityTooLarge",
                  "the object is larger than " + std::to_string(object_bytes_max) + " bytes");
  }
  const auto name = name_of(object);
  const auto key = key_for(info, space, name);
  if (options.dry_run) {
    if (objects_.get(key)) return already_exists(info.plural, info.group, name);
    return std::make_shared<const json>(std::move(object));
  }
  auto made = objects_.write(key, [&](const object_ptr& before) -> reply<decision> {
    if (before) return already_exists(info.plural, info.group, name);
    return decision{decision::action::put, std::move(object)};
  });
  if (made) written(info, *made);
  return made;
}

reply<object_ptr> registry::update(const resource_info& info, const std::string& space, const std::string& name,
                                   const json& object, const write_options& options) {
  if (!object.is_object()) return bad_request("the body is not an object: a " + info.kind + " was expected");
  object_ptr dry;
  auto done = objects_.write(key_for(info, space, name), [&](const object_ptr& before) -> reply<decision> {
    if (!before) return not_found(info.plural, info.group, name);
    json after = object;
    if (!options.manager.empty()) {
      if (!after.contains("metadata") || !after["metadata"].is_object()) after["metadata"] = json::object();
      json scoped = after;
      if (options.subresource == "status") {
        scoped = *before;
        keep(after, scoped, "status");
      } else if (info.has_status) {
        keep(*before, scoped, "status");
      }
      track_update(info.schema, *before, scoped,
                   {options.manager, info.api_version(), options.subresource, rfc3339(now_())});
      keep(scoped["metadata"], after["metadata"], "managedFields");
    }
    auto decided = finish(info, before, std::move(after), options);
    if (decided && options.dry_run) {
      dry = decided->what == decision::action::keep ? before : std::make_shared<const json>(std::move(decided->object));
      return decision{};
    }
    return decided;
  });
  if (done && dry) return dry;
  if (done) written(info, *done);
  return done ? reply<object_ptr>(in_version(info, *done)) : done;
}

reply<object_ptr> registry::patch(const resource_info& info, const std::string& space, const std::string& name,
                                  patch_type type, const json& body, const write_options& options, bool* created) {
  const field_manager manager{options.manager, info.api_version(), options.subresource, rfc3339(now_())};
  if (type == patch_type::apply) {
    if (text_at(body, {"apiVersion"}) != info.api_version() || text_at(body, {"kind"}) != info.kind) {
      return bad_request("an apply needs apiVersion: " + info.api_version() + " and kind: " + info.kind +
                         " in its body, and had apiVersion: \"" + text_at(body, {"apiVersion"}) + "\", kind: \"" +
                         text_at(body, {"kind"}) + "\"");
    }
    if (!list_at(body, {"metadata", "managedFields"}).empty()) return bad_request("metadata.managedFields must be nil");
    json scoped = body;
    if (const auto* schema = field_schema(info.schema, "status");
        options.subresource.empty() && info.has_status && schema != nullptr) {
      scoped.erase("status");
    }
    if (auto wrong = first_type_error(info.schema, scoped); !wrong.empty() && !info.custom) {
      return refuse(500, "InternalError",
                    "failed to create typed patch object (" + space + "/" + name + "; " + info.api_version() +
                        ", Kind=" + info.kind + "): " + wrong);
    }
    if (!objects_.get(key_for(info, space, name)) && options.subresource.empty()) {
      if (text_at(scoped, {"metadata", "name"}).empty()) scoped["metadata"]["name"] = name;
      auto fresh = apply_config(info.schema, nullptr, scoped, manager, options.force);
      if (!fresh) return tl::unexpected(fresh.error());
      auto made = create(info, space, std::move(*fresh), options);
      if (made && created != nullptr) *created = true;
      if (made || made.error().reason != "AlreadyExists") return made;
    }
  }
  object_ptr dry;
  auto done = objects_.write(key_for(info, space, name), [&](const object_ptr& stored) -> reply<decision> {
    if (!stored) return not_found(info.plural, info.group, name);
    const auto before = in_version(info, stored);
    reply<json> after = json();
    switch (type) {
      case patch_type::operations:
        after = json_patch(*before, body);
        break;
      case patch_type::merge:
        after = merge_patch(*before, body);
        break;
      case patch_type::strategic:
        after = strategic_merge_patch(info.schema, *before, body);
        break;
      case patch_type::apply: {
        json scoped = body;
        if (options.subresource == "status") {
          scoped = {{"apiVersion", body["apiVersion"]}, {"kind", body["kind"]}, {"metadata", {{"name", name}}}};
          if (body.contains("status")) scoped["status"] = body["status"];
          if (const auto version = text_at(body, {"metadata", "resourceVersion"}); !version.empty())
            scoped["metadata"]["resourceVersion"] = version;
        } else if (info.has_status) {
          scoped.erase("status");
        }
        after = apply_config(info.schema, *before, scoped, manager, options.force);
        break;
      }
    }
    if (!after) return tl::unexpected(after.error());
    if (!after->is_object()) return bad_request("the patch does not leave an object");
    if (type != patch_type::apply && !options.manager.empty()) {
      json scoped = *after;
      if (options.subresource == "status") {
        scoped = *before;
        keep(*after, scoped, "status");
      } else if (info.has_status) {
        keep(*before, scoped, "status");
      }
      if (!scoped.contains("metadata") || !scoped["metadata"].is_object()) scoped["metadata"] = json::object();
      track_update(info.schema, *before, scoped, manager);
      if (!after->contains("metadata") || !(*after)["metadata"].is_object()) (*after)["metadata"] = json::object();
      keep(scoped["metadata"], (*after)["metadata"], "managedFields");
    }
    auto decided = finish(info, before, std::move(*after), options);
    if (decided && options.dry_run) {
      dry = decided->what == decision::action::keep ? before : std::make_shared<const json>(std::move(decided->object));
      return decision{};
    }
    return decided;
  });
  if (done && dry) return dry;
  if (done) written(info, *done);
  return done ? reply<object_ptr>(in_version(info, *done)) : done;
}

reply<registry::removed> registry::remove(const resource_info& info, const std::string& space, const std::string& name,
                                          const delete_options& options) {
  bool pending = false;
  object_ptr dry;
  auto done = objects_.write(key_for(info, space, name), [&](const object_ptr& before) -> reply<decision> {
    if (!before) return not_found(info.plural, info.group, name);
    if ((!options.uid.empty() && options.uid != uid_of(*before)) ||
        (!options.resource_version.empty() &&
         options.resource_version != text_at(*before, {"metadata", "resourceVersion"}))) {
      auto failure = modified(info.plural, info.group, name).value();
      failure.message = "Operation cannot be fulfilled on " + info.bucket() + " \"" + name +
                        "\": Precondition failed: the object is another one or has changed";
      return tl::unexpected(std::move(failure));
    }
    json after = *before;
    auto& meta = after["metadata"];
    const bool deleting = meta.contains("deletionTimestamp");
    std::int64_t grace = 0;
    if (info.bucket() == "pods") {
      const auto phase = text_at(after, {"status", "phase"});
      const bool running = !text_at(after, {"spec", "nodeName"}).empty() && phase != "Succeeded" && phase != "Failed";
      grace = options.grace_seconds.value_or(number_at(after, {"spec", "terminationGracePeriodSeconds"}, 30));
      if (!running || grace < 0) grace = 0;
      if (deleting) grace = std::min(grace, number_at(meta, {"deletionGracePeriodSeconds"}));
    }
    const auto add_finalizer = [&](const char* finalizer) {
      auto& list = meta["finalizers"];
      if (!list.is_array()) list = json::array();
      if (std::find(list.begin(), list.end(), json(finalizer)) == list.end()) list.push_back(finalizer);
    };
    if (!deleting && options.propagation == "Foreground") add_finalizer("foregroundDeletion");
    if (!deleting && options.propagation == "Orphan") add_finalizer("orphan");
    if (!deleting || grace < number_at(meta, {"deletionGracePeriodSeconds"})) {
      meta["deletionTimestamp"] = rfc3339(now_() + std::chrono::seconds(grace));
      meta["deletionGracePeriodSeconds"] = grace;
      if (info.has_generation && !deleting) meta["generation"] = number_at(meta, {"generation"}) + 1;
      if (info.bucket() == "namespaces") after["status"]["phase"] = "Terminating";
    }
    const bool over = is_done(after);
    pending = !over;
    if (options.dry_run) {
      dry = std::make_shared<const json>(std::move(after));
      return decision{};
    }
    if (over) return decision{decision::action::remove, std::move(after)};
    if (after == *before) return decision{};
    return decision{decision::action::put, std::move(after)};
  });
  if (!done) return tl::unexpected(done.error());
  if (dry) return removed{.object = dry, .pending = pending};
  written(info, *done);
  return removed{.object = in_version(info, *done), .pending = pending};
}

object_ptr registry::edit(const object_key& key, const std::function<void(json&)>& change) {
  const auto info = kinds_.find_bucket(key.bucket);
  auto done = objects_.write(key, [&](const object_ptr& before) -> reply<decision> {
    if (!before) return decision{};
    json after = *before;
    change(after);
    if (after == *before) return decision{};
    if (is_done(after)) return decision{decision::action::remove, std::move(after)};
    if (info && info->has_generation && spec_part(after) != spec_part(*before)) {
      after["metadata"]["generation"] = number_at(*before, {"metadata", "generation"}) + 1;
    }
    return decision{decision::action::put, std::move(after)};
  });
  if (!done) return nullptr;
  if (info && *done) written(*info, *done);
  return *done;
}

void registry::ensure(const std::string& bucket, const std::string& space, const json& object) {
  const auto info = kinds_.find_bucket(bucket);
  if (!info || objects_.get({bucket, info->namespaced ? space : "", name_of(object)})) return;
  write_options quiet;
  quiet.manager.clear();
  (void)create(*info, space, object, quiet);
}

void registry::written(const resource_info& info, const object_ptr& object) {
  if (!object || info.kind != "CustomResourceDefinition") return;
  const auto bucket = name_of(*object);
  if (!objects_.get({info.bucket(), "", bucket})) {
    kinds_.forget(bucket);
    return;
  }
  kinds_.define(*object);
  const auto time = rfc3339(now_());
  const auto condition = [&](const char* type, const char* reason, const char* message) {
    return json{
        {"type", type}, {"status", "True"}, {"lastTransitionTime", time}, {"reason", reason}, {"message", message}};
  };
  if (find(*object, {"status", "conditions"}) != nullptr &&
      map_at(*object, {"status", "acceptedNames"}) == map_at(*object, {"spec", "names"})) {
    return;
  }
  (void)objects_.write({info.bucket(), "", bucket}, [&](const object_ptr& before) -> reply<decision> {
    if (!before) return decision{};
    json after = *before;
    after["status"]["acceptedNames"] = map_at(after, {"spec", "names"});
    after["status"]["storedVersions"] = json::array();
    for (const auto& each : list_at(after, {"spec", "versions"})) {
      if (flag_at(each, {"storage"})) after["status"]["storedVersions"].push_back(text_at(each, {"name"}));
    }
    after["status"]["conditions"] =
        json::array({condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                     condition("Established", "InitialNamesAccepted", "the initial names have been accepted")});
    auto& finalizers = after["metadata"]["finalizers"];
    const char* cleanup = "customresourcecleanup.apiextensions.k8s.io";
    if (!finalizers.is_array()) finalizers = json::array();
    const bool deleting = after["metadata"].contains("deletionTimestamp");
    if (!deleting && std::find(finalizers.begin(), finalizers.end(), json(cleanup)) == finalizers.end())
      finalizers.push_back(cleanup);
    return decision{decision::action::put, std::move(after)};
  });
}

}  // namespace orrery::local
