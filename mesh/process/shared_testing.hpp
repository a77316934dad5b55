#pragma once
// For tests of what processes do with a directory: runtimes with processes made of functions, alone or several that
// hear each other as nodes do.
#include "mesh/kernel/testing.hpp"
#include "mesh/process/runtime_impl.hpp"
#include "mesh/process/testing.hpp"
#include "mesh/wire/messages.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orrery::process::testing {

struct inside {
  explicit inside(std::string name = "demo-aaaaa") : rt({.node = {node_name{std::move(name)}, boot_number{7}}}) {}

  /// A process that writes down what it receives.
  kernel::handle spawn(std::vector<std::string>& log, kernel::spawn_options how = {}) {
    return spawn(std::make_unique<kernel::testing::scripted>([&](kernel::context&, kernel::message& arrived) {
                   log.push_back(kernel::testing::describe(of.core, arrived));
                 }),
                 how);
  }
  kernel::handle spawn(std::unique_ptr<kernel::body> what, kernel::spawn_options how = {}) {
    return *of.core.spawn(now, std::move(what), how);
  }
  kernel::handle spawn() { return spawn(ignored); }
  /// As a callback of the process.
  void as(kernel::handle who, const std::function<void(kernel::context&)>& what) {
    of.core.enter(now, who, [&](kernel::body&, kernel::context& self) { what(self); });
  }
  void end(kernel::handle who, exit_reason why = {exit_reason::kind::error, "boom"}) {
    as(who, [&](kernel::context& self) { self.stop(std::move(why)); });
  }
  kernel::atom word(std::string_view text) { return *of.core.atoms().intern(text); }
  void run() {
    do {
      of.now = now;
      of.core.run(now, 1000);
      of.tell_what_waits();
    } while (!of.core.idle());
  }
  /// Takes the effects of one kind out of what has happened.
  template <class Effect>
  std::vector<Effect> take() {
    std::vector<Effect> found;
    std::erase_if(out, [&](effect& each) {
      auto* wanted = std::get_if<Effect>(&each);
      if (wanted != nullptr) found.push_back(std::move(*wanted));
      return wanted != nullptr;
    });
    return found;
  }
  [[nodiscard]] std::string text(kernel::handle who) const { return of.text_of(who); }

  runtime rt;
  runtime::impl& of = rt.inside();
  directory& around = of;
  time_point now{std::chrono::seconds{1}};
  effects out;
  runtime::impl::sink always{of, now, out};
  std::vector<std::string> ignored;
};

/// Two runtimes that tell each other what nodes would, as frames.
struct pair {
  pair() { connect(); }
  void connect() {
    for (const std::size_t i : {0U, 1U}) {
      told[i] = 0;
      EXPECT_TRUE(at[i].rt.node_up(at[1 - i].of.settings.node));
    }
    for (const std::size_t i : {0U, 1U})
      announce(i, at[i].rt.facts());
  }
  void cut() {
    for (const std::size_t i : {0U, 1U})
      at[i].out.clear();
    for (const std::size_t i : {0U, 1U})
      at[i].rt.node_down(at[i].now, at[1 - i].of.settings.node, at[i].out);
  }
  void announce(std::size_t from, std::vector<wire::fact> facts) {
    if (facts.empty()) return;
    carry(from, wire::announce{++told[from], std::move(facts)});
  }
  void carry(std::size_t from, const wire::message& what) {
    wire::frame_decoder decoder;
    decoder.feed(wire::encode(what));
    wire::frame frame;
    ASSERT_TRUE(decoder.next(frame).value());
    auto message = wire::decode(frame).value();
    auto& to = at[1 - from];
    const node_id sender = at[from].of.settings.node;
    if (auto* signal = std::get_if<wire::signal>(&message)) {
      to.rt.receive(to.now, sender, std::move(*signal), to.out);
    } else if (auto* publish = std::get_if<wire::publish>(&message)) {
      to.rt.receive(to.now, sender, *publish, to.out);
    } else if (auto* said = std::get_if<wire::announce>(&message)) {
      EXPECT_TRUE(to.rt.receive(to.now, sender, *said, to.out));
    }
  }
  void take(std::size_t from, effect& each) {
    if (auto* signal = std::get_if<signal_sent>(&each)) {
      carry(from, std::move(signal->what));
    } else if (auto* published_to = std::get_if<published>(&each)) {
      carry(from, std::move(published_to->what));
    } else if (auto* fact = std::get_if<fact_changed>(&each)) {
      announce(from, {std::move(fact->what)});
    } else {
      left[from].push_back(std::move(each));
    }
  }
  void run() {
    for (bool busy = true; busy;) {
      busy = false;
      for (const std::size_t i : {0U, 1U}) {
        at[i].run();
        busy |= !at[i].out.empty();
        for (auto& each : std::exchange(at[i].out, {}))
          take(i, each);
      }
    }
  }
  /// `who`, of the other, as `viewer` calls it.
  kernel::handle seen(std::size_t viewer, kernel::handle who) {
    return *at[viewer].around.find(at[1 - viewer].text(who));
  }

  std::array<inside, 2> at{inside{"demo-aaaaa"}, inside{"demo-bbbbb"}};
  std::array<std::uint64_t, 2> told{};
  std::array<effects, 2> left;  ///< what nodes would have to decide
};

}  // namespace orrery::process::testing
