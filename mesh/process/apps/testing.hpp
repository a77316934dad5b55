#pragma once
// For this room's tests: an app that hosts a class, played by the test.
#include "mesh/process/testing.hpp"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace orrery::process::testing {

inline class_spec cart_class(std::string name = "cart", app_hosted hosting = {}) {
  class_spec spec = counter_class(std::move(name));
  spec.behaviour = hosting;
  return spec;
}

inline constexpr std::initializer_list<app_callback> every_callback = {
    app_callback::init, app_callback::info, app_callback::resume, app_callback::code_change, app_callback::terminate};

struct app_world : world {
  explicit app_world(app_hosted hosting = {}) { EXPECT_TRUE(rt.define(cart_class("cart", hosting))); }

  static app_offer offer(std::uint64_t app, std::uint32_t state_version = 1,
                         std::initializer_list<app_callback> callbacks = {app_callback::init},
                         std::uint32_t concurrency = 8) {
    app_offer out{.app = app_id{app}, .klass = class_name{"cart"}, .calls = {"add", "get"}, .casts = {"note"}};
    out.state_version = state_version;
    out.concurrency = concurrency;
    for (const auto each : callbacks)
      out.add(each);
    return out;
  }
  void say(app_event what) {
    rt.from_app(now, std::move(what), out);
    run();
  }
  void come(app_offer what) { say(app_registered{std::move(what)}); }
  void leave(std::uint64_t app) { say(app_gone{app_id{app}, "closed"}); }
  void pass(duration span) {
    now += span;
    run();
  }

  template <class Told>
  std::vector<Told> take() {
    std::vector<Told> found;
    std::erase_if(to_apps, [&](app_effect& each) {
      auto* one = std::get_if<Told>(&each);
      if (one != nullptr) found.push_back(std::move(*one));
      return one != nullptr;
    });
    return found;
  }
  std::vector<app_work> works() { return take<app_work>(); }
  /// The only piece of work that has been handed out since.
  app_work work() {
    auto all = works();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? app_work{} : std::move(all.front());
  }
  void answer(const app_work& to, app_answer with = {}) { say(app_done{to.app, to.id, std::move(with)}); }
  /// Starts a process with this state.
  void begin(std::string_view name, std::string_view state = "{}") {
    cast(name, "note");
    answer(work(), {.state = json(state)});
    answer(work());
  }
};

}  // namespace orrery::process::testing
