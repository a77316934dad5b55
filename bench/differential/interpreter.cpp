#include "bench/differential/interpreter.hpp"

#include "mesh/kernel/core.hpp"
#include "mesh/process/supervision/supervisor.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace orrery::differential {
namespace {

using kernel::context;
using kernel::exit_reason;
using kernel::handle;
using process::supervisor;

exit_reason reason_from(const std::string& word) {
  if (word == "normal") return {};
  if (word == "shutdown") return {exit_reason::kind::shutdown, {}};
  if (word == "kill") return {exit_reason::kind::kill, {}};
  return {exit_reason::kind::error, word};
}

std::string text_of(const exit_reason& why) {
  if (why.why == exit_reason::kind::error) return why.detail;
  return kernel::to_string(exit_reason{why.why, {}});
}

class tokens {
 public:
  explicit tokens(const std::string& line) : in_(line) {}
  std::string next() {
    std::string word;
    if (!(in_ >> word)) throw std::runtime_error("a step ends too early: " + in_.str());
    return word;
  }
  std::uint32_t number() { return static_cast<std::uint32_t>(std::stoul(next())); }
  bool more() { return static_cast<bool>(in_ >> std::ws) && in_.peek() != std::char_traits<char>::eof(); }

 private:
  std::istringstream in_;
};

/// One of a supervision tree.
struct node {
  bool supervises = false;
  std::string base;
  process::strategy kind{};
  std::uint32_t intensity = 0;
  process::auto_shutdown when_significant{};
  process::restart_type restart{};
  bool significant = false;
  bool traps = false;
  std::uint32_t fail_from = 0;
  bool brutal = false;
  std::vector<std::size_t> children{};
};

class machine final : public kernel::surroundings, public process::child_factory, public process::supervisor_watcher {
 public:
  machine() : core_({}, *this) {
    for (int i = 0; i < 4; ++i)
      static_cast<void>(core_.spawn(now_, body_for("p" + std::to_string(i), {}), announced({})));
    settle();
  }
  void step(const std::string& line) {
    ++step_;
    tokens in(line);
    const auto op = in.next();
    const auto base = in.next();
    const auto who = find(base);
    if (who != kernel::nobody && core_.alive(who)) {
      if (op == "terminate" || op == "restart" || op == "delete" || op == "start" || op == "add" || op == "drop" ||
          op == "children") {
        request(op, who, in);
      } else {
        core_.enter(now_, who, [&](kernel::body&, context& self) { operations(self, op, in); });
      }
    }
    settle();
  }
  [[nodiscard]] std::vector<std::string> take_seen() { return std::move(seen_); }

  // ---- surroundings ----
  void replied(kernel::call_token, result<value>) override {}
  void ended(handle who, std::uint64_t, const exit_reason& why) override {
    if (names_.contains(who)) log(who, "ended", kernel::nobody, text_of(why));
  }
  void transmit(kernel::signal) override {}

  // ---- supervisors ----
  std::unique_ptr<kernel::body> make(std::uint64_t tag) override {
    const node& of = nodes_.at(tag);
    if (of.supervises) return std::make_unique<supervisor>(spec_of(tag), this);
    return std::make_unique<actor>(*this, of.base, std::string{}, &of);
  }
  void child_started(std::uint64_t tag, handle who) override { name_supervisor(tag, who); }
  void child_ended(std::uint64_t, const exit_reason&, bool) override {}
  void child_restarted(std::uint64_t tag, handle who, const exit_reason&) override { name_supervisor(tag, who); }
  void child_given_up(std::uint64_t, const std::string&) override {}
  void gave_up(const std::string&) override {}

 private:
  class actor final : public kernel::body {
   public:
    actor(machine& of, std::string base, std::string init, const node* supervised)
        : of_(of), base_(std::move(base)), init_(std::move(init)), supervised_(supervised) {}

    void started(context& self) override {
      const auto count = ++of_.counts_[base_];
      if (supervised_ != nullptr && supervised_->fail_from > 0 && count >= supervised_->fail_from) {
        return self.stop(reason_from("boom"));
      }
      of_.born(self.self(), base_, count);
      if (!init_.empty()) self.stop(reason_from(init_));
    }
    void received(context& self, kernel::message& arrived) override {
      using kind = kernel::message::kind;
      if (arrived.what == kind::plain) {
        of_.log(self.self(), "msg", arrived.from, std::string{self.of().atoms().text(arrived.word)});
      } else if (arrived.what == kind::exit) {
        const auto why = kernel::reason_of(arrived);
        of_.log(self.self(), "exit", arrived.from, text_of(why));
        if (supervised_ != nullptr && arrived.from == self.parent()) self.stop(why);  // as gen_server does
      } else if (arrived.what == kind::call) {
        self.reply(kernel::caller_of(arrived), {});
      } else if (arrived.what == kind::reply) {
        const auto& [question, asked] = of_.asked_.at(arrived.ref);
        of_.log(self.self(), "answer", asked, question + (arrived.failed ? " failed" : " ok"));
      } else if (arrived.what == kind::down) {
        for (const char* name : {"n0", "n1", "n2"}) {  // what it had is free before anybody hears
          if (self.of().whereis(*self.of().atoms().intern(name)) != arrived.from) continue;
          of_.log(self.self(), "held", arrived.from, name);
        }
        const auto text = of_.monitor_names_.at(arrived.ref) + " " + text_of(kernel::reason_of(arrived));
        of_.log(self.self(), "down", arrived.from, text);
      }
    }

   private:
    machine& of_;
    std::string base_;
    std::string init_;
    const node* supervised_;
  };

  void settle() {
    while (core_.run(now_, 1000)) {
    }
  }
  void log(handle who, const char* kind, handle from, const std::string& detail) {
    const auto name = [&](handle of) { return names_.contains(of) ? names_.at(of) : std::string{"?"}; };
    seen_.push_back(std::to_string(step_) + " " + name(who) + " " + kind + " " +
                    (from == kernel::nobody ? "-" : name(from)) + " " + detail);
  }

  // ---- who is who ----
  void born(handle who, const std::string& base, std::uint32_t count) {
    names_[who] = base + "#" + std::to_string(count);
    latest_[base] = who;
    log(who, "started", kernel::nobody, "-");
  }
  [[nodiscard]] handle find(const std::string& base) const {
    const auto found = latest_.find(base);
    return found == latest_.end() ? kernel::nobody : found->second;
  }
  void name_supervisor(std::uint64_t tag, handle who) {
    const node& of = nodes_.at(tag);
    if (of.supervises) born(who, of.base, ++counts_[of.base]);
  }
  std::unique_ptr<kernel::body> body_for(const std::string& base, const std::string& init) {
    return std::make_unique<actor>(*this, base, init == "run" ? std::string{} : init, nullptr);
  }
  static kernel::spawn_options announced(kernel::spawn_options how) {
    how.announced = true;
    return how;
  }

  // ---- steps ----
  void operations(context& self, std::string op, tokens& in) {
    while (true) {
      operation(self, op, in);
      if (!in.more()) return;
      if (in.next() != ";") throw std::runtime_error("a step of '" + op + "' goes on too long");
      op = in.next();
      static_cast<void>(in.next());  // the actor, again
    }
  }
  void operation(context& self, const std::string& op, tokens& in) {
    if (op == "spawn") {
      const auto base = in.next();
      const auto how = in.next();
      const auto made =
          self.spawn(body_for(base, in.next()),
                     announced({.link = how == "link" || how == "both", .monitor = how == "monitor" || how == "both"}));
      if (made.monitor != kernel::no_reference) watch("m" + base, made.monitor, self.self());
    } else if (op == "sup") {
      const auto tag = parse(in);
      const auto made = self.start(make(tag), announced(supervisor::options()));
      if (made) name_supervisor(tag, made->who);
      log(self.self(), "result", kernel::nobody, made ? "ok" : "error");
    } else if (op == "alias") {
      aliases_[in.next()] = {self.alias(), self.self()};
    } else if (op == "unalias") {
      const auto known = aliases_.find(in.next());
      if (known != aliases_.end() && known->second.second == self.self()) self.unalias(known->second.first);
    } else if (op == "via") {
      const auto known = aliases_.find(in.next());
      const auto word = *core_.atoms().intern(in.next());
      if (known != aliases_.end()) self.send_alias(known->second.second, known->second.first, word);
    } else if (op == "trap") {
      self.trap_exits(in.next() == "on");
    } else if (op == "stop") {
      self.stop(reason_from(in.next()));
    } else if (op == "register") {
      const bool done = self.register_name(*core_.atoms().intern(in.next()));
      log(self.self(), "result", kernel::nobody, done ? "ok" : "error");
    } else if (op == "unregister") {
      self.unregister_name();
    } else if (op == "tell") {
      const auto to = core_.whereis(*core_.atoms().intern(in.next()));
      const auto word = *core_.atoms().intern(in.next());
      to == kernel::nobody ? log(self.self(), "result", kernel::nobody, "nobody") : self.send(to, word);
    } else if (op == "demonitor") {
      const auto watched = in.next();
      const bool flush = in.next() == "flush";
      const auto known = monitors_.find(watched);
      if (known != monitors_.end() && known->second.second == self.self()) self.demonitor(known->second.first, flush);
    } else {
      targeted(self, op, find(in.next()), in);
    }
  }
  void targeted(context& self, const std::string& op, handle to, tokens& in) {
    const std::string rest = op == "link" || op == "unlink" ? std::string{} : in.next();
    if (to == kernel::nobody) return;
    if (op == "link") {
      self.link(to);
    } else if (op == "unlink") {
      self.unlink(to);
    } else if (op == "monitor") {
      watch(rest, self.monitor(to), self.self());
    } else if (op == "ask") {
      const auto made = self.call(to, *core_.atoms().intern("ask"), {}, std::chrono::seconds{5});
      asked_[made] = {rest, to};
    } else if (op == "exit") {
      self.exit(to, reason_from(rest));
    } else if (op == "send") {
      self.send(to, *core_.atoms().intern(rest));
    } else {
      throw std::runtime_error("no operation '" + op + "'");
    }
  }
  void watch(const std::string& name, kernel::reference made, handle owner) {
    monitors_[name] = {made, owner};
    monitor_names_[made] = name;
  }
  void request(const std::string& op, handle who, tokens& in) {
    std::string told;
    core_.enter(now_, who, [&](kernel::body& body, context& self) {
      auto* const asked = dynamic_cast<supervisor*>(&body);
      if (asked == nullptr) throw std::runtime_error("'" + op + "' is asked of a process that is no supervisor");
      told = op == "children" ? children_of(*asked) : ask(*asked, self, op, in) ? "ok" : "error";
    });
    log(who, "result", kernel::nobody, told);
  }
  bool ask(supervisor& asked, context& self, const std::string& op, tokens& in) {
    if (op == "start") return asked.start_child(self, child_of(parse(in))).has_value();
    const auto child = in.next();
    if (op == "terminate") return asked.terminate_child(self, child).has_value();
    if (op == "restart") return asked.restart_child(self, child).has_value();
    if (op == "delete") return asked.delete_child(self, child).has_value();
    if (op == "drop") return find(child) != kernel::nobody && asked.terminate_child(self, find(child)).has_value();
    nodes_.push_back(nodes_[asked.spec().children.front().tag]);  // add: as the template, with a name of its own
    nodes_.back().base = child;
    return asked.start_child(self, nodes_.size() - 1).has_value();
  }
  std::string children_of(const supervisor& asked) const {
    std::vector<std::string> told;
    for (const auto& child : asked.which_children()) {
      const bool restarting = child.state == supervisor::child_state::restarting;
      told.push_back(child.who != kernel::nobody ? names_.at(child.who)
                                                 : child.id + (restarting ? "=restarting" : "=-"));
    }
    std::sort(told.begin(), told.end());
    const auto counts = asked.count_children();
    for (const auto number : {counts.specs, counts.active, counts.supervisors, counts.workers})
      told.push_back(std::to_string(number));
    std::string text;
    for (const auto& each : told)
      text += (text.empty() ? "" : ",") + each;
    return text;
  }

  // ---- trees ----
  std::size_t parse(tokens& in) {
    const auto tag = nodes_.size();
    nodes_.emplace_back();
    const auto restart = [&] {
      const auto word = in.next();
      nodes_[tag].restart = word == "permanent"   ? process::restart_type::permanent
                            : word == "transient" ? process::restart_type::transient
                                                  : process::restart_type::temporary;
      nodes_[tag].significant = in.next() == "significant";
    };
    nodes_[tag].supervises = in.next() == "S";
    nodes_[tag].base = in.next();
    if (!nodes_[tag].supervises) {
      restart();
      nodes_[tag].traps = in.next() == "trap";
      nodes_[tag].fail_from = in.number();
      nodes_[tag].brutal = in.next() == "brutal";
      return tag;
    }
    const auto kind = in.next();
    nodes_[tag].kind = kind == "one_for_one"    ? process::strategy::one_for_one
                       : kind == "one_for_all"  ? process::strategy::one_for_all
                       : kind == "rest_for_one" ? process::strategy::rest_for_one
                                                : process::strategy::simple_one_for_one;
    nodes_[tag].intensity = in.number();
    const auto automatic = in.next();
    nodes_[tag].when_significant = automatic == "never"             ? process::auto_shutdown::never
                                   : automatic == "any_significant" ? process::auto_shutdown::any_significant
                                                                    : process::auto_shutdown::all_significant;
    restart();
    for (auto left = in.number(); left > 0; --left)
      nodes_[tag].children.push_back(parse(in));
    return tag;
  }
  process::child_spec child_of(std::size_t tag) {
    using how = process::shutdown_spec::kind;
    const node& of = nodes_[tag];
    process::child_spec spec{.id = of.base, .factory = this, .tag = tag};
    spec.restart = of.restart;
    spec.significant = of.significant;
    spec.shutdown.how = of.supervises ? how::infinity : of.brutal ? how::brutal_kill : how::timeout;
    spec.supervisor = of.supervises;
    spec.process.trap_exits = of.traps;
    spec.process.announced = true;
    return spec;
  }
  process::supervisor_spec spec_of(std::size_t tag) {
    const node& of = nodes_[tag];
    process::supervisor_spec spec{.name = of.base, .kind = of.kind, .intensity = of.intensity};
    spec.period = std::chrono::hours{1};
    spec.when_significant = of.when_significant;
    for (const auto child : of.children)
      spec.children.push_back(child_of(child));
    return spec;
  }

  std::map<handle, std::string> names_;
  std::map<std::string, handle> latest_;
  std::map<std::string, std::uint32_t> counts_;
  std::map<std::string, std::pair<kernel::reference, handle>> monitors_;
  std::map<kernel::reference, std::string> monitor_names_;
  std::map<std::string, std::pair<kernel::reference, handle>> aliases_;
  std::map<kernel::reference, std::pair<std::string, handle>> asked_;  ///< the question, and whom
  std::deque<node> nodes_;                                             // actors look at them
  std::vector<std::string> seen_;
  std::uint64_t step_ = 0;
  const time_point now_{std::chrono::seconds{1}};
  kernel::core core_;  // last: the bodies that it destroys look at the rest
};

}  // namespace

std::vector<std::string> run(const std::vector<std::string>& steps) {
  machine runs;
  for (const auto& step : steps)
    runs.step(step);
  return runs.take_seen();
}

}  // namespace orrery::differential
