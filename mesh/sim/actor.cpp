#include "mesh/sim/actor.hpp"

#include "mesh/kernel/testing.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <utility>

namespace orrery::sim::testing {
namespace {

using nlohmann::json;
using process::done;
using process::exits;
using process::key_space;
using process::outcome;
using process::refused;
using process::scope;

value of(const json& document) { return value::from_document(document).value(); }
std::string text_in(const value& argument) {
  const auto document = argument.document();
  return document.is_string() ? document.get<std::string>() : std::string{};
}

class actor final : public process::behaviour {
 public:
  std::optional<process::exit_reason> init(const scope&, std::uint64_t) override { return {}; }
  outcome call(const scope& where, std::string_view method, const value& argument) override {
    const auto found = doings().find(method);
    if (found == doings().end()) return done{argument};
    return (this->*found->second)(where, argument);
  }
  outcome cast(const scope&, std::string_view method, const value& argument) override {
    seen_.push_back("cast " + std::string{method} + " " + argument.json_text());
    return done{};
  }
  outcome info(const scope& where, const kernel::message& arrived) override {
    seen_.push_back(kernel::testing::describe(where.self.of(), arrived));
    return done{};
  }
  void terminate(const scope&, const process::exit_reason&) override {}
  result<value> snapshot(const process::moment&) override { return of(json(seen_)); }
  result<void> restore(const scope&, std::uint64_t, const value& state, std::uint64_t) override {
    seen_ = state.document().get<std::vector<std::string>>();
    return {};
  }

 private:
  using doing = outcome (actor::*)(const scope&, const value&);

  outcome with(const scope& where, const value& argument, void (*what)(kernel::context&, kernel::handle)) {
    const auto found = where.around.find(text_in(argument));
    if (!found) return refused{found.error()};
    what(where.self, *found);
    return done{};
  }
  outcome tell_seen(const scope&, const value&) { return done{of(json(seen_))}; }
  outcome tell_pid(const scope& where, const value&) { return done{of(where.around.text_of(where.self.self()))}; }
  outcome trap(const scope& where, const value&) {
    where.self.trap_exits(true);
    return done{};
  }
  outcome boom(const scope&, const value&) { return exits{{process::exit_reason::kind::error, "boom"}, value{}}; }
  outcome monitor(const scope& where, const value& argument) {
    return with(where, argument, [](auto& self, auto who) { static_cast<void>(self.monitor(who)); });
  }
  outcome link(const scope& where, const value& argument) {
    return with(where, argument, [](auto& self, auto who) { self.link(who); });
  }
  outcome unlink(const scope& where, const value& argument) {
    return with(where, argument, [](auto& self, auto who) { self.unlink(who); });
  }
  outcome exit(const scope& where, const value& argument) {
    return with(where, argument, [](auto& self, auto who) {
      self.exit(who, {process::exit_reason::kind::error, "told to"});
    });
  }
  outcome message(const scope& where, const value& argument, char how) {
    const auto document = argument.document();
    const auto found = where.around.find(document.at("to").get<std::string>());
    if (!found) return refused{found.error()};
    const auto word = *where.self.of().atoms().intern(document.at("word").get<std::string>());
    const value payload = document.contains("payload") ? of(document["payload"]) : value{};
    if (how == 's') where.self.send(*found, word, payload);
    if (how == 'c') where.self.cast(*found, word, payload);
    if (how == 'a') where.self.call(*found, word, payload, std::chrono::seconds{60});
    return done{};
  }
  outcome send(const scope& where, const value& argument) { return message(where, argument, 's'); }
  outcome cast_to(const scope& where, const value& argument) { return message(where, argument, 'c'); }
  outcome ask(const scope& where, const value& argument) { return message(where, argument, 'a'); }

  static outcome said(const result<void>& done_so) {
    if (!done_so) return refused{done_so.error()};
    return done{};
  }
  outcome join(const scope& where, const value& argument) {
    return said(where.around.join(text_in(argument), where.self.self()));
  }
  outcome quit(const scope& where, const value& argument) {
    return done{of(where.around.leave(text_in(argument), where.self.self()))};
  }
  outcome watch(const scope& where, const value& argument) {
    const auto members = where.around.monitor_group(text_in(argument), where.self.self());
    if (!members) return refused{members.error()};
    return done{of(members->size())};
  }
  outcome publish(const scope& where, const value& argument) {
    const auto word = *where.self.of().atoms().intern("news");
    return done{of(where.around.publish(where.self, text_in(argument), word, argument))};
  }
  outcome claim(const scope& where, const value& argument) {
    (void)where.around.claim_key(where.self, text_in(argument), {}, std::chrono::seconds{5});
    return done{};
  }
  outcome enter(const scope& where, const value& argument) {
    return said(where.around.register_key(key_space::mesh_duplicate, text_in(argument), where.self.self(), {}));
  }
  outcome drop(const scope& where, const value& argument) {
    const auto key = text_in(argument);
    const bool unique = where.around.unregister_key(key_space::mesh_unique, key, where.self.self());
    return done{of(where.around.unregister_key(key_space::mesh_duplicate, key, where.self.self()) || unique)};
  }
  outcome keys(const scope& where, const value&) {
    return done{of(json(where.around.keys_of(key_space::mesh_unique, where.self.self())))};
  }

  static const std::map<std::string, doing, std::less<>>& doings() {
    static const std::map<std::string, doing, std::less<>> all{
        {"seen", &actor::tell_seen},  {"pid", &actor::tell_pid}, {"trap", &actor::trap},       {"boom", &actor::boom},
        {"monitor", &actor::monitor}, {"link", &actor::link},    {"unlink", &actor::unlink},   {"exit", &actor::exit},
        {"send", &actor::send},       {"cast", &actor::cast_to}, {"ask", &actor::ask},         {"join", &actor::join},
        {"leave", &actor::quit},      {"watch", &actor::watch},  {"publish", &actor::publish}, {"claim", &actor::claim},
        {"enter", &actor::enter},     {"drop", &actor::drop},    {"keys", &actor::keys}};
    return all;
  }

  std::vector<std::string> seen_;
};

class actors final : public process::behaviour_type {
 public:
  bool answers(process::message_kind, std::string_view) const override { return true; }
  std::string methods(process::message_kind) const override { return "any"; }
  std::unique_ptr<process::behaviour> make() override { return std::make_unique<actor>(); }
  result<bool> upgrade(const process::class_spec&) override { return true; }
};

}  // namespace

result<std::unique_ptr<process::behaviour_type>> make_actors(const process::class_spec& spec) {
  if (spec.name.value != "actor") return process::make_type(spec);
  return std::unique_ptr<process::behaviour_type>{std::make_unique<actors>()};
}

}  // namespace orrery::sim::testing
