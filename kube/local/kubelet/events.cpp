#include "kube/local/kubelet/events.hpp"

#include <functional>

namespace orrery::local {

namespace {

constexpr std::size_t note_bytes_max = 1024;

/// What a probe's program printed may be anything, but an object is UTF-8 and bounded.
std::string clean(const std::string& text) {
  const auto valid = json(text.substr(0, note_bytes_max)).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(valid).get<std::string>();
}

}  // namespace

void record_event(registry& objects, const json& pod, const std::string& type, const std::string& reason,
                  const std::string& raw_message) {
  const auto message = clean(raw_message);
  const auto space = namespace_of(pod);
  const auto name = name_of(pod) + "." + std::to_string(std::hash<std::string>{}(uid_of(pod) + reason + message));
  const auto now = rfc3339(objects.now());
  const object_key key{"events", space, name};
  if (objects.objects().get(key)) {
    objects.edit(key, [&](json& o) {
      o["count"] = number_at(o, {"count"}, 1) + 1;
      o["lastTimestamp"] = now;
    });
    return;
  }
  objects.ensure("events", space,
                 {{"metadata", {{"name", name}}},
                  {"involvedObject",
                   {{"apiVersion", "v1"},
                    {"kind", "Pod"},
                    {"namespace", space},
                    {"name", name_of(pod)},
                    {"uid", uid_of(pod)},
                    {"resourceVersion", text_at(pod, {"metadata", "resourceVersion"})}}},
                  {"type", type},
                  {"reason", reason},
                  {"message", message},
                  {"count", 1},
                  {"firstTimestamp", now},
                  {"lastTimestamp", now},
                  {"source", {{"component", "kubelet"}, {"host", text_at(pod, {"spec", "nodeName"})}}},
                  {"reportingComponent", "kubelet"},
                  {"reportingInstance", text_at(pod, {"spec", "nodeName"})}});
}

}  // namespace orrery::local
