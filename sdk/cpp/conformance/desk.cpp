#include "desk.hpp"

#include <array>
#include <cmath>
#include <condition_variable>
#include <fcntl.h>
#include <fstream>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace orrery::app::conformance {
namespace {

constexpr std::size_t ids_kept = 50;

effect effect_named(const std::string& text) {
  if (text == "unknown") return effect::unknown;
  return text == "executed" ? effect::executed : effect::not_executed;
}

void add_plain(process_class& desk) {
  desk.on_init([](const context& self) {
        if (self.key().ends_with("closed")) throw refusal("the desk is closed", "forbidden");
        return json{{"notes", json::array()}, {"waiting", json::array()}, {"ids", json::array()}, {"count", 0}};
      })
      .on_call("echo", [](context&, const json& value) { return value; })
      .on_call("add",
               [](context& self, const json& note) {
                 self.change()["notes"].push_back(note);
                 return self.state()["notes"].size();
               })
      .on_call("get", [](context& self, const json&) { return self.state().at("notes"); })
      .on_call("whole", [](context& self, const json&) { return self.state(); })
      .on_call("replace",
               [](context& self, const json& state) {
                 self.change() = state;
                 return json();
               })
      .on_call("about",
               [](context& self, const json&) {
                 return json{{"name", self.name()},
                             {"message", self.message()},
                             {"trace", self.trace().empty() ? json() : json(self.trace())}};
               })
      .on_cast("note", [](context& self, const json& value) { self.change()["notes"].push_back(value); })
      .on_cast("tick",
               [](context& self, const json&) { self.change()["count"] = self.state()["count"].get<int>() + 1; });
}

json odd(context& self, const std::string& what) {
  if (what == "state") {
    self.change() = "\xff is not UTF-8";
  } else if (what == "deep") {
    for (int i = 0; i < 100; ++i)
      self.change() = json::array({self.state()});
  } else if (what == "big") {
    return std::string(10'000'000, 'x');
  } else if (what == "huge state") {
    self.change()["notes"] = {std::string(900'000, 'x'), std::string(900'000, 'x')};
  } else if (what == "twice") {
    static_cast<void>(self.reply_later());
    return "and now";
  } else if (what == "effects") {
    for (int i = 0; i < 1001; ++i)
      self.cancel_timer("x");
  } else if (what == "reply") {
    return std::nan("");
  }
  return {};
}

void add_failing(process_class& desk) {
  desk.on_call("crash",
               [](context& self, const json& text) -> json {
                 self.change()["notes"].push_back("lost");
                 throw std::runtime_error(text.get<std::string>());
               })
      .on_call("refuse",
               [](context& self, const json& how) -> json {
                 self.change()["notes"].push_back("never kept");
                 self.cast("counter/" + self.key(), "add", 100);
                 throw refusal(how.at("text"), how.at("code"), effect_named(how.value("effect", "not_executed")));
               })
      .on_call("odd", [](context& self, const json& what) { return odd(self, what.get<std::string>()); });
}

void add_slow(process_class& desk) {
  desk.on_call("sleep",
               [](context& self, const json& ms) {
                 std::mutex mutex;
                 std::unique_lock lock(mutex);
                 std::condition_variable_any never;
                 never.wait_for(lock, self.abandoned_token(), std::chrono::milliseconds(ms.get<int>()),
                                [] { return false; });
                 return json("slept");
               })
      .on_call("block", [](context&, const json& ms) {
        std::this_thread::sleep_for(std::chrono::milliseconds(ms.get<int>()));
        return json("blocked");
      });
}

void add_later(process_class& desk) {
  desk.on_call("later",
               [](context& self, const json&) {
                 self.change()["waiting"].push_back(self.reply_later());
                 return json();
               })
      .on_cast("answer",
               [](context& self, const json& value) {
                 const auto waiting = std::exchange(self.change()["waiting"], json::array());
                 for (const auto& caller : waiting) {
                   if (value == "no") {
                     self.refuse(caller, refusal("none", "not_found"));
                   } else {
                     self.reply(caller, value);
                   }
                 }
               })
      .on_call("two_steps",
               [](context& self, const json&) {
                 self.go_on("second");
                 return json("first");
               })
      .on_continue([](context& self, const json& value) { self.change()["notes"].push_back(value); })
      .on_call("finish",
               [](context& self, const json& kind) {
                 self.stop(kind.get<std::string>(), "said so");
                 return json("bye");
               })
      .on_terminate([](context& self, const exit_reason& why) {
        self.cast("kv/" + self.key(), "put",
                  {{"key", "farewell"}, {"value", {{"kind", why.kind}, {"text", why.text}}}});
      });
}

void add_others_and_time(process_class& desk) {
  desk.on_call("ask",
               [](context& self, const json& what) {
                 return self.call(what.at("to").get<std::string>(), what.at("method").get<std::string>(),
                                  what.value("argument", json()));
               })
      .on_call("send",
               [](context& self, const json& what) {
                 for (const auto& value : what.at("arguments"))
                   self.cast(what.at("to").get<std::string>(), what.at("method").get<std::string>(), value);
                 return json();
               })
      .on_call("remind",
               [](context& self, const json& what) {
                 self.set_timer(what.at("name").get<std::string>(), std::chrono::milliseconds(what.at("ms").get<int>()),
                                what.value("argument", json()));
                 return json();
               })
      .on_call("forget",
               [](context& self, const json& name) {
                 self.cancel_timer(name.get<std::string>());
                 return json();
               })
      .on_info("ring", [](context& self, const json& argument) {
        self.change()["notes"].push_back({{"ring", self.message()}, {"argument", argument}});
      });
}

std::string text(const json& what, const char* field) { return what.at(field).get<std::string>(); }

void add_what_is_asked_of_others(process_class& desk) {
  desk.on_call("joins",
               [](context& self, const json& group) { return self.join_group(group.get<std::string>()), json(); })
      .on_call("leaves",
               [](context& self, const json& group) { return self.leave_group(group.get<std::string>()), json(); })
      .on_call("publishes",
               [](context& self, const json& what) {
                 return self.publish(text(what, "group"), text(what, "word"), what.value("argument", json())), json();
               })
      .on_call("sends",
               [](context& self, const json& what) {
                 return self.send(text(what, "to"), text(what, "word"), what.value("argument", json())), json();
               })
      .on_call("requests",
               [](context& self, const json& what) {
                 self.request(text(what, "name"), text(what, "to"), text(what, "method"),
                              what.value("argument", json()), std::chrono::milliseconds(what.value("timeoutMs", 0)));
                 return json();
               })
      .on_call("watches", [](context& self,
                             const json& what) { return self.monitor(text(what, "name"), text(what, "to")), json(); })
      .on_call("unwatches",
               [](context& self, const json& name) { return self.demonitor(name.get<std::string>()), json(); });
}

void add_what_comes_from_others(process_class& desk) {
  desk.on_info(
          "heard",
          [](context& self, const json& argument) {
            self.change()["notes"].push_back({{"info", self.message()}, {"source", "message"}, {"argument", argument}});
          })
      .on_reply("heard",
                [](context& self, const outcome& answer) {
                  json note{{"info", self.message()}, {"source", "reply"}};
                  if (const auto& why = answer.failure) {
                    note["error"] = {{"code", why->code()}, {"effect", effect_text(why->took_effect())}};
                  } else {
                    note["argument"] = answer.reply;
                  }
                  self.change()["notes"].push_back(note);
                })
      .on_down("heard",
               [](context& self, const down& what) {
                 self.change()["notes"].push_back(
                     {{"info", self.message()}, {"source", "down"}, {"reason", {{"kind", what.reason.kind}}}});
               })
      .on_handoff([](context& self) {
        self.change()["notes"].push_back({{"handoff", true}});
      });
}

/// Writes the call's number down, and keeps a state that is torn if ever half of it is taken. Whether it was whole.
json record(context& self, const json& what) {
  auto& state = self.change();
  const bool whole = state["ids"].size() == state["count"].get<std::size_t>();
  const auto line = std::to_string(what.at("id").get<int>()) + "\n";
  const int file = ::open(what.at("file").get<std::string>().c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  const bool written = ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  ::close(file);
  if (!written) throw std::runtime_error("the ledger cannot be written");
  std::this_thread::yield();
  auto& ids = state["ids"];
  ids.push_back(what.at("id"));
  if (ids.size() > ids_kept) ids.erase(0);
  state["count"] = ids.size();
  return whole;
}

}  // namespace

const char* effect_text(effect took) {
  if (took == effect::not_executed) return "not_executed";
  return took == effect::executed ? "executed" : "unknown";
}

process_class a_desk(std::string name, std::uint32_t state_version) {
  process_class desk(std::move(name));
  desk.state_version(state_version).on_call("record", record);
  add_plain(desk);
  add_failing(desk);
  add_slow(desk);
  add_later(desk);
  add_others_and_time(desk);
  add_what_is_asked_of_others(desk);
  add_what_comes_from_others(desk);
  if (state_version >= 2) {
    desk.on_code_change([state_version](std::uint32_t from, json state) {
      if (from == 99) throw std::runtime_error("no way from there");
      state["notes"].push_back({{"from", from}, {"to", state_version}});
      return state;
    });
  }
  return desk;
}

}  // namespace orrery::app::conformance
