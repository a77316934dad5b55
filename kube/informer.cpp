#include "kube/informer.hpp"

#include "kube/client.hpp"
#include "kube/object_store.hpp"
#include "kube/pause.hpp"
#include "kube/watch_machine.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>

namespace orrery::kube {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds list_timeout{60};
constexpr std::chrono::seconds watch_silence{15};  // beyond the watch's own timeout

watch_machine_options machine_options(const informer_options& options) {
  auto longest = options.watch_timeout_min * 2;
  auto shortest = options.watch_timeout_min;
  if (options.resync.count() > 0) {  // a resync happens between watches
    longest = std::min(longest, options.resync);
    shortest = std::min(shortest, options.resync);
  }
  return {.backoff_min = options.backoff_min,
          .backoff_max = options.backoff_max,
          .watch_timeout_min = shortest,
          .watch_timeout_max = longest,
          .seed = options.seed != 0 ? options.seed : std::random_device{}()};
}

}  // namespace

struct informer::state {
  state(client& given_api, resource given_kind, informer_options given_options, informer_handlers given_handlers)
      : api(given_api),
        kind(given_kind),
        options(std::move(given_options)),
        handlers(std::move(given_handlers)),
        machine(machine_options(options)) {}

  client& api;
  const resource kind;
  const informer_options options;
  const informer_handlers handlers;
  object_store store;

  watch_machine machine;  // the thread's own
  clock::time_point next_resync{};

  mutable std::mutex mutex;  // guards health
  mutable std::condition_variable synced;
  informer_health health;

  std::jthread thread;  // last: ends before what it uses

  template <class Change>
  void note(Change change) {
    const std::lock_guard lock{mutex};
    change(health);
  }

  void note_contact() {
    note([](informer_health& now) {
      now.last_contact = clock::now();
      now.connected = true;
      now.last_error.clear();
    });
  }

  void note_failure(std::string why) {
    note([&why](informer_health& now) {
      ++now.failures;
      now.connected = false;
      now.last_error = std::move(why);
    });
  }

  object_ptr keep(json&& object) const {
    if (const auto metadata = object.find("metadata"); metadata != object.end() && metadata->is_object()) {
      metadata->erase("managedFields");
    }
    if (options.trim) options.trim(object);
    return std::make_shared<const json>(std::move(object));
  }

  void tell(const std::vector<store_change>& changes) const {
    for (const auto& [before, now] : changes) {
      if (!before) {
        if (handlers.added) handlers.added(now);
      } else if (!now) {
        if (handlers.removed) handlers.removed(before);
      } else if (handlers.updated) {
        handlers.updated(before, now);
      }
    }
  }

  void run(const std::stop_token& stop) {
    next_resync = clock::now() + options.resync;
    while (!stop.stop_requested()) {
      const auto action = machine.next();
      if (action.pause.count() > 0) pause_for(action.pause, stop);
      if (stop.stop_requested()) return;
      if (action.what == watch_machine::action::kind::list) {
        list(stop);
      } else {
        watch(action, stop);
      }
      resync(stop);
    }
  }

  void list(const std::stop_token& stop) {
    note([](informer_health& now) { ++now.lists; });
    list_options what;
    what.label_selector = options.label_selector;
    what.field_selector = options.field_selector;
    api_status refused;
    auto all = api.list_all(kind, options.ns, what, {.timeout = list_timeout, .stop = stop}, &refused);
    if (!all) {
      if (stop.stop_requested()) return;
      note_failure(all.error().context);
      machine.list_failed(refused);
      return;
    }
    note_contact();
    std::vector<object_ptr> objects;
    objects.reserve(all->items.size());
    for (auto& item : all->items) {
      item["apiVersion"] = api_version(kind);  // lists leave these out of their items
      item["kind"] = kind.kind;
      objects.push_back(keep(std::move(item)));
    }
    tell(store.replace(std::move(objects)));
    machine.listed(std::move(all->resource_version));
    bool first = false;
    note([&first](informer_health& now) { first = !std::exchange(now.synced, true); });
    if (!first) return;
    synced.notify_all();
    if (handlers.synced) handlers.synced();
  }

  void watch(const watch_machine::action& action, const std::stop_token& stop) {
    note([](informer_health& now) { ++now.watches; });
    const auto started = clock::now();
    const watch_options what{.label_selector = options.label_selector,
                             .field_selector = options.field_selector,
                             .resource_version = action.resource_version,
                             .timeout = action.timeout,
                             .bookmarks = true};
    const stream_options stream{
        .answer_timeout = list_timeout, .idle_timeout = action.timeout + watch_silence, .stop = stop};
    const auto end = api.watch(kind, options.ns, what, stream, [this, &stop](std::string_view line) {
      return !stop.stop_requested() && on_line(line);
    });
    if (stop.stop_requested()) return;
    const auto lasted = std::chrono::duration_cast<milliseconds>(clock::now() - started);
    if (!end) {
      note_failure(end.error().context);
      machine.watch_failed(lasted);
    } else if (end->refused) {
      note_failure("watch refused: HTTP " + std::to_string(end->status.code) + " " + end->status.message);
      machine.watch_refused(end->status);
    } else {
      machine.watch_ended(lasted);
    }
  }

  bool on_line(std::string_view line) {
    note_contact();
    if (line.empty()) return true;
    auto event = json::parse(line, nullptr, false);
    const auto object = event.is_object() ? event.find("object") : event.end();
    if (!event.is_object() || object == event.end() || !object->is_object()) {
      note_failure("watch: a line that is no event");
      machine.on_garbage();
      return false;
    }
    const std::string type{text_at(event, {"type"})};
    const bool is_error = type == "ERROR";
    const auto status = is_error ? parse_status(*object) : api_status{};
    switch (machine.on_event(type, resource_version_of(*object), status)) {
      case watch_machine::verdict::store:
        apply(type, std::move(*object));
        return true;
      case watch_machine::verdict::skip:
        note([](informer_health& now) { ++now.bookmarks; });
        return true;
      case watch_machine::verdict::end:
        note_failure("watch: " + status.reason + " " + status.message);
        return false;
    }
    return false;
  }

  void apply(std::string_view type, json&& object) {
    note([](informer_health& now) { ++now.events; });
    auto seen = keep(std::move(object));
    tell(type == "DELETED" ? store.erase(std::move(seen)) : store.upsert(std::move(seen)));
  }

  void resync(const std::stop_token& stop) {
    if (options.resync.count() == 0 || clock::now() < next_resync) return;
    next_resync = clock::now() + options.resync;
    if (!handlers.updated) return;
    for (const auto& object : store.list()) {
      if (stop.stop_requested()) return;
      handlers.updated(object, object);
    }
  }
};

informer::informer(client& api, resource kind, informer_options options, informer_handlers handlers)
    : state_(std::make_unique<state>(api, kind, std::move(options), std::move(handlers))) {}

informer::~informer() { stop(); }

void informer::start() {
  if (state_->thread.joinable()) return;
  state_->thread = std::jthread{[at = state_.get()](const std::stop_token& stop) { at->run(stop); }};
}

void informer::stop() {
  if (!state_->thread.joinable()) return;
  state_->thread.request_stop();
  state_->thread.join();
}

object_ptr informer::get(const object_key& key) const { return state_->store.get(key); }
std::vector<object_ptr> informer::list() const { return state_->store.list(); }
std::size_t informer::size() const { return state_->store.size(); }
bool informer::has_synced() const { return health().synced; }

bool informer::wait_synced(milliseconds timeout) const {
  std::unique_lock lock{state_->mutex};
  return state_->synced.wait_for(lock, timeout, [this] { return state_->health.synced; });
}

informer_health informer::health() const {
  const std::lock_guard lock{state_->mutex};
  return state_->health;
}

}  // namespace orrery::kube
