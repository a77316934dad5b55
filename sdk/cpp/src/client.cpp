#include "orrery/app/client.hpp"

#include "host_pool.hpp"
#include "wire.hpp"
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto redial_least = 50ms;
constexpr auto redial_most = 2000ms;
constexpr auto keepalive = 15s;  ///< of silence, before the sidecar is asked; twice as long ends the connection
constexpr auto look_again = 1s;
constexpr std::size_t length_bytes = 4;

std::string from_environment(const std::string& given, const char* name) {
  if (!given.empty()) return given;
  const char* found = std::getenv(name);
  return found == nullptr ? "" : found;
}

effect effect_of(const std::string& text) {
  if (text == "not_executed") return effect::not_executed;
  return text == "executed" ? effect::executed : effect::unknown;
}

std::unique_ptr<error> failure_of(const json& result) {
  if (!result.contains("error")) return nullptr;
  const auto& why = result["error"];
  return std::make_unique<error>(why.value("code", "internal"), why.value("text", ""),
                                 effect_of(why.value("effect", "unknown")));
}

json failed(const char* code, const std::string& text, const char* effect) {
  return {{"error", {{"code", code}, {"text", text}, {"effect", effect}}}};
}

json addressed(const char* type, std::string_view name) {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) {
    throw error("invalid_argument", "a name is class/key, not '" + std::string(name) + "'", effect::not_executed);
  }
  return {{"type", type}, {"class", name.substr(0, slash)}, {"key", name.substr(slash + 1)}};
}

json a_call(std::string_view name, std::string_view method, json argument, const call_options& how) {
  auto message = addressed("call", name);
  message["method"] = method;
  message["argument"] = std::move(argument);
  if (how.timeout.count() > 0) message["timeoutMs"] = how.timeout.count();
  if (!how.trace.empty()) message["trace"] = how.trace;
  return message;
}

}  // namespace

struct client::impl {
  using on_result = std::function<void(json)>;
  struct subscription {
    std::vector<std::string> types;
    std::function<void(const std::string&, const json&)> seen;
  };

  explicit impl(client_options chosen)
      : options(std::move(chosen)),
        pool(options.workers > 0 ? options.workers : 2 * std::max(1U, std::thread::hardware_concurrency())) {
    options.socket = from_environment(options.socket, "ORRERY_SOCKET");
    options.tcp = from_environment(options.tcp, "ORRERY_TCP");
    if (!options.log) options.log = [](const std::string& text) { std::cerr << "orrery: " << text << '\n'; };
    reader = std::thread([this] { run(); });
  }

  ~impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
      if (line) line->shut();
    }
    changed.notify_all();
    reader.join();
    pool.stop();
  }

  // ---- any thread ----

  /// `done` gets the whole result, once. `numbered` runs with the request's number before it is sent, under the lock.
  void begin(json message, on_result done, const std::function<void(std::uint64_t)>& numbered = {}) {
    std::shared_ptr<wire> to;
    std::unique_lock lock(mutex);
    if (std::this_thread::get_id() != reader.get_id()) {
      changed.wait_for(lock, options.connect_timeout, [this] { return line != nullptr || stopping; });
    }
    if (line == nullptr) {
      lock.unlock();
      return done(failed("unavailable", "no connection to the sidecar" + (trouble.empty() ? "" : ": " + trouble),
                         "not_executed"));
    }
    to = line;
    const auto id = ++last;
    message["id"] = id;
    auto frame = wire::encode(message);
    if (frame.size() - length_bytes > wire::frame_bytes_max) {
      lock.unlock();
      return done(failed("too_large", "a request of " + std::to_string(frame.size()) + " bytes", "not_executed"));
    }
    open.emplace(id, std::move(done));
    if (numbered) numbered(id);
    lock.unlock();
    to->send(frame);  // where that fails, the reader sees the end too, and fails all that is open
  }

  json request(json message) {
    std::promise<json> answered;
    begin(std::move(message), [&](json result) { answered.set_value(std::move(result)); });
    auto result = answered.get_future().get();
    if (const auto why = failure_of(result)) throw *why;
    return result.value("ok", json());
  }

  // ---- the connection's thread ----

  void run() {
    auto pause = redial_least;
    while (!is_stopping()) {
      std::string why;
      try {
        auto fresh = std::make_shared<wire>(options.socket, options.tcp);
        greet(*fresh);
        pause = redial_least;
        announce(fresh);
        read(*fresh);
      } catch (const std::exception& ended) {
        why = ended.what();
      }
      drop(why);
      std::unique_lock lock(mutex);
      changed.wait_for(lock, pause, [this] { return stopping; });
      pause = std::min(2 * pause, redial_most);
    }
  }

  bool is_stopping() {
    const std::lock_guard lock(mutex);
    return stopping;
  }

  void greet(wire& to) {
    to.send(wire::encode({{"type", "hello"}, {"version", 1}, {"client", options.name}}));
    const auto answer = to.receive(5s);
    if (!answer) throw std::runtime_error("the sidecar does not answer");
    if (answer->value("type", "") != "welcome") throw std::runtime_error("the sidecar says: " + answer->dump());
  }

  /// Registers and subscribes what there is. What comes from then on does so by itself, as there is a connection.
  void announce(const std::shared_ptr<wire>& fresh) {
    std::vector<const process_class*> all;
    std::vector<std::size_t> wanted;
    {
      const std::lock_guard lock(mutex);
      line = fresh;
      trouble.clear();
      registering = classes.size();
      for (const auto& [name, each] : classes)
        all.push_back(&each);
      for (std::size_t i = 0; i < subscriptions.size(); ++i)
        wanted.push_back(i);
    }
    changed.notify_all();
    for (const auto* each : all)
      announce(*each);
    for (const auto each : wanted)
      follow(each);
  }

  void announce(const process_class& what) {
    begin(what.registration(pool.size()), [this, name = what.name()](const json& result) {
      if (const auto why = failure_of(result)) options.log("class " + name + " is not registered: " + why->what());
      const std::lock_guard lock(mutex);
      if (registering > 0) --registering;
      changed.notify_all();
    });
  }

  void follow(std::size_t which) {
    json message{{"type", "subscribe"}, {"credit", 1'000'000}};
    {
      const std::lock_guard lock(mutex);
      message["events"] = subscriptions[which].types;
    }
    begin(
        std::move(message),
        [this](const json& result) {
          if (const auto why = failure_of(result)) options.log(std::string("not subscribed: ") + why->what());
        },
        [this, which](std::uint64_t id) { following[id] = which; });
  }

  void read(wire& from) {
    auto heard = clock::now();
    bool asked = false;
    while (!is_stopping()) {
      auto message = from.receive(look_again);
      const auto now = clock::now();
      if (message) {
        heard = now;
        asked = false;
        take(from, *message);
      } else if (now - heard >= 2 * keepalive) {
        throw std::runtime_error("no sign of life of the sidecar");
      } else if (now - heard >= keepalive && !std::exchange(asked, true)) {
        from.send(wire::encode({{"type", "ping"}, {"n", 1}}));
      }
    }
  }

  void take(wire& from, json& message) {
    const auto type = message.value("type", "");
    if (type == "result") return finish(message);
    if (type == "work") return work(message);
    if (type == "cancel") return pool.abandon(message.value("work", std::uint64_t{0}));
    if (type == "ping") from.send(wire::encode({{"type", "pong"}, {"n", message.value("n", 0)}}));
    if (type == "event") return event(message);
    if (type == "class" || type == "refused") options.log(message.dump());
    if (type == "goodbye") throw std::runtime_error("the sidecar says goodbye: " + message.value("text", ""));
  }

  void finish(json& result) {
    on_result done;
    {
      const std::lock_guard lock(mutex);
      const auto found = open.find(result.value("id", std::uint64_t{0}));
      if (found == open.end()) return;
      done = std::move(found->second);
      open.erase(found);
    }
    done(std::move(result));
  }

  void event(const json& message) {
    std::function<void(const std::string&, const json&)> seen;
    {
      const std::lock_guard lock(mutex);
      const auto found = following.find(message.value("id", std::uint64_t{0}));
      if (found == following.end()) return;
      seen = subscriptions[found->second].seen;
    }
    seen(message.value("event", ""), message.value("data", json::object()));
    if (auto to = current()) to->send(wire::encode({{"type", "credit"}, {"id", message["id"]}, {"add", 1}}));
  }

  void work(json& message) {
    const process_class* what = nullptr;
    {
      const std::lock_guard lock(mutex);
      const auto found = classes.find(message.value("class", ""));
      if (found != classes.end()) what = &found->second;
    }
    if (what == nullptr) return;
    pool.submit(*what, std::move(message), current());
  }

  std::shared_ptr<wire> current() {
    const std::lock_guard lock(mutex);
    return line;
  }

  void drop(const std::string& why) {
    std::map<std::uint64_t, on_result> lost;
    {
      const std::lock_guard lock(mutex);
      if (line != nullptr || trouble.empty()) options.log("no connection: " + why);
      line.reset();
      trouble = why;
      lost.swap(open);
      following.clear();
    }
    pool.abandon_all();
    for (auto& [id, done] : lost)
      done(failed("unavailable", "the connection to the sidecar ended: " + why, "unknown"));
  }

  client_options options;
  host_pool pool;
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<wire> line;
  std::string trouble;
  bool stopping = false;
  std::uint64_t last = 0;
  std::map<std::uint64_t, on_result> open;
  std::map<std::string, process_class> classes;  // never moves what handlers use
  std::size_t registering = 0;
  std::vector<subscription> subscriptions;
  std::map<std::uint64_t, std::size_t> following;
  std::thread reader;
};

client::client(client_options options) : impl_(std::make_unique<impl>(std::move(options))) {}
client::~client() = default;

json client::call(std::string_view name, std::string_view method, json argument, const call_options& how) {
  return impl_->request(a_call(name, method, std::move(argument), how));
}

void client::call_async(std::string_view name, std::string_view method, json argument, const call_options& how,
                        std::function<void(outcome)> done) {
  impl_->begin(a_call(name, method, std::move(argument), how), [done = std::move(done)](json result) {
    auto why = failure_of(result);
    done({why ? json() : result.value("ok", json()), std::move(why)});
  });
}

json client::call_from(const context& self, std::string_view name, std::string_view method, json argument) {
  auto message = a_call(name, method, std::move(argument), {.timeout = {}, .trace = self.trace()});
  message["onBehalfOf"] = self.work();
  return impl_->request(std::move(message));
}

void client::cast(std::string_view name, std::string_view method, json argument) {
  auto message = addressed("cast", name);
  message["method"] = method;
  message["argument"] = std::move(argument);
  impl_->request(std::move(message));
}

json client::inspect(std::string_view name) { return impl_->request(addressed("inspect", name)); }
bool client::stop(std::string_view name) { return impl_->request(addressed("stop", name)).value("stopped", false); }

bool client::kill(std::string_view name, std::string_view reason) {
  auto message = addressed("kill", name);
  if (!reason.empty()) message["reason"] = reason;
  return impl_->request(std::move(message)).value("killed", false);
}

json client::request(json message) { return impl_->request(std::move(message)); }

void client::subscribe(std::vector<std::string> types,
                       std::function<void(const std::string& type, const json& data)> seen) {
  std::size_t which = 0;
  bool connected = false;
  {
    const std::lock_guard lock(impl_->mutex);
    which = impl_->subscriptions.size();
    impl_->subscriptions.push_back({std::move(types), std::move(seen)});
    connected = impl_->line != nullptr;
  }
  if (connected) impl_->follow(which);
}

void client::host(process_class what) {
  const process_class* added = nullptr;
  bool connected = false;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto name = what.name();
    const auto [place, fresh] = impl_->classes.emplace(name, std::move(what));
    if (!fresh) throw error("already_exists", "class '" + name + "' is hosted already", effect::not_executed);
    added = &place->second;
    connected = impl_->line != nullptr;
    if (connected) ++impl_->registering;
  }
  if (connected) impl_->announce(*added);
}

bool client::drain(std::chrono::milliseconds timeout) {
  auto done = std::make_shared<std::promise<void>>();
  auto waiting = done->get_future();
  impl_->begin({{"type", "drain"}}, [done](const json&) { done->set_value(); });
  return waiting.wait_for(timeout) == std::future_status::ready;
}

bool client::wait_connected(std::chrono::milliseconds timeout) {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, timeout, [this] { return impl_->line != nullptr && impl_->registering == 0; });
}

}  // namespace orrery::app
