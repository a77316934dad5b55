// The C++ SDK's program for the conformance cases: commands as JSON lines on stdin, answers on stdout. See
// sdk/conformance/README.md.
#include "desk.hpp"
#include "processes.hpp"
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace orrery::app::conformance {
namespace {

using namespace std::chrono_literals;

constexpr auto event_time = 30s;

const char* text_of(class_state state) {
  switch (state) {
    case class_state::ready:
      return "ready";
    case class_state::undeclared:
      return "undeclared";
    case class_state::other:
      return "other";
    case class_state::waiting:
      return "waiting";
  }
  return "";
}

std::chrono::milliseconds timeout_of(const json& command, int otherwise) {
  return std::chrono::milliseconds(command.value("timeoutMs", otherwise));
}

/// A timeout that was given, whatever it is: 0 is no timeout, and is refused as -1 is.
call_options how(const json& command, const std::stop_token& stop) {
  const auto given = timeout_of(command, 0);
  const bool none = command.contains("timeoutMs") && given.count() == 0;
  return {.timeout = none ? -1ms : given, .trace = command.value("trace", ""), .stop = stop};
}

/// Events of one subscription, until they are asked for.
struct inbox {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<event> events;

  json next() {
    std::unique_lock lock(mutex);
    if (!arrived.wait_for(lock, event_time, [this] { return !events.empty(); }))
      throw std::runtime_error("no event came");
    const auto first = std::move(events.front());
    events.pop_front();
    return {{"type", first.type}, {"data", plain(first.data)}};
  }
};

json shown(const group_members& found) {
  json members = json::array();
  for (const auto& each : found.members)
    members.push_back({{"pid", each.pid}, {"node", each.node}});
  return {{"group", found.group}, {"members", members}, {"truncated", found.truncated}};
}

json shown(const group_list& found) {
  json groups = json::array();
  for (const auto& each : found.groups)
    groups.push_back({{"name", each.name}, {"members", each.members}, {"here", each.here}});
  return {{"groups", groups}, {"truncated", found.truncated}};
}

json shown(const key_list& found) {
  json entries = json::array();
  for (const auto& each : found.entries)
    entries.push_back({{"key", each.key},
                       {"unique", each.unique},
                       {"pid", each.pid},
                       {"node", each.node},
                       {"value", plain(each.value)}});
  return {{"entries", entries}, {"truncated", found.truncated}};
}

json shown(const std::vector<holder>& found) {
  json entries = json::array();
  for (const auto& each : found)
    entries.push_back({{"key", each.key}, {"pid", each.pid}, {"value", plain(each.value)}});
  return {{"entries", entries}};
}

class driver {
 public:
  driver() {
    for (const auto& [name, what] : operations())
      operations_.emplace(name, what);
  }

  /// Each command runs in a thread of its own, so that those that wait do not hold up others. Calls are begun in their
  /// order; those of a client that asks again are not, as only what waits does that.
  void start(json command) {
    const auto number = command.at("n").get<int>();
    auto running = std::make_shared<one_command>();
    {
      const std::lock_guard lock(mutex_);
      commands_[number] = running;
    }
    if (command["do"] == "call" && begin_call(number, command, running)) return;
    running->thread = std::thread([this, number, running, command = std::move(command)] {
      running->begun = true;
      running->begun.notify_one();
      const auto answer = obey(command, *running);
      say(number, answer);
      running->done = true;
    });
    running->begun.wait(false);  // a thread may take its time to start, and what comes next is not to overtake it
    join_ended();
  }

  void end() {
    reset();
    for (auto& [number, each] : commands_)
      if (each->thread.joinable()) each->thread.join();
  }

 private:
  struct one_command {
    std::thread thread;
    std::stop_source cancelled;
    std::atomic<bool> begun{false};
    std::atomic<bool> done{false};
  };
  using operation = std::function<json(const json&, const std::stop_token&)>;

  /// False: it is to be made in a thread.
  bool begin_call(int number, const json& command, const std::shared_ptr<one_command>& running) {
    std::shared_ptr<client> through;
    {
      const std::lock_guard lock(mutex_);
      if (!client_ || asks_again_) return false;
      through = client_;
    }
    const auto finish = [this, number, running](const outcome& how) {
      say(number, how.failure ? failure(*how.failure, running->cancelled) : json{{"gives", plain(how.reply)}});
      running->done = true;
    };
    try {
      through->call_async(command["to"].get<std::string>(), command["method"].get<std::string>(),
                          rich(command.value("argument", json())), how(command, running->cancelled.get_token()),
                          finish);
    } catch (const error& why) {
      finish({{}, std::make_unique<error>(why)});
    }
    return true;
  }

  static json failure(const error& why, const std::stop_source& cancelled) {
    const bool aborted = cancelled.stop_requested() && why.code() == "cancelled";
    return {{"fails",
             {{"code", aborted ? "aborted" : why.code()},
              {"text", why.text()},
              {"effect", effect_text(why.took_effect())}}}};
  }

  json obey(const json& command, const one_command& running) {
    const auto stop = running.cancelled.get_token();
    try {
      return {{"gives", plain(operations_.at(command.at("do"))(command, stop))}};
    } catch (const error& why) {
      return failure(why, running.cancelled);
    } catch (const std::exception& thrown) {
      return {{"fails", {{"code", "exception"}, {"text", thrown.what()}, {"effect", "unknown"}}}};
    }
  }

  void say(int number, json answer) {
    answer["n"] = number;
    const std::lock_guard lock(speaking_);
    std::cout << answer.dump() << std::endl;
  }

  void join_ended() {
    const std::lock_guard lock(mutex_);
    std::erase_if(commands_, [](auto& each) {
      if (!each.second->done) return false;
      if (each.second->thread.joinable()) each.second->thread.join();
      return true;
    });
  }

  std::shared_ptr<client> there() {
    const std::lock_guard lock(mutex_);
    if (!client_) throw std::runtime_error("open first");
    return client_;
  }

  /// Not before what uses it has ended: they hold it too.
  void close() {
    processes_.clear();
    std::map<std::string, std::unique_ptr<subscription>> ended;
    std::shared_ptr<client> last;
    {
      const std::lock_guard lock(mutex_);
      ended.swap(subscriptions_);
      last.swap(client_);
      hosted_.clear();
    }
    ended.clear();
  }

  json open(const json& command) {
    if (command.contains("process")) return processes_.open(command);
    const auto environment = command.value("environment", json::object());
    for (const auto& [name, value] : environment.items())
      ::setenv(name.c_str(), value.get<std::string>().c_str(), 1);
    client_options options;
    const auto address = command["address"].is_string() ? command["address"].get<std::string>() : "";
    if (address.starts_with("unix:")) {
      options.socket = address.substr(5);
    } else if (!address.empty()) {
      options.tcp = address.substr(address.starts_with("tcp:") ? 4 : 0);
    }
    options.connect_timeout = timeout_of(command, 30'000);
    if (command.contains("retry"))
      options.retry = {.attempts = command["retry"]["attempts"], .first_pause = 10ms, .most_pause = 50ms};
    auto fresh = std::make_shared<client>(options);
    const auto info = fresh->open();
    const std::lock_guard lock(mutex_);
    client_ = std::move(fresh);
    asks_again_ = options.retry.attempts > 1;
    return {{"node", info.node}, {"mesh", info.mesh}, {"features", info.features}};
  }

  void reset() {
    {
      const std::lock_guard lock(mutex_);
      for (auto& [number, each] : commands_)
        each->cancelled.request_stop();
    }
    close();
    ::unsetenv("ORRERY_SOCKET");
    ::unsetenv("ORRERY_TCP");
  }

  json serve(const json& command) {
    const auto through = there();
    json states = json::object();
    for (const std::string name : command.at("classes")) {
      const auto state = through->host(a_desk(name, command.value("stateVersion", 0U)),
                                       {.app = "conformance", .concurrency = command.value("concurrency", 0U)});
      states[name] = text_of(state);
      const std::lock_guard lock(mutex_);
      hosted_.push_back(name);
    }
    return states;
  }

  json wait_ready(const std::stop_token& stop) {
    const auto through = there();
    const auto all_are = [&] {
      const std::lock_guard lock(mutex_);
      return std::all_of(hosted_.begin(), hosted_.end(),
                         [&](const auto& name) { return through->hosted(name) == class_state::ready; });
    };
    while (!all_are() && !stop.stop_requested())
      std::this_thread::sleep_for(10ms);
    return {};
  }

  json subscribe(const json& command) {
    const auto box = std::make_shared<inbox>();
    auto added = there()->subscribe(command.value("types", std::vector<std::string>{}), [box](const event& seen) {
      {
        const std::lock_guard lock(box->mutex);
        box->events.push_back(seen);
      }
      box->arrived.notify_one();
    });
    const std::lock_guard lock(mutex_);
    inboxes_[command.at("handle")] = box;
    subscriptions_[command.at("handle")] = std::make_unique<subscription>(std::move(added));
    return {};
  }

  json next(const json& command) {
    if (command.contains("process")) return processes_.next(command);
    std::shared_ptr<inbox> box;
    {
      const std::lock_guard lock(mutex_);
      box = inboxes_.at(command.at("handle"));
    }
    return box->next();
  }

  json unsubscribe(const json& command) {
    std::unique_ptr<subscription> ended;
    const std::lock_guard lock(mutex_);
    ended.swap(subscriptions_.at(command.at("handle")));
    return {};
  }

  json cancel(const json& command) {
    std::shared_ptr<one_command> which;
    {
      const std::lock_guard lock(mutex_);
      which = commands_.at(command.at("number").get<int>());
    }
    which->cancelled.request_stop();
    return {};
  }

  /// Casts as fast as the sidecar reads them.
  json flood(const json& command) {
    const auto through = there();
    for (int i = 0; i < command.at("count").get<int>(); ++i)
      through->cast_nowait(command.at("to").get<std::string>(), "tick", i);
    return {};
  }

  /// Many calls to `record` of many processes; `to` is `class/key|file`. What was heard of each.
  json hammer(const json& command) {
    const auto through = there();
    const auto to = command.at("to").get<std::string>();
    const auto name = to.substr(0, to.find('|'));
    const auto file = to.substr(to.find('|') + 1);
    const int count = command.at("count");
    json heard{{"calls", count}};
    for (const auto* kind : {"ok", "not_executed", "executed", "unknown", "torn"})
      heard[kind] = json::array();
    std::atomic<int> next{0};
    std::mutex writing;
    const auto call = [&](int number) {
      const auto process = name + "-" + std::to_string(number % command.at("over").get<int>());
      try {
        const auto whole = through->call(process, "record", {{"id", number}, {"file", file}},
                                         {.timeout = 20s, .trace = {}, .stop = {}});
        const std::lock_guard lock(writing);
        heard["ok"].push_back(number);
        if (whole != true) heard["torn"].push_back(process + " at call " + std::to_string(number));
      } catch (const error& why) {
        const std::lock_guard lock(writing);
        heard[effect_text(why.took_effect())].push_back(number);
      }
    };
    std::vector<std::thread> callers;
    for (int i = 0; i < command.at("parallel").get<int>(); ++i) {
      callers.emplace_back([&] {
        for (int number = next++; number < count; number = next++)
          call(number);
      });
    }
    for (auto& each : callers)
      each.join();
    return heard;
  }

  std::map<std::string, operation> operations() {
    const auto name = [](const json& command) { return command.at("name").get<std::string>(); };
    const auto to = [](const json& command) { return command.at("to").get<std::string>(); };
    const auto method = [](const json& command) { return command.at("method").get<std::string>(); };
    const auto argument = [](const json& command) { return rich(command.value("argument", json())); };
    const auto prefix = [](const json& command) {
      return client::listing_options{.prefix = command.value("prefix", "")};
    };
    const auto group = [](const json& command) { return command.at("group").get<std::string>(); };
    return {
        {"start",
         [=, this](const json& c, const auto&) {
           return json{{"pid", there()->start(to(c), timeout_of(c, 0))}};
         }},
        {"publish",
         [=, this](const json& c, const auto&) {
           return json{{"members", there()->publish(group(c), c.value("word", ""), argument(c))}};
         }},
        {"group", [=, this](const json& c, const auto&) { return shown(there()->group(group(c))); }},
        {"groups", [=, this](const json& c, const auto&) { return shown(there()->groups(prefix(c))); }},
        {"registry", [=, this](const json& c, const auto&) { return shown(there()->registry(prefix(c))); }},
        {"lookup",
         [this](const json& c, const auto&) { return shown(there()->lookup(c.value("key", ""), scope_of(c))); }},
        {"act", [this](const json& command, const auto& stop) { return processes_.act(command, stop); }},
        {"down", [this](const json& command, const auto&) { return processes_.down(command); }},
        {"link", [this](const json& command, const auto&) { return processes_.link(command); }},
        {"task", [this](const json& command, const auto&) { return processes_.end_task(command); }},
        {"await", [this](const json& command, const auto&) { return processes_.await(command); }},
        {"open", [this](const json& command, const auto&) { return open(command); }},
        {"close",
         [this](const json& command, const auto&) {
           return command.contains("process") ? processes_.close(command) : (close(), json());
         }},
        {"leave", [this](const json&, const auto&) { return close(), json(); }},
        {"reset", [this](const json&, const auto&) { return reset(), json(); }},
        {"call", [=, this](const json& c,
                           const auto& stop) { return there()->call(to(c), method(c), argument(c), how(c, stop)); }},
        {"cast",
         [=, this](const json& c, const auto&) {
           return there()->cast(to(c), method(c), argument(c), c.value("trace", "")), json();
         }},
        {"cast_nowait",
         [=, this](const json& c, const auto&) { return there()->cast_nowait(to(c), method(c), argument(c)), json(); }},
        {"inspect", [=, this](const json& command, const auto&) { return there()->inspect(name(command)); }},
        {"stop", [=, this](const json& command, const auto&) { return there()->stop(name(command)), json(); }},
        {"kill",
         [=, this](const json& command, const auto&) { return there()->kill(name(command), "a case"), json(); }},
        {"nodes", [this](const json&, const auto&) { return there()->nodes(); }},
        {"classes", [this](const json&, const auto&) { return there()->classes(); }},
        {"processes",
         [this](const json& command, const auto&) {
           return there()->processes({.of_class = command.value("class_name", ""),
                                      .limit = command.value("limit", 1000),
                                      .local = command.value("local", false)});
         }},
        {"tree", [this](const json& command, const auto&) { return there()->tree(command.value("local", false)); }},
        {"subscribe", [this](const json& command, const auto&) { return subscribe(command); }},
        {"next", [this](const json& command, const auto&) { return next(command); }},
        {"unsubscribe", [this](const json& command, const auto&) { return unsubscribe(command); }},
        {"cancel", [this](const json& command, const auto&) { return cancel(command); }},
        {"serve", [this](const json& command, const auto&) { return serve(command); }},
        {"wait_ready", [this](const json&, const auto& stop) { return wait_ready(stop); }},
        {"drain",
         [this](const json& command, const auto&) { return json(there()->drain(timeout_of(command, 30'000))); }},
        {"flood", [this](const json& command, const auto&) { return flood(command); }},
        {"hammer", [this](const json& command, const auto&) { return hammer(command); }}};
  }

  std::mutex mutex_;
  std::mutex speaking_;
  std::map<std::string, operation> operations_;
  std::shared_ptr<client> client_;
  kept_processes processes_{[this] { return there(); }};  // before what it came from ends
  bool asks_again_ = false;
  std::vector<std::string> hosted_;
  std::map<std::string, std::unique_ptr<subscription>> subscriptions_;
  std::map<std::string, std::shared_ptr<inbox>> inboxes_;
  std::map<int, std::shared_ptr<one_command>> commands_;
};

}  // namespace
}  // namespace orrery::app::conformance

int main() {
  orrery::app::conformance::driver obedient;
  std::string line;
  while (std::getline(std::cin, line))
    obedient.start(nlohmann::json::parse(line));
  obedient.end();
  return 0;
}
