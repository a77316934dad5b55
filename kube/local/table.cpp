#include "kube/local/table.hpp"

#include "kube/local/selector.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

struct column {
  std::string name;
  std::string type = "string";
  bool wide = false;
  std::string format = "";
  std::string description = "";
};

struct layout {
  std::vector<column> columns;
  std::function<json(const json& object)> cells;
};

class printer {
 public:
  explicit printer(wall_time now) : now_(now) {}

  layout layout_of(const resource_info& info) const {
    if (info.custom) return custom(info);
    const column name{.name = "Name", .format = "name"};
    const column age{.name = "Age"};
    const auto& kind = info.kind;
    if (kind == "Pod") {
      return {{name,
               {"Ready"},
               {"Status"},
               {.name = "Restarts"},
               age,
               {.name = "IP", .wide = true},
               {.name = "Node", .wide = true},
               {.name = "Nominated Node", .wide = true},
               {.name = "Readiness Gates", .wide = true}},
              [this](const json& o) { return pod(o); }};
    }
    if (kind == "Deployment") {
      return {{name,
               {"Ready"},
               {"Up-to-date"},
               {"Available"},
               age,
               {.name = "Containers", .wide = true},
               {.name = "Images", .wide = true},
               {.name = "Selector", .wide = true}},
              [this](const json& o) {
                return json{name_of(o),
                            count(o, "readyReplicas") + "/" + std::to_string(number_at(o, {"spec", "replicas"})),
                            number_at(o, {"status", "updatedReplicas"}),
                            number_at(o, {"status", "availableReplicas"}),
                            age_of(o),
                            containers(o, "name"),
                            containers(o, "image"),
                            selector_text(map_at(o, {"spec", "selector"}))};
              }};
    }
    if (kind == "ReplicaSet") {
      return {{name, {"Desired"}, {"Current"}, {"Ready"}, age}, [this](const json& o) {
                return json{name_of(o), number_at(o, {"spec", "replicas"}), number_at(o, {"status", "replicas"}),
                            number_at(o, {"status", "readyReplicas"}), age_of(o)};
              }};
    }
    if (kind == "Service") {
      return {{name, {"Type"}, {"Cluster-IP"}, {"External-IP"}, {"Port(s)"}, age, {.name = "Selector", .wide = true}},
              [this](const json& o) {
                std::vector<std::string> ports;
                for (const auto& port : list_at(o, {"spec", "ports"}))
                  ports.push_back(std::to_string(number_at(port, {"port"})) + "/" + text_at(port, {"protocol"}, "TCP"));
                return json{name_of(o),
                            text_at(o, {"spec", "type"}),
                            text_at(o, {"spec", "clusterIP"}, "None"),
                            "<none>",
                            or_none(join(ports, ",")),
                            age_of(o),
                            or_none(selector_text(map_at(o, {"spec", "selector"})))};
              }};
    }
    if (kind == "Node") {
      return {{name, {"Status"}, {"Roles"}, age, {"Version"}, {.name = "Internal-IP", .wide = true}},
              [this](const json& o) {
                const auto ready = select_path(o, ".status.conditions[?(@.type==\"Ready\")].status");
                const std::string cordoned = flag_at(o, {"spec", "unschedulable"}) ? ",SchedulingDisabled" : "";
                return json{name_of(o),
                            (ready == "True" ? "Ready" : "NotReady") + cordoned,
                            "<none>",
                            age_of(o),
                            text_at(o, {"status", "nodeInfo", "kubeletVersion"}),
                            select_path(o, ".status.addresses[0].address")};
              }};
    }
    if (kind == "Namespace") {
      return {{name, {"Status"}, age}, [this](const json& o) {
                return json{name_of(o), text_at(o, {"status", "phase"}), age_of(o)};
              }};
    }
    if (kind == "ConfigMap") {
      return {{name, {"Data"}, age}, [this](const json& o) {
                return json{name_of(o), map_at(o, {"data"}).size() + map_at(o, {"binaryData"}).size(), age_of(o)};
              }};
    }
    if (kind == "Secret") {
      return {{name, {"Type"}, {"Data"}, age}, [this](const json& o) {
                return json{name_of(o), text_at(o, {"type"}), map_at(o, {"data"}).size(), age_of(o)};
              }};
    }
    if (kind == "ServiceAccount") {
      return {{name, {"Secrets"}, age}, [this](const json& o) {
                return json{name_of(o), list_at(o, {"secrets"}).size(), age_of(o)};
              }};
    }
    if (kind == "Event") {
      return {{{"Last Seen"},
               {"Type"},
               {"Reason"},
               {"Object"},
               {.name = "Source", .wide = true},
               {"Message"},
               {.name = "Count", .wide = true},
               {.name = "Name", .wide = true}},
              [this](const json& o) {
                auto kind_name = text_at(o, {"involvedObject", "kind"});
                std::transform(kind_name.begin(), kind_name.end(), kind_name.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
                auto seen = text_at(o, {"lastTimestamp"},
                                    text_at(o, {"eventTime"}, text_at(o, {"metadata", "creationTimestamp"})));
                return json{since(seen),
                            text_at(o, {"type"}),
                            text_at(o, {"reason"}),
                            kind_name + "/" + text_at(o, {"involvedObject", "name"}),
                            text_at(o, {"source", "component"}, text_at(o, {"reportingComponent"})),
                            text_at(o, {"message"}),
                            number_at(o, {"count"}, 1),
                            name_of(o)};
              }};
    }
    if (kind == "Lease") {
      return {{name, {"Holder"}, age}, [this](const json& o) {
                return json{name_of(o), text_at(o, {"spec", "holderIdentity"}), age_of(o)};
              }};
    }
    if (kind == "EndpointSlice") {
      return {{name, {"AddressType"}, {"Ports"}, {"Endpoints"}, age}, [this](const json& o) {
                std::vector<std::string> ports;
                std::vector<std::string> addresses;
                for (const auto& port : list_at(o, {"ports"}))
                  ports.push_back(std::to_string(number_at(port, {"port"})));
                for (const auto& end : list_at(o, {"endpoints"}))
                  addresses.push_back(
                      text_at(list_at(end, {"addresses"}).empty() ? json() : json{{"a", end["addresses"][0]}}, {"a"}));
                return json{name_of(o), text_at(o, {"addressType"}), or_unset(join(ports, ",")),
                            or_unset(join(addresses, ",")), age_of(o)};
              }};
    }
    if (kind == "PodDisruptionBudget") {
      return {{name, {"Min Available"}, {"Max Unavailable"}, {"Allowed Disruptions"}, age}, [this](const json& o) {
                const auto* low = find(o, {"spec", "minAvailable"});
                const auto* high = find(o, {"spec", "maxUnavailable"});
                return json{name_of(o), low == nullptr ? json("N/A") : *low, high == nullptr ? json("N/A") : *high,
                            number_at(o, {"status", "disruptionsAllowed"}), age_of(o)};
              }};
    }
    if (kind.ends_with("RoleBinding")) {
      return {
          {name, {"Role"}, age}, [this](const json& o) {
            return json{name_of(o), text_at(o, {"roleRef", "kind"}) + "/" + text_at(o, {"roleRef", "name"}), age_of(o)};
          }};
    }
    if (kind.ends_with("Role") || kind == "CustomResourceDefinition") {
      return {{name, {"Created At"}}, [](const json& o) {
                return json{name_of(o), text_at(o, {"metadata", "creationTimestamp"})};
              }};
    }
    return {{name, age}, [this](const json& o) { return json{name_of(o), age_of(o)}; }};
  }

 private:
  static std::string or_none(std::string text) { return text.empty() ? "<none>" : text; }
  static std::string or_unset(std::string text) { return text.empty() ? "<unset>" : text; }
  static std::string count(const json& o, std::string_view field) {
    return std::to_string(number_at(o, {"status", field}));
  }

  std::string since(const std::string& time) const {
    const auto then = parse_rfc3339(time);
    return then ? human_duration(std::chrono::duration_cast<std::chrono::seconds>(now_ - *then)) : "<unknown>";
  }
  std::string age_of(const json& o) const { return since(text_at(o, {"metadata", "creationTimestamp"})); }

  static std::string containers(const json& o, const char* field) {
    std::vector<std::string> out;
    for (const auto& each : list_at(o, {"spec", "template", "spec", "containers"}))
      out.push_back(text_at(each, {field}));
    return join(out, ",");
  }

  json pod(const json& o) const {
    std::int64_t ready = 0;
    std::int64_t restarts = 0;
    std::string reason = text_at(o, {"status", "reason"}, text_at(o, {"status", "phase"}));
    std::size_t total = list_at(o, {"spec", "containers"}).size();
    std::size_t init_at = 0;
    for (const auto& each : list_at(o, {"spec", "initContainers"})) {
      if (text_at(each, {"restartPolicy"}) == "Always") ++total;
    }
    bool initializing = false;
    for (const auto& each : list_at(o, {"status", "initContainerStatuses"})) {
      restarts += number_at(each, {"restartCount"});
      if (flag_at(each, {"started"}) && flag_at(each, {"ready"}) && find(each, {"state", "running"}) != nullptr)
        ++ready;
      const bool finished =
          find(each, {"state", "terminated"}) != nullptr && number_at(each, {"state", "terminated", "exitCode"}) == 0;
      if (!finished && !flag_at(each, {"started"}) && !initializing) {
        initializing = true;
        const auto why =
            text_at(each, {"state", "waiting", "reason"}, text_at(each, {"state", "terminated", "reason"}));
        reason = why.empty() || why == "PodInitializing"
                     ? "Init:" + std::to_string(init_at) + "/" +
                           std::to_string(list_at(o, {"spec", "initContainers"}).size())
                     : "Init:" + why;
      }
      ++init_at;
    }
    for (const auto& each : list_at(o, {"status", "containerStatuses"})) {
      restarts += number_at(each, {"restartCount"});
      if (flag_at(each, {"ready"})) ++ready;
      if (initializing) continue;
      const auto waiting = text_at(each, {"state", "waiting", "reason"});
      const auto ended = text_at(each, {"state", "terminated", "reason"});
      if (!waiting.empty()) reason = waiting;
      if (!ended.empty()) reason = ended;
    }
    if (is_deleting(o)) reason = "Terminating";
    return {name_of(o),
            std::to_string(ready) + "/" + std::to_string(total),
            reason,
            std::to_string(restarts),
            age_of(o),
            or_none(text_at(o, {"status", "podIP"})),
            or_none(text_at(o, {"spec", "nodeName"})),
            "<none>",
            "<none>"};
  }

  layout custom(const resource_info& info) const {
    layout out;
    out.columns.push_back({.name = "Name", .format = "name"});
    const json columns =
        info.columns.is_array() && !info.columns.empty()
            ? info.columns
            : json::array({{{"name", "Age"}, {"type", "date"}, {"jsonPath", ".metadata.creationTimestamp"}}});
    for (const auto& each : columns) {
      out.columns.push_back({.name = text_at(each, {"name"}),
                             .type = text_at(each, {"type"}),
                             .wide = number_at(each, {"priority"}) > 0,
                             .description = text_at(each, {"description"})});
    }
    out.cells = [this, columns](const json& o) {
      json cells = json::array({name_of(o)});
      for (const auto& each : columns) {
        auto value = select_path(o, text_at(each, {"jsonPath"}));
        if (text_at(each, {"type"}) == "date" && value.is_string()) value = since(value.get<std::string>());
        if (value.is_structured()) value = value.dump();
        cells.push_back(std::move(value));
      }
      return cells;
    };
    return out;
  }

  wall_time now_;
};

/// One step of a JSONPath: [0], [*], ['x'] or [?(@.a=="b")] at `rest`'s begin, which it advances.
std::vector<json> bracket(const std::vector<json>& values, std::string_view& rest) {
  const auto close = rest.starts_with("[?(") ? rest.find(")]") + 1 : rest.find(']');
  if (close == std::string_view::npos || close == 0) {
    rest = {};
    return {};
  }
  const auto inside = rest.substr(1, close - 1);
  rest.remove_prefix(close + 1);
  std::vector<json> out;
  for (const auto& value : values) {
    if (inside == "*") {
      if (value.is_array()) out.insert(out.end(), value.begin(), value.end());
    } else if (inside.starts_with("?(@")) {
      const auto equal = inside.find("==");
      if (equal == std::string_view::npos) continue;
      auto path = inside.substr(3, equal - 3);
      auto wanted = inside.substr(equal + 2);
      if (wanted.ends_with(')')) wanted.remove_suffix(1);
      while (path.ends_with(' '))
        path.remove_suffix(1);
      while (wanted.starts_with(' '))
        wanted.remove_prefix(1);
      if (wanted.size() >= 2) wanted = wanted.substr(1, wanted.size() - 2);
      for (const auto& item : value.is_array() ? value : json::array()) {
        const auto* at = at_dotted(item, path);
        if (at != nullptr && at->is_string() && at->get<std::string>() == wanted) out.push_back(item);
      }
    } else if (inside.starts_with('\'') || inside.starts_with('"')) {
      const std::string field(inside.substr(1, inside.size() - 2));
      if (value.is_object() && value.contains(field)) out.push_back(value[field]);
    } else if (value.is_array() && !inside.empty() &&
               std::all_of(inside.begin(), inside.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      const auto at = std::stoul(std::string(inside.substr(0, 9)));
      if (at < value.size()) out.push_back(value[at]);
    }
  }
  return out;
}

}  // namespace

json select_path(const json& object, std::string_view path) {
  std::vector<json> values = {object};
  while (!path.empty() && !values.empty()) {
    if (path.front() == '[') {
      values = bracket(values, path);
      continue;
    }
    if (path.front() == '.') path.remove_prefix(1);
    std::string field;
    std::size_t used = 0;
    for (; used < path.size() && path[used] != '.' && path[used] != '['; ++used) {
      if (path[used] == '\\' && used + 1 < path.size()) ++used;
      field += path[used];
    }
    path.remove_prefix(used);
    if (field.empty()) continue;
    std::vector<json> next;
    for (const auto& value : values) {
      if (value.is_object() && value.contains(field)) next.push_back(value[field]);
    }
    values = std::move(next);
  }
  return values.empty() ? json(nullptr) : values.front();
}

std::string human_duration(std::chrono::seconds age) {
  const auto s = std::max<std::int64_t>(0, age.count());
  const auto two = [](std::int64_t big, const char* unit, std::int64_t small, const char* small_unit) {
    return std::to_string(big) + unit + (small > 0 ? std::to_string(small) + small_unit : "");
  };
  if (s < 120) return std::to_string(s) + "s";
  if (s < 600) return two(s / 60, "m", s % 60, "s");
  if (s < 3 * 3600) return std::to_string(s / 60) + "m";
  if (s < 8 * 3600) return two(s / 3600, "h", s % 3600 / 60, "m");
  if (s < 48 * 3600) return std::to_string(s / 3600) + "h";
  if (s < 8 * 86400) return two(s / 86400, "d", s % 86400 / 3600, "h");
  return std::to_string(s / 86400) + "d";
}

json to_partial(const json& object) {
  return {
      {"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}, {"metadata", map_at(object, {"metadata"})}};
}

json to_table(const resource_info& info, const std::vector<object_ptr>& objects, json metadata, include_object include,
              wall_time now) {
  const printer printing(now);
  const auto how = printing.layout_of(info);
  json columns = json::array();
  for (const auto& each : how.columns) {
    columns.push_back({{"name", each.name},
                       {"type", each.type.empty() ? "string" : each.type},
                       {"format", each.format},
                       {"description", each.description},
                       {"priority", each.wide ? 1 : 0}});
  }
  json rows = json::array();
  for (const auto& object : objects) {
    json row = {{"cells", how.cells(*object)}};
    if (include == include_object::metadata) row["object"] = to_partial(*object);
    if (include == include_object::whole) row["object"] = *object;
    rows.push_back(std::move(row));
  }
  return {{"kind", "Table"},
          {"apiVersion", "meta.k8s.io/v1"},
          {"metadata", std::move(metadata)},
          {"columnDefinitions", std::move(columns)},
          {"rows", std::move(rows)}};
}

}  // namespace orrery::local
