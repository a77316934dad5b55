#pragma once
// For tests: processes whose callbacks are lambdas, a kernel whose surroundings remember, and a clock turned by hand.
#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace orrery::kernel::testing {

/// A process made of functions.
class scripted final : public body {
 public:
  using on_message = std::function<void(context&, message&)>;
  using on_start = std::function<void(context&)>;
  using on_end = std::function<void(context&, const exit_reason&)>;
  explicit scripted(on_message receive, on_start start = {}, on_end end = {})
      : receive_(std::move(receive)), start_(std::move(start)), end_(std::move(end)) {}

  void started(context& self) override {
    if (start_) start_(self);
  }
  void received(context& self, message& arrived) override {
    if (receive_) receive_(self, arrived);
  }
  void ended(context& self, const exit_reason& why) override {
    if (end_) end_(self, why);
  }

 private:
  on_message receive_;
  on_start start_;
  on_end end_;
};

/// "down noproc", "exit error: boom", "plain hello 1", ...
[[nodiscard]] std::string describe(core& of, const message& arrived);

class world final : public surroundings {
 public:
  explicit world(core::options chosen = {}) : of(chosen, *this) {}

  void replied(call_token token, result<value> answer) override { replies.emplace(token.value, std::move(answer)); }
  void ended(handle, std::uint64_t tag, const exit_reason& why) override { ends.emplace_back(tag, why); }
  void transmit(signal what) override { sent.push_back(std::move(what)); }
  void mailbox_full(std::uint64_t, at_the_bound what) override { bounds.push_back(what); }

  [[nodiscard]] atom word(std::string_view text) { return *of.atoms().intern(text); }
  handle spawn(scripted::on_message receive, scripted::on_start start = {}, const spawn_options& how = {}) {
    return *of.spawn(now, std::make_unique<scripted>(std::move(receive), std::move(start)), how);
  }
  /// A process that writes down all it receives, in `log`.
  handle spawn_witness(std::vector<std::string>& log, scripted::on_start start = {}, const spawn_options& how = {});
  /// Runs one function as a process, as if it were a callback of it.
  void as(handle who, const std::function<void(context&)>& what) {
    of.enter(now, who, [&](body&, context& self) { what(self); });
  }
  void run() {
    while (of.run(now, 1000)) {
    }
  }
  void pass(duration length) {
    now += length;
    run();
  }

  core of;
  time_point now{std::chrono::seconds{1}};
  std::map<std::uint64_t, result<value>> replies;
  std::vector<std::pair<std::uint64_t, exit_reason>> ends;
  std::vector<signal> sent;
  std::vector<at_the_bound> bounds;  ///< what became of messages that met a full mailbox
};

/// Several kernels whose signals to each other wait until they are carried over.
class cluster {
 public:
  explicit cluster(std::size_t nodes, core::options chosen = {});
  [[nodiscard]] world& node(std::size_t which) { return *worlds_.at(which); }
  /// `who`, a process of node `owner`, as node `viewer` calls it.
  [[nodiscard]] handle seen(std::size_t viewer, std::size_t owner, handle who) const;
  /// Runs all and carries signals until nothing is left to do.
  void run();
  /// Carries over the first `count` signals that `from` has sent.
  void carry(std::size_t from, std::size_t count = static_cast<std::size_t>(-1));
  /// Both lose what is under way, and hear of it.
  void cut(std::size_t a, std::size_t b);
  void mend(std::size_t a, std::size_t b);
  void pass(duration length);
  /// How a signal gets from one kernel to another, which is all in this process; empty: as it is. For the room that
  /// knows how signals travel.
  static inline std::function<signal(core& from, core& to, signal what)> across;

 private:
  std::vector<std::unique_ptr<world>> worlds_;
};

}  // namespace orrery::kernel::testing
