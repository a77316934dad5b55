#include "session.hpp"

#include "denied.hpp"
#include "values.hpp"
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <future>
#include <iostream>
#include <random>
#include <utility>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr int protocol_version = 1;
constexpr auto hello_time = 5s;
constexpr auto redial_least = 50ms;
constexpr auto redial_most = 2000ms;
constexpr int denials_believed = 2;  ///< one after another: a sidecar opens its socket to all after it has made it
constexpr auto steady = 5s;          ///< a connection that lasted as long begins the pauses anew
constexpr auto look_again = 1s;      ///< at whether to stop, and at classes that the sidecar does not know yet
constexpr std::uint64_t credit = 1000;
/// Registrations, subscriptions and a drain: the sidecar counts them as requests too, and calls may wait for them.
constexpr std::size_t ahead_most = 64 + 16 + 1;

std::string from_environment(const std::string& given, const char* name) {
  if (!given.empty()) return given;
  const char* found = std::getenv(name);
  return found == nullptr ? "" : found;
}

/// At least half of it: pauses of two clients are never the same.
std::chrono::milliseconds jittered(std::chrono::milliseconds pause) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return pause / 2 +
         std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(0, pause.count() / 2)(random));
}

}  // namespace

bool rest(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

bool time_heals(const error& why) {
  return why.took_effect() == effect::not_executed && (why.code() == "unavailable" || why.code() == "overloaded" ||
                                                       why.code() == "draining" || why.code() == "isolated");
}

session::session(client_options chosen)
    : options_(std::move(chosen)),
      spin_(options_.spin),
      requests_(options_.connect_timeout),
      pool_(std::max(1U, options_.workers), [this](std::uint64_t work, std::string_view name, std::string_view method,
                                                   json argument, const call_options& how) {
        check_method(method);
        check_value(argument, "argument", value_bytes());
        auto message = name_fields(name);
        message.update({{"type", "call"}, {"method", method}, {"argument", std::move(argument)}, {"onBehalfOf", work}});
        if (is_traceparent(how.trace)) message["trace"] = how.trace;
        if (how.timeout.count() != 0) check_timeout(how.timeout);
        return ask({.message = std::move(message), .done = {}, .timeout = how.timeout}, how.stop);
      }) {
  options_.socket = from_environment(options_.socket, "ORRERY_SOCKET");
  options_.tcp = from_environment(options_.tcp, "ORRERY_TCP");
  if (!options_.tcp.empty()) check_tcp(options_.tcp);
  if (!options_.log) options_.log = [](const std::string& text) { std::cerr << "orrery: " + text + "\n"; };
  options_.log = [log = std::move(options_.log)](const std::string& text) {
    try {
      log(text);
    } catch (...) {  // there is nobody to tell
    }
  };
  pool_.log_with(options_.log);
  pool_.count_with(options_.counts);
  reader_ = std::thread([this] { run(); });
}

session::~session() {
  std::shared_ptr<wire> line;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    line = dialled_;
  }
  changed_.notify_all();
  if (line != nullptr) {
    if (line == requests_.line())
      line->send(wire::encode({{"type", "goodbye"}, {"code", "cancelled"}, {"text", "the client is done"}}));
    line->shut();
  }
  requests_.stop();
  reader_.join();
  pool_.stop();
}

bool session::is_stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

// ---- any thread ----

json session::ask(request what, const std::stop_token& stop) {
  struct answer {
    json result;
    std::atomic<bool> there = false;
  };
  const auto counts = options_.counts;
  const auto began = counts == nullptr ? clock::time_point{} : clock::now();
  const auto operation = counts == nullptr ? std::string{} : text_in(what.message, "type");
  const auto class_name = counts == nullptr ? std::string{} : text_in(what.message, "class");
  const auto method = counts == nullptr ? std::string{} : text_in(what.message, "method");
  // A promise would wake the caller twice.
  const auto answered = std::make_shared<answer>();
  what.done = [answered, seen = std::move(what.done)](std::uint64_t which, json result) {
    if (seen) seen(which, result);
    answered->result = std::move(result);
    answered->there = true;
    answered->there.notify_one();
  };
  const auto number = requests_.begin(std::move(what));
  {
    const std::stop_callback give_up(stop, [&] { requests_.cancel(number); });
    answered->there.wait(false);
  }
  auto& result = answered->result;
  const auto why = failure_of(result);
  count(counts, options_.log, [&](metrics& to) {
    to.requested({.operation = operation,
                  .class_name = class_name,
                  .method = method,
                  .code = why ? std::string_view(why->code()) : "ok",
                  .took = clock::now() - began});
  });
  if (why) throw error(*why);
  const auto ok = result.find("ok");
  return ok == result.end() ? json() : std::move(*ok);
}

json session::ask_again(const request& what, const std::stop_token& stop) {
  const auto end = clock::now() + what.timeout;
  auto pause = options_.retry.first_pause;
  for (unsigned left = std::max(1U, options_.retry.attempts) - 1;; --left) {
    try {
      auto once = what;
      if (what.timeout.count() > 0)
        once.timeout = std::max(1ms, std::chrono::ceil<std::chrono::milliseconds>(end - clock::now()));
      return ask(std::move(once), stop);
    } catch (const error& why) {
      const bool late = what.timeout.count() > 0 && clock::now() + pause >= end;
      if (left == 0 || late || !time_heals(why) || !rest(jittered(pause), stop)) throw;
    }
    pause = std::min(2 * pause, options_.retry.most_pause);
  }
}

void session::tell(const json& message) {
  const auto line = requests_.line();
  if (line == nullptr) throw error("unavailable", "there is no connection to the sidecar now", effect::not_executed);
  line->wait_writable();
  if (!line->send(wire::encode(message)))
    throw error("unavailable", "the connection to the sidecar has ended", effect::not_executed);
}

sidecar_info session::open() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, options_.connect_timeout, [this] { return welcome_ || stopping_ || !denied_.empty(); });
  if (!welcome_ && !denied_.empty()) throw error("forbidden", denied_, effect::not_executed);
  if (!welcome_) {
    throw error("unavailable", "no connection to the sidecar" + (trouble_.empty() ? "" : ": " + trouble_),
                effect::not_executed);
  }
  return welcome_->info;
}

std::size_t session::value_bytes() const {
  const std::lock_guard lock(mutex_);
  return welcome_ ? welcome_->value_bytes : value_bytes_max;
}

// ---- the connection's thread ----

void session::run() {
  auto pause = redial_least;
  bool ever_connected = false;
  int denials = 0;  // one after another
  while (!is_stopping()) {
    std::string why;
    bool denied = false;
    auto since = clock::time_point::max();
    try {
      dial();
      use(dialled_);
      ever_connected = true;
      since = clock::now();
      read(*dialled_);
    } catch (const std::exception& ended) {
      why = ended.what();
      denied = dynamic_cast<const socket_denied*>(&ended) != nullptr;
    }
    if (dialled_ != nullptr) dialled_->shut();  // others may wait for room to write
    if (since < clock::now() - steady) pause = redial_least;
    lose(why);
    denials = denied ? denials + 1 : 0;
    if (!ever_connected) deny(denials >= denials_believed ? why : "");
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, jittered(pause), [this] { return stopping_; });
    pause = std::min(2 * pause, redial_most);
  }
}

void session::dial() {
  auto line = std::make_shared<wire>(options_.socket, options_.tcp);
  const std::lock_guard lock(mutex_);
  if (stopping_) throw std::runtime_error("this client has ended");
  dialled_ = std::move(line);
}

void session::use(const std::shared_ptr<wire>& line) {
  auto welcomed = greet(*line);
  const auto room = welcomed.requests;
  const auto node = welcomed.info.node;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) throw std::runtime_error("this client has ended");
    welcome_ = std::move(welcomed);
    trouble_.clear();
    denied_.clear();
    for (auto& [name, each] : classes_)
      each.asked = !each.settled;
  }
  count(options_.counts, options_.log, [&](metrics& to) { to.connected(node); });
  requests_.opened(line);
  changed_.notify_all();
  register_all();
  follow_all();
  requests_.admit(room > ahead_most ? room - ahead_most : 1);
}

session::welcome session::greet(wire& to) {
  to.send(wire::encode({{"type", "hello"},
                        {"version", protocol_version},
                        {"minVersion", 1},
                        {"features", json::array()},
                        {"client", options_.name}}));
  std::optional<json> answer;
  const auto end = clock::now() + hello_time;
  try {
    do {
      answer = to.receive(std::chrono::ceil<std::chrono::milliseconds>(end - clock::now()));
      if (!answer) throw std::runtime_error("it did not answer the hello within 5 s");
    } while ((*answer)["type"] != "welcome" && (*answer)["type"] != "goodbye");
  } catch (const protocol_error& odd) {
    throw std::runtime_error(std::string("this is no sidecar: ") + odd.what());
  }
  if ((*answer)["type"] == "goodbye") {
    auto text = "the sidecar said goodbye: " + answer->value("text", "");
    if (answer->contains("version")) {
      text += " (it speaks versions " + std::to_string(answer->value("minVersion", 1)) + " to " +
              std::to_string(answer->value("version", 1)) + ", this client " + std::to_string(protocol_version) + ")";
    }
    throw std::runtime_error(text);
  }
  const auto limits = answer->value("limits", json::object());
  return {.info = {.node = answer->value("node", ""),
                   .mesh = answer->value("mesh", ""),
                   .version = answer->value("sidecar", ""),
                   .features = answer->value("features", std::vector<std::string>{})},
          .keepalive = std::chrono::milliseconds(answer->value("keepaliveMs", 15'000)),
          .requests = limits.value("requests", std::size_t{1024}),
          .value_bytes = limits.value("valueBytes", value_bytes_max)};
}

void session::read(wire& from) {
  const auto keepalive = welcome_->keepalive;
  auto heard = clock::now();
  auto looked = heard;
  bool asked = false;
  while (!is_stopping()) {
    std::optional<json> message;
    try {
      const auto spin = spin_.next();
      message = from.receive(std::min<std::chrono::milliseconds>(look_again, keepalive / 4), spin);
      if (spin > 0us) spin_.came_in_time(!from.slept());
      if (message && (*message)["type"] == "result") spin_.answered(requests_.take_peak());
      if (message) take(from, *message);
    } catch (const protocol_error& odd) {
      from.send(wire::encode({{"type", "goodbye"}, {"code", "protocol"}, {"text", odd.what()}}));
      throw;
    } catch (const json::exception& odd) {
      from.send(wire::encode({{"type", "goodbye"}, {"code", "protocol"}, {"text", odd.what()}}));
      throw;
    }
    const auto now = clock::now();
    if (now - looked >= look_again) {
      looked = now;
      register_all();
    }
    if (message) {
      heard = now;
      asked = false;
      continue;
    }
    if (now - heard >= 2 * keepalive)
      throw std::runtime_error("nothing was heard from the sidecar for twice its keepalive");
    if (now - heard >= keepalive && !std::exchange(asked, true)) from.send(wire::encode({{"type", "ping"}, {"n", 1}}));
  }
}

void session::take(wire& from, json& message) {
  const auto& type = message["type"].get_ref<const std::string&>();
  if (type == "result") return requests_.answered(message);
  if (type == "work") return take_work(message);
  if (type == "cancel") return pool_.abandon(message.value("work", std::uint64_t{0}));
  if (type == "message") return take_message(message);
  if (type == "ended") return take_ended(message);
  if (type == "event" || type == "closed") return take_event(from, message);
  if (type == "class") return take_class(message);
  if (type == "ping") from.send(wire::encode({{"type", "pong"}, {"n", message.value("n", json())}}));
  if (type == "refused") {
    const auto why = message.value("error", json::object());
    return options_.log("the sidecar refused what " + pool_.what_did(message.value("work", std::uint64_t{0})) + ": " +
                        text_in(why, "code") + ": " + text_in(why, "text"));
  }
  if (type == "goodbye")
    throw std::runtime_error("the sidecar said goodbye: " + message.value("code", "") + ": " +
                             message.value("text", ""));
}

void session::lose(const std::string& why) {
  bool was_open = false;
  {
    const std::lock_guard lock(mutex_);
    was_open = welcome_.has_value();
    if (!stopping_ && why != trouble_) options_.log((was_open ? "the connection ended: " : "no connection: ") + why);
    welcome_.reset();
    dialled_.reset();
    trouble_ = why;
    following_.clear();
  }
  if (was_open) count(options_.counts, options_.log, [&](metrics& to) { to.disconnected(why); });
  end_processes(why);  // first: who hears that an act of theirs failed finds them ended
  requests_.lost(why);
  if (was_open) pool_.abandon_all();
}

void session::deny(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    denied_ = why;
  }
  requests_.deny(why);
  if (!why.empty()) changed_.notify_all();
}

// ---- events ----

subscription session::subscribe(std::vector<std::string> types, std::function<void(const event&)> seen) {
  auto added = std::make_shared<followed>();
  added->types = std::move(types);
  added->seen = std::move(seen);
  std::promise<json> answered;
  const auto keep = [&, this](std::uint64_t number, json result) {
    if (failure_of(result) == nullptr) {
      const std::lock_guard lock(mutex_);
      added->number = number;
      following_[number] = added;  // before any event of it can come
      subscriptions_.push_back(added);
    }
    answered.set_value(std::move(result));
  };
  requests_.begin({.message = {{"type", "subscribe"}, {"credit", credit}, {"events", added->types}},
                   .done = keep,
                   .effect_if_lost = "not_executed",
                   .timeout = 10s,
                   .when = turn::ahead});
  if (const auto why = failure_of(answered.get_future().get())) throw error(*why);
  return subscription([this, added] { unsubscribe(*added); });
}

void session::unsubscribe(followed& what) {
  {
    const std::lock_guard seeing(what.seeing);
    what.ended = true;
  }
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(subscriptions_, [&](const auto& each) { return each.get() == &what; });
    if (following_.erase(what.number) > 0) number = what.number;
  }
  if (number > 0) cancel_subscription(number);
}

void session::cancel_subscription(std::uint64_t number) {
  if (const auto line = requests_.line()) line->send(wire::encode({{"type", "cancel"}, {"id", number}}));
}

void session::follow_all() {
  std::vector<std::shared_ptr<followed>> all;
  {
    const std::lock_guard lock(mutex_);
    all = subscriptions_;
  }
  for (const auto& each : all) {
    requests_.begin(
        {.message = {{"type", "subscribe"}, {"credit", credit}, {"events", each->types}},
         .done = [this, each](std::uint64_t number, const json& result) { followed_again(each, number, result); },
         .when = turn::at_once});
  }
}

void session::followed_again(const std::shared_ptr<followed>& what, std::uint64_t number, const json& result) {
  const auto why = failure_of(result);
  if (why && why->code() == "unavailable") return;  // the connection ended: there will be another
  std::string node;
  bool wanted = false;
  {
    const std::lock_guard lock(mutex_);
    wanted = std::find(subscriptions_.begin(), subscriptions_.end(), what) != subscriptions_.end();
    what->number = number;
    what->spent = 0;
    if (!why && wanted) following_[number] = what;
    if (welcome_) node = welcome_->info.node;
  }
  if (!wanted) {  // it ended meanwhile
    if (!why) cancel_subscription(number);
    return;
  }
  show(*what,
       why ? event{"ended", {{"code", why->code()}, {"text", why->text()}}} : event{"resubscribed", {{"node", node}}});
}

void session::show(followed& to, const event& what) const {
  const std::lock_guard seeing(to.seeing);
  if (to.ended) return;
  try {
    to.seen(what);
  } catch (const std::exception& thrown) {
    log(std::string("a subscription's listener threw: ") + thrown.what());
  } catch (...) {
    log("a subscription's listener threw what is no std::exception");
  }
}

void session::take_event(wire& from, json& message) {
  const auto number = message.value("id", std::uint64_t{0});
  std::shared_ptr<followed> to;
  {
    const std::lock_guard lock(mutex_);
    const auto found = following_.find(number);
    if (found == following_.end()) return;
    to = found->second;
    if (message["type"] == "closed") following_.erase(found);
  }
  if (message["type"] == "closed")
    return show(*to, {"ended", {{"code", "cancelled"}, {"text", "the sidecar ended it"}}});
  const auto type = message.value("event", "");
  show(*to, {type, message.value("data", json::object())});
  if (type == "dropped" || ++to->spent < credit / 2) return;
  from.send(wire::encode({{"type", "credit"}, {"id", number}, {"add", std::exchange(to->spent, 0)}}));
}

}  // namespace orrery::app
