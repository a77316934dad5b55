#pragma once
// For tests of supervisors: children that crash, stop, linger or do not start, and a watcher that writes all down.
#include "mesh/kernel/testing.hpp"
#include "mesh/process/supervision/supervisor.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace orrery::process::testing {

using namespace std::chrono_literals;
using kernel::testing::scripted;
using log = std::vector<std::string>;

/// "crash", "stop", "shutdown" end a child; one that `lingers` (it must trap exits) does not end when it is told to.
class scripted_children final : public child_factory {
 public:
  explicit scripted_children(kernel::testing::world& w) : w_(w) {}
  std::unique_ptr<kernel::body> make(std::uint64_t tag) override {
    ++lives[tag];
    return std::make_unique<scripted>(
        [this, tag](kernel::context& self, kernel::message& arrived) { receive(tag, self, arrived); },
        [this, tag](kernel::context& self) {
          started.push_back(tag);
          if (broken.contains(tag)) self.stop({exit_reason::kind::error, "broken"});
        });
  }
  std::map<std::uint64_t, int> lives;
  std::vector<std::uint64_t> started;
  std::set<std::uint64_t> broken;
  std::set<std::uint64_t> lingers;

 private:
  void receive(std::uint64_t tag, kernel::context& self, const kernel::message& arrived) {
    if (arrived.what == kernel::message::kind::exit) {
      if (!lingers.contains(tag)) self.stop(kernel::reason_of(arrived));
      return;
    }
    const auto word = w_.of.atoms().text(arrived.word);
    if (word == "crash") self.stop({exit_reason::kind::error, "boom"});
    if (word == "stop") self.stop();
    if (word == "shutdown") self.stop({exit_reason::kind::shutdown, "done"});
  }
  kernel::testing::world& w_;
};

class supervised : public ::testing::Test, public supervisor_watcher {
 protected:
  void child_started(std::uint64_t tag, kernel::handle child) override { up[tag] = child, say("started", tag); }
  void child_ended(std::uint64_t tag, const exit_reason& why, bool final) override {
    up.erase(tag);
    say("ended " + to_string(why) + (final ? " for good" : ""), tag);
  }
  void child_restarted(std::uint64_t tag, kernel::handle child, const exit_reason&) override {
    up[tag] = child;
    say("restarted", tag);
  }
  void child_given_up(std::uint64_t tag, const std::string&) override { say("given up", tag); }
  void gave_up(const std::string& why) override { heard.emplace_back("gave up"), why_gave_up = why; }
  void say(const std::string& what, std::uint64_t tag) { heard.push_back(std::to_string(tag) + " " + what); }

  static supervisor_spec spec_of(strategy kind, std::uint32_t intensity = 3) {
    return {.name = "test", .kind = kind, .intensity = intensity};
  }
  child_spec child(std::uint64_t tag, restart_type restart = restart_type::permanent) {
    return {.id = std::to_string(tag), .factory = &children, .tag = tag, .restart = restart};
  }
  supervisor_spec three(strategy kind, std::uint32_t intensity = 3) {
    auto spec = spec_of(kind, intensity);
    for (std::uint64_t tag = 1; tag <= 3; ++tag)
      spec.children.push_back(child(tag));
    return spec;
  }
  void start(const supervisor_spec& spec) {
    ASSERT_TRUE(validate(spec)) << validate(spec).error().context;
    const auto begun = w.of.start(w.now, std::make_unique<supervisor>(spec, this), supervisor::options());
    ASSERT_TRUE(begun) << to_string(begun.error());
    who = *begun;
    heard.clear();
  }
  template <class Ask>
  auto ask(Ask what) {
    decltype(what(std::declval<supervisor&>(), std::declval<kernel::context&>())) answer{};
    w.of.enter(w.now, who,
               [&](kernel::body& body, kernel::context& self) { answer = what(static_cast<supervisor&>(body), self); });
    w.run();
    return answer;
  }
  void tell(std::uint64_t tag, std::string_view word) {
    w.of.send(w.now, up.at(tag), w.word(word));
    w.run();
  }
  void crash(std::uint64_t tag) { tell(tag, "crash"); }
  void shut_down() {
    w.of.exit(w.now, who, {exit_reason::kind::kill, {}});
    w.run();
  }

  kernel::testing::world w;
  scripted_children children{w};
  kernel::handle who;
  std::map<std::uint64_t, kernel::handle> up;
  log heard;
  std::string why_gave_up;
};

}  // namespace orrery::process::testing
