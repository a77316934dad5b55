#include "kube/events.hpp"

#include "kube/client.hpp"
#include "kube/event_correlator.hpp"
#include "kube/timestamp.hpp"
#include "mesh/base/ids.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace orrery::kube {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t note_bytes_max = 1024;  // the API server's maximum
constexpr std::size_t name_bytes_max = 253;
constexpr milliseconds call_timeout{5'000};
constexpr milliseconds farewell{2'000};

struct occurrence {
  json regarding;
  std::string ns;
  event_type type;
  std::string reason;
  std::string message;
  wall_time when;

  [[nodiscard]] std::string object() const { return regarding.dump(-1, ' ', false, json::error_handler_t::replace); }
  [[nodiscard]] std::string identity() const {
    return object() + '\0' + reason + '\0' + message + '\0' + (type == event_type::normal ? "N" : "W");
  }
};

std::string suffix(wall_time when) {
  static std::atomic<unsigned> counter{0};
  std::array<char, 40> text{};
  const int length = std::snprintf(text.data(), text.size(), ".%llx%02x",
                                   static_cast<unsigned long long>(when.time_since_epoch().count()), counter++ & 0xFFU);
  return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

struct event_recorder::state {
  state(client& given_api, event_recorder_options given)
      : api(given_api), options(std::move(given)), correlator(options) {}

  client& api;
  const event_recorder_options options;
  event_correlator correlator;  // the thread's own

  mutable std::mutex mutex;  // guards all below
  std::condition_variable_any changed;
  std::deque<occurrence> queue;
  bool busy = false;
  event_recorder_stats stats;

  std::stop_source calls;  // ends a call in progress at destruction
  std::jthread thread;     // last: ends before what it uses

  void run(const std::stop_token& stop) {
    std::unique_lock lock{mutex};
    for (;;) {
      changed.wait(lock, stop, [this] { return !queue.empty(); });
      if (queue.empty() || calls.stop_requested()) return;
      auto next = std::move(queue.front());
      queue.pop_front();
      busy = true;
      lock.unlock();
      const auto count = write(next);
      lock.lock();
      busy = false;
      ++(stats.*count);
      changed.notify_all();
    }
  }

  using counter = std::uint64_t event_recorder_stats::*;

  counter write(const occurrence& what) {
    const auto identity = what.identity();
    auto decided = correlator.decide(what.object(), identity, clock::now());
    if (decided.what == event_correlator::decision::kind::drop) return &event_recorder_stats::dropped_rate;
    const call_options call{.timeout = call_timeout, .stop = calls.get_token()};
    if (decided.what == event_correlator::decision::kind::bump) {
      const auto bumped = api.merge_patch(resources::events, {what.ns, decided.name},
                                          {{"count", decided.count}, {"lastTimestamp", to_time(what.when)}}, {}, call);
      if (bumped) return &event_recorder_stats::written;
      if (bumped.error().code != errc::not_found) return &event_recorder_stats::failed;
      correlator.forget(identity);
    }
    auto event = make_event(what);
    const auto created = api.create(resources::events, event, {}, call);
    if (!created) return &event_recorder_stats::failed;
    correlator.created(identity, std::string{name_of(event)});
    return &event_recorder_stats::written;
  }

  json make_event(const occurrence& what) const {
    const auto tail = suffix(what.when);
    const auto name = std::string(cut_text(text_at(what.regarding, {"name"}), name_bytes_max - tail.size())) + tail;
    auto event = make_object(resources::events, {what.ns, name});
    event["involvedObject"] = what.regarding;
    event["type"] = what.type == event_type::normal ? "Normal" : "Warning";
    event["reason"] = what.reason;
    event["message"] = what.message;
    event["source"] = {{"component", options.component}};
    if (!options.instance.empty()) event["source"]["host"] = options.instance;
    event["reportingComponent"] = options.component;
    event["reportingInstance"] = options.instance;
    event["firstTimestamp"] = to_time(what.when);
    event["lastTimestamp"] = to_time(what.when);
    event["count"] = 1;
    return event;
  }
};

event_recorder::event_recorder(client& api, event_recorder_options options)
    : state_(std::make_unique<state>(api, std::move(options))) {
  state_->thread = std::jthread{[at = state_.get()](const std::stop_token& stop) { at->run(stop); }};
}

event_recorder::~event_recorder() {
  flush(farewell);
  state_->calls.request_stop();
  state_->thread.request_stop();
  state_->thread.join();
}

void event_recorder::record(const resource& kind, const json& object, event_type type, std::string_view reason,
                            std::string_view message) {
  json regarding = {{"apiVersion", api_version(kind)},
                    {"kind", kind.kind},
                    {"name", name_of(object)},
                    {"uid", uid_of(object)}};  // no resourceVersion: each would be an event of its own
  std::string ns{namespace_of(object)};
  if (ns.empty()) {
    ns = "default";  // where events about objects without a namespace live
  } else {
    regarding["namespace"] = ns;
  }
  const std::lock_guard lock{state_->mutex};
  if (state_->queue.size() >= state_->options.queue_max) {
    ++state_->stats.dropped_queue;
    return;
  }
  state_->queue.push_back({.regarding = std::move(regarding),
                           .ns = std::move(ns),
                           .type = type,
                           .reason = std::string(cut_text(reason, 128)),
                           .message = std::string(cut_text(message, note_bytes_max)),
                           .when = wall_now()});
  state_->changed.notify_all();
}

bool event_recorder::flush(milliseconds timeout) {
  std::unique_lock lock{state_->mutex};
  return state_->changed.wait_for(lock, timeout, [this] { return state_->queue.empty() && !state_->busy; });
}

event_recorder_stats event_recorder::stats() const {
  const std::lock_guard lock{state_->mutex};
  return state_->stats;
}

}  // namespace orrery::kube
