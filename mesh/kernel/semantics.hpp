#pragma once
// For the semantics suite: parties that live on one node or on two, what they do to each other, and what they saw.
#include "mesh/kernel/testing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace orrery::kernel::testing {

using log = std::vector<std::string>;

inline const exit_reason normal{};
inline const exit_reason quiet_shutdown{exit_reason::kind::shutdown, {}};
inline const exit_reason kill{exit_reason::kind::kill, {}};
inline const exit_reason killed{exit_reason::kind::killed, {}};
inline const exit_reason boom{exit_reason::kind::error, "boom"};

struct party {
  std::size_t node = 0;
  handle who{};
  std::uint64_t tag = 0;
  log seen{};  ///< what it received, as testing::describe has it
};

/// Two nodes; `near` lives on the first, `far` on the first or the second.
class stage {
 public:
  using script = std::function<void(context&, message&)>;
  using init = std::function<void(context&)>;

  explicit stage(std::size_t nodes, core::options chosen = {}) : mesh(2, chosen), nodes_(nodes) {}

  party& near(const spawn_options& how = {}, script then = {}, init first = {}) {
    return add(0, how, std::move(then), std::move(first));
  }
  party& far(const spawn_options& how = {}, script then = {}, init first = {}) {
    return add(nodes_ - 1, how, std::move(then), std::move(first));
  }
  /// A party without a process yet: `body_of` is its process' body, for a spawn of another's.
  party& absent(std::size_t node) {
    party& added = parties_.emplace_back();
    added.node = node;
    added.tag = parties_.size();
    return added;
  }
  std::unique_ptr<body> body_of(party& of, script then = {}, init first = {}, scripted::on_end last = {}) {
    return std::make_unique<scripted>(
        [this, &of, then](context& self, message& arrived) {
          of.seen.push_back(describe(world_of(of).of, arrived));
          if (then) then(self, arrived);
        },
        std::move(first), std::move(last));
  }
  /// As it is spawned, and told to the surroundings when it ends.
  static spawn_options announced(const party& of, spawn_options how = {}) {
    how.announced = true;
    how.tag = of.tag;
    return how;
  }

  [[nodiscard]] bool apart() const { return nodes_ > 1; }
  [[nodiscard]] world& world_of(const party& of) { return mesh.node(of.node); }
  /// The pid of `who` as `viewer` has it.
  [[nodiscard]] handle pid(const party& viewer, const party& who) const {
    return mesh.seen(viewer.node, who.node, who.who);
  }
  [[nodiscard]] bool alive(const party& who) { return world_of(who).of.alive(who.who); }
  /// How it ended; "" as long as it has not.
  [[nodiscard]] std::string end_of(const party& who) {
    for (const auto& [tag, why] : world_of(who).ends) {
      if (tag == who.tag) return to_string(why);
    }
    return {};
  }
  [[nodiscard]] process_state look(const party& who) { return *world_of(who).of.inspect(who.who); }

  void as(const party& who, const std::function<void(context&)>& what) { world_of(who).as(who.who, what); }
  void link(const party& a, const party& with) {
    as(a, [&](context& self) { self.link(pid(a, with)); });
  }
  void unlink(const party& a, const party& with) {
    as(a, [&](context& self) { self.unlink(pid(a, with)); });
  }
  reference monitor(const party& a, const party& target) {
    reference made;
    as(a, [&](context& self) { made = self.monitor(pid(a, target)); });
    return made;
  }
  void demonitor(const party& a, reference watched, bool flush = true) {
    as(a, [&](context& self) { self.demonitor(watched, flush); });
  }
  void exit(const party& a, const party& target, const exit_reason& why) {
    as(a, [&](context& self) { self.exit(pid(a, target), why); });
  }
  void stop(const party& who, const exit_reason& why = normal) {
    as(who, [&](context& self) { self.stop(why); });
  }
  void send(const party& from, const party& to, std::string_view word, value payload = {}) {
    as(from, [&](context& self) { self.send(pid(from, to), world_of(from).word(word), payload); });
  }
  reference call(const party& from, const party& to, std::string_view word,
                 duration timeout = std::chrono::seconds{1}) {
    reference made;
    as(from, [&](context& self) { made = self.call(pid(from, to), world_of(from).word(word), {}, timeout); });
    return made;
  }
  void run() { mesh.run(); }
  void pass(duration length) { mesh.pass(length); }

  cluster mesh;

 private:
  party& add(std::size_t node, const spawn_options& how, script then, init first) {
    party& added = absent(node);
    added.who = *world_of(added).of.spawn(world_of(added).now, body_of(added, std::move(then), std::move(first)),
                                          announced(added, how));
    world_of(added).run();
    return added;
  }

  std::size_t nodes_;
  std::deque<party> parties_;  // never moves them
};

/// Every case on one node, and again between two.
class between : public ::testing::TestWithParam<std::size_t>, public stage {
 public:
  between() : stage(GetParam()) {}
};

[[nodiscard]] inline std::string nodes_name(const ::testing::TestParamInfo<std::size_t>& nodes) {
  return nodes.param == 1 ? "one_node" : "two_nodes";
}

}  // namespace orrery::kernel::testing

#define ORRERY_ON_ONE_NODE_AND_TWO(suite) \
  INSTANTIATE_TEST_SUITE_P(on, suite, ::testing::Values(1U, 2U), ::orrery::kernel::testing::nodes_name)
