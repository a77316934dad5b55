#include "kube/local/api_target.hpp"
#include "kube/local/selector.hpp"
#include "kube/local/table.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

namespace orrery::local {
namespace {

using std::chrono::steady_clock;

/// How often a quiet stream looks whether its client is still there, and whether it was told to break.
constexpr auto look_interval = std::chrono::milliseconds(200);
constexpr auto bookmark_interval = std::chrono::seconds(5);
constexpr std::size_t batch_max = 256;

/// One watch: from a version on, until its client leaves.
class watcher {
 public:
  watcher(registry& objects, faults& broken, http_request request, resource_ptr info, std::string space,
          selector wanted)
      : registry_(objects),
        faults_(broken),
        request_(std::move(request)),
        info_(std::move(info)),
        space_(std::move(space)),
        wanted_(std::move(wanted)),
        shape_(presentation_of(request_)) {}

  /// Where to begin; 410 when that is no longer held.
  reply<void> begin() {
    const auto asked = request_.parameter("resourceVersion");
    if (asked.empty() || asked == "0") {
      auto all = registry_.objects().list(info_->bucket(), space_);
      at_ = all.version;
      initial_ = std::move(all.objects);
      return {};
    }
    if (!std::all_of(asked.begin(), asked.end(), [](char c) { return c >= '0' && c <= '9'; }) || asked.size() > 19) {
      return bad_request("resourceVersion is not one of this server's: " + asked);
    }
    at_ = std::stoull(asked);
    const auto held = registry_.objects().changes(info_->bucket(), at_, 1, steady_clock::now());
    if (!held) return tl::unexpected(held.error());
    return {};
  }

  void run(http_stream& stream) {
    const auto epoch = faults_.drop_epoch();
    auto timeout = std::chrono::seconds(3600);
    try {
      if (const auto text = request_.parameter("timeoutSeconds"); !text.empty())
        timeout = std::chrono::seconds(std::stoll(text));
    } catch (const std::exception&) {
      timeout = std::chrono::seconds(3600);
    }
    const auto end = steady_clock::now() + timeout;
    auto next_bookmark = steady_clock::now() + bookmark_interval;
    for (const auto& each : initial_) {
      if (wanted_.matches(*each) && !stream.write(line("ADDED", *each))) return;
    }
    initial_.clear();
    while (stream.open() && steady_clock::now() < end) {
      if (broken(epoch)) return stream.abort();
      if (registry_.objects().stopped()) return;
      const auto reached = registry_.objects().version();
      auto changes = registry_.objects().changes(info_->bucket(), at_, batch_max,
                                                 std::min(end, steady_clock::now() + look_interval));
      if (!changes) {
        stream.write(json{{"type", "ERROR"}, {"object", to_status(changes.error())}}.dump() + "\n");
        return;
      }
      if (!send(stream, *changes)) return;
      if (changes->empty()) at_ = std::max(at_, reached);
      if (steady_clock::now() < next_bookmark) continue;
      next_bookmark = steady_clock::now() + bookmark_interval;
      if (request_.flag("allowWatchBookmarks") && !stream.write(bookmark())) return;
    }
    if (request_.flag("allowWatchBookmarks")) stream.write(bookmark());
  }

 private:
  bool broken(std::uint64_t epoch) const {
    const auto plan = faults_.plan();
    if (faults_.drop_epoch() != epoch) return true;
    if (!plan.user_agent.empty() && request_.header("user-agent").find(plan.user_agent) == std::string::npos)
      return false;
    if (plan.outage) return true;
    const auto per_look = plan.drop_rate * std::chrono::duration<double>(look_interval).count();
    return plan.drop_rate > 0 && random_unit() < per_look;
  }

  bool send(http_stream& stream, const std::vector<store_event>& changes) {
    std::string out;
    for (const auto& each : changes) {
      at_ = each.version;
      if (!space_.empty() && namespace_of(*each.object) != space_) continue;
      // What leaves the selection is deleted for this client, and what enters it is added.
      const bool now = each.kind != change::deleted && wanted_.matches(*each.object);
      const bool before = each.before && wanted_.matches(*each.before);
      if (!now && !before) continue;
      out += line(!now ? "DELETED" : before ? "MODIFIED" : "ADDED", *each.object);
    }
    return out.empty() || stream.write(out);
  }

  std::string line(const char* type, const json& object) const {
    json shown = object;
    if (text_at(shown, {"apiVersion"}) != info_->api_version()) shown["apiVersion"] = info_->api_version();
    if (shape_ == presentation::table) {
      const auto include =
          request_.parameter("includeObject") == "Object" ? include_object::whole : include_object::metadata;
      const auto version = text_at(object, {"metadata", "resourceVersion"});
      shown = to_table(*info_, {std::make_shared<const json>(std::move(shown))}, {{"resourceVersion", version}},
                       include, registry_.now());
    } else if (shape_ == presentation::partial) {
      shown = to_partial(object);
    }
    return json{{"type", type}, {"object", std::move(shown)}}.dump(-1, ' ', false, json::error_handler_t::replace) +
           "\n";
  }

  std::string bookmark() const {
    const json object = {{"kind", info_->kind},
                         {"apiVersion", info_->api_version()},
                         {"metadata", {{"resourceVersion", std::to_string(at_)}, {"creationTimestamp", nullptr}}}};
    return json{{"type", "BOOKMARK"}, {"object", object}}.dump() + "\n";
  }

  registry& registry_;
  faults& faults_;
  http_request request_;
  resource_ptr info_;
  std::string space_;
  selector wanted_;
  presentation shape_;
  std::uint64_t at_ = 0;
  std::vector<object_ptr> initial_;
};

/// What a request for a log asks for.
struct log_query {
  std::string path;
  bool follow = false;
  bool timestamps = false;
  std::int64_t tail = -1;
  std::int64_t bytes_max = -1;
  std::optional<wall_time> since;
};

/// Drops "2026-01-01T00:00:00.000000000Z " from the front of a stored line unless it is wanted.
std::optional<std::string> shown_line(const std::string& stored, const log_query& query) {
  const auto space = stored.find(' ');
  if (space == std::string::npos) return stored;
  if (query.since) {
    const auto at = parse_rfc3339(std::string_view(stored).substr(0, space));
    if (at && *at < *query.since) return std::nullopt;
  }
  return query.timestamps ? stored : stored.substr(space + 1);
}

std::string read_log(const log_query& query, std::streamoff& offset) {
  std::ifstream in(query.path, std::ios::binary);
  in.seekg(offset);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (in.eof()) break;  // a line that is still being written
    offset += static_cast<std::streamoff>(line.size()) + 1;
    if (auto shown = shown_line(line, query)) lines.push_back(std::move(*shown));
  }
  std::size_t first = 0;
  if (query.tail >= 0 && lines.size() > static_cast<std::size_t>(query.tail))
    first = lines.size() - static_cast<std::size_t>(query.tail);
  std::string out;
  for (; first < lines.size(); ++first)
    out += lines[first] + "\n";
  if (query.bytes_max >= 0 && out.size() > static_cast<std::size_t>(query.bytes_max))
    out.resize(static_cast<std::size_t>(query.bytes_max));
  return out;
}

/// The status of one container of a pod, of whatever kind; null when there is none.
json container_status(const json& pod, const std::string& name) {
  for (const char* field : {"containerStatuses", "initContainerStatuses"}) {
    for (const auto& each : list_at(pod, {"status", field})) {
      if (text_at(each, {"name"}) == name) return each;
    }
  }
  return nullptr;
}

std::vector<std::string> container_names(const json& pod) {
  std::vector<std::string> out;
  for (const char* field : {"containers", "initContainers"}) {
    for (const auto& each : list_at(pod, {"spec", field}))
      out.push_back(text_at(each, {"name"}));
  }
  return out;
}

}  // namespace

http_response api::watch(const http_request& request, const target& at) {
  auto wanted = selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"));
  if (!wanted) return answer(wanted.error());
  if (request.flag("sendInitialEvents")) {
    return answer(
        invalid("ListOptions", "meta.k8s.io", "",
                {{"sendInitialEvents", "FieldValueForbidden",
                  "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"}})
            .value());
  }
  http_response out;
  const auto plan = faults_.plan();
  if (plan.gone_rate > 0 && random_unit() < plan.gone_rate) {
    const auto gone = expired(0, registry_.objects().version()).value();
    if (random_unit() < 0.5) return answer(gone);
    out.stream = [text = json{{"type", "ERROR"}, {"object", to_status(gone)}}.dump() + "\n"](http_stream& stream) {
      stream.write(text);
    };
    return out;
  }
  const auto watching = std::make_shared<watcher>(registry_, faults_, request, at.info, at.space, std::move(*wanted));
  if (auto begun = watching->begin(); !begun) {
    if (begun.error().code != 410) return answer(begun.error());
    // As the API server does: 200, and the Status inside of the stream.
    out.stream = [text = json{{"type", "ERROR"}, {"object", to_status(begun.error())}}.dump() +
                         "\n"](http_stream& stream) { stream.write(text); };
    return out;
  }
  out.stream = [watching](http_stream& stream) { watching->run(stream); };
  return out;
}

namespace {

/// The container that is asked for, or the only one.
reply<std::string> container_of(const json& pod, const std::string& asked, const std::string& pod_name) {
  const auto names = container_names(pod);
  const auto choose = ", choose one of: [" + join(names, " ") + "]";
  if (asked.empty()) {
    if (list_at(pod, {"spec", "containers"}).size() == 1) return names.front();
    return bad_request("a container name must be specified for pod " + pod_name + choose);
  }
  if (std::find(names.begin(), names.end(), asked) != names.end()) return asked;
  return bad_request("container " + asked + " is not valid for pod " + pod_name + choose);
}

/// Which life's log is meant. They are numbered by restartCount. A container in back-off has no life of its own: its
/// last one is also the previous.
reply<std::int64_t> life_of(const json& status, bool previous, const std::string& container,
                            const std::string& pod_name) {
  const bool started =
      find(status, {"state", "running"}) != nullptr || find(status, {"state", "terminated"}) != nullptr;
  const bool ended_before = find(status, {"lastState", "terminated"}) != nullptr;
  if (previous && !ended_before) {
    return bad_request("previous terminated container \"" + container + "\" in pod \"" + pod_name + "\" not found");
  }
  if (!previous && !started && !ended_before) {
    return bad_request("container \"" + container + "\" in pod \"" + pod_name + "\" is waiting to start: " +
                       text_at(status, {"state", "waiting", "reason"}, "ContainerCreating"));
  }
  const auto life = number_at(status, {"restartCount"});
  return previous && started ? life - 1 : life;
}

}  // namespace

http_response api::log(const http_request& request, const target& at) {
  const auto pod = registry_.get(*at.info, at.space, at.name);
  if (!pod) return answer(pod.error());
  const auto container = container_of(**pod, request.parameter("container"), at.name);
  if (!container) return answer(container.error());
  const bool previous = request.flag("previous");
  const auto life = life_of(container_status(**pod, *container), previous, *container, at.name);
  if (!life) return answer(life.error());
  log_query query;
  query.path =
      options_.directory + "/pods/" + uid_of(**pod) + "/logs/" + *container + "/" + std::to_string(*life) + ".log";
  query.follow = request.flag("follow") && !previous;
  query.timestamps = request.flag("timestamps");
  try {
    if (const auto text = request.parameter("tailLines"); !text.empty()) query.tail = std::stoll(text);
    if (const auto text = request.parameter("limitBytes"); !text.empty()) query.bytes_max = std::stoll(text);
    if (const auto text = request.parameter("sinceSeconds"); !text.empty())
      query.since = registry_.now() - std::chrono::seconds(std::stoll(text));
  } catch (const std::exception&) {
    return answer(bad_request("tailLines, limitBytes and sinceSeconds are whole numbers").value());
  }
  if (const auto text = request.parameter("sinceTime"); !text.empty()) query.since = parse_rfc3339(text);
  http_response out;
  out.content_type = "text/plain";
  std::streamoff offset = 0;
  out.body = read_log(query, offset);
  if (!query.follow) return out;
  query.tail = -1;
  out.stream = [this, query, offset, life = *life, container = *container, first = std::move(out.body),
                key = object_key{"pods", at.space, at.name}](http_stream& stream) mutable {
    if (!first.empty() && !stream.write(first)) return;
    while (stream.open()) {
      const auto now = registry_.objects().get(key);
      const auto state = now ? container_status(*now, container) : json(nullptr);
      const bool over =
          !now || number_at(state, {"restartCount"}) > life || find(state, {"state", "terminated"}) != nullptr;
      const auto more = read_log(query, offset);
      if (!more.empty() && !stream.write(more)) return;
      if (over) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  };
  out.body.clear();
  return out;
}

http_response api::forward(const http_request& request, const target& at) {
  const auto pod = registry_.get(*at.info, at.space, at.name);
  if (!pod) return answer(pod.error());
  const auto upgrade = request.header("upgrade");
  const bool websocket = std::equal(upgrade.begin(), upgrade.end(), std::string_view("websocket").begin(),
                                    std::string_view("websocket").end(),
                                    [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  if (!websocket || request.header("sec-websocket-protocol").find("v4.channel.k8s.io") == std::string::npos) {
    return answer(
        bad_request("port-forward is served over WebSocket with the subprotocol v4.channel.k8s.io only").value());
  }
  const auto address = text_at(**pod, {"status", "podIP"});
  if (address.empty()) return answer(bad_request("pod " + at.name + " has no address yet").value());
  port_forward wanted{.address = address, .ports = {}};
  for (const auto& text : split(request.parameter("ports"), ',')) {
    const bool digits = !text.empty() && text.size() <= 5 &&
                        std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    const auto number = digits ? std::stoul(text) : 0;
    if (number == 0 || number > 65535)
      return answer(
          bad_request("ports=" + request.parameter("ports") + " is not a list of ports, e.g. ports=3600").value());
    wanted.ports.push_back(static_cast<std::uint16_t>(number));
  }
  http_response out;
  out.forward = std::move(wanted);
  return out;
}

}  // namespace orrery::local
