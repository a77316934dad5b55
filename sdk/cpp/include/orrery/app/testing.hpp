#pragma once
// Runs process classes in unit tests: no sidecar, no sockets, no threads, and a clock that moves only when told to.
#include "orrery/app/process_class.hpp"
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::app::testing {

/// A cast that a handler sent.
struct sent {
  std::string to;  ///< "class/key"
  std::string method;
  json argument;
  friend bool operator==(const sent&, const sent&) = default;
};
std::ostream& operator<<(std::ostream& out, const sent& what);

/// A plain message that a handler sent to a process.
struct sent_message {
  std::string to;  ///< "class/key" or a pid, as the handler said
  std::string word;
  json argument;
  friend bool operator==(const sent_message&, const sent_message&) = default;
};
std::ostream& operator<<(std::ostream& out, const sent_message& what);

/// A plain message that a handler sent to a group.
struct published {
  std::string group;
  std::string word;
  json argument;
  friend bool operator==(const published&, const published&) = default;
};
std::ostream& operator<<(std::ostream& out, const published& what);

/// A process ended. `kind`: normal, shutdown, error or killed.
struct ended {
  std::string name;  ///< "class/key"
  std::string kind;
  std::string text;
  friend bool operator==(const ended&, const ended&) = default;
};
std::ostream& operator<<(std::ostream& out, const ended& what);

/// What a call came to, or will: a handler may leave its caller waiting with `context::reply_later`.
class pending {
 public:
  [[nodiscard]] bool is_answered() const { return box_->is_answered(); }
  /// The reply. Throws `error` as the caller hears it; `deadline_exceeded` where there is no answer yet.
  [[nodiscard]] json get() const;

 private:
  friend class host;
  struct box {
    std::string to;
    std::optional<json> reply;
    std::optional<error> failure;
    std::function<void(const box&)> then = {};  ///< when there is an answer
    [[nodiscard]] bool is_answered() const { return reply || failure; }
    void answer(const json& with);
    void fail(const std::string& code, const std::string& text, effect took);
  };
  explicit pending(std::string to) : box_(std::make_shared<box>()) { box_->to = std::move(to); }
  std::shared_ptr<box> box_;
};

/// Process classes under test, and their processes.
///
///   orrery::app::testing::host shop(a_cart());
///   EXPECT_EQ(shop.call("ada", "add", "pen"), 1);
///   shop.advance(std::chrono::minutes{30});                       // fires timers, in order
///   EXPECT_EQ(shop.casts().at(0), (sent{"mail/ada", "send", "you forgot a pen"}));
///
/// Messages go as they go in a mesh: one at a time per process, which starts with its first one; what a handler leaves
/// is taken whole or not at all; a crash drops state and timers, and the process starts afresh at once (where it
/// crashes before its next message, with that one). What could not be sent cannot be sent here. Each function returns
/// when all that follows from it has happened. Names are "class/key", or the key alone where one class is under test.
/// For one thread. Throws `error` as a client would hear it. Deadlines and supervisors' limits it has none.
class host {
 public:
  using answer_function = std::function<json(const std::string& key, const json& argument)>;

  explicit host(process_class one) : host(std::vector<process_class>{std::move(one)}) {}
  explicit host(std::vector<process_class> several);
  host(const host&) = delete;
  host& operator=(const host&) = delete;

  /// As the first message would, with what `init` is to get. One that is alive is left as it is.
  void start(std::string_view name, json argument = nullptr);
  /// `deadline_exceeded`, effect unknown, where the handler left the call waiting and nothing here answered it.
  json call(std::string_view name, std::string_view method, json argument = nullptr);
  /// A call that may be answered later.
  [[nodiscard]] pending ask(std::string_view name, std::string_view method, json argument = nullptr);
  void cast(std::string_view name, std::string_view method, json argument = nullptr);
  /// A message that is no call and no cast, as other behaviours send them.
  void info(std::string_view name, std::string_view word, json argument = nullptr);
  /// Timers fire in the order of their time, those too that are set meanwhile; what follows from one happens before the
  /// next.
  void advance(std::chrono::milliseconds time);
  /// In order: `on_terminate` runs, and the process stays ended until its next message.
  void stop(std::string_view name, std::string_view kind = "shutdown", std::string_view text = {});
  /// At once; the process starts afresh.
  void kill(std::string_view name, std::string_view text = "killed");
  /// What a class that is not under test answers to handlers that call it. They hear an `error` or `refusal` that it
  /// throws.
  void answer(std::string_view class_name, std::string_view method, answer_function with);
  /// Answers a request that waits: of a class that is not under test, and that `answer` does not stand in for. Throws
  /// `not_found` where none of this name waits.
  void reply(std::string_view name, std::string_view request, json with = nullptr);
  void fail(std::string_view name, std::string_view request, const error& why);
  /// What a monitor of this name watches has ended. A process under test tells so by itself. Throws as `reply`.
  void down(std::string_view name, std::string_view monitor, const exit_reason& why);
  /// It has moved to another node, as another pid: its monitors are gone, its requests fail, its callers that wait hear
  /// `process_exited`, and who watches it hears `moved`. `on_handoff` runs before all that waits.
  void hand_off(std::string_view name);
  /// The class of this name is this one from now on: states of another version go through `on_code_change` before their
  /// next message.
  void upgrade(process_class newer);

  [[nodiscard]] std::chrono::milliseconds now() const { return now_; }  ///< since the test began
  [[nodiscard]] bool is_alive(std::string_view name) const { return lives_.contains(name_of(name)); }
  /// Throws `not_found` where it is not alive; `timers` too.
  [[nodiscard]] json state(std::string_view name) const { return life_of(name).state; }
  /// Those that are set, and the time that is left.
  [[nodiscard]] std::map<std::string, std::chrono::milliseconds> timers(std::string_view name) const;
  /// Of the process that is alive.
  [[nodiscard]] const std::string& pid(std::string_view name) const { return life_of(name).pid; }
  /// That it is a member of.
  [[nodiscard]] std::vector<std::string> groups(std::string_view name) const;
  /// "class/key" of each that is a member.
  [[nodiscard]] std::vector<std::string> members(const std::string& group) const;
  /// Without an answer: what each name was asked of.
  [[nodiscard]] std::map<std::string, std::string> requests(std::string_view name) const;
  /// What each name watches, as the handler said.
  [[nodiscard]] std::map<std::string, std::string> monitors(std::string_view name) const;
  /// Of handlers, oldest first. Those to processes under test that are alive reach them, and what is published there
  /// too.
  [[nodiscard]] const std::vector<sent_message>& sends() const { return sends_; }
  [[nodiscard]] const std::vector<published>& publishes() const { return publishes_; }
  /// Of handlers, oldest first. One to a class under test reaches it.
  [[nodiscard]] const std::vector<sent>& casts() const { return casts_; }
  [[nodiscard]] const std::vector<ended>& exits() const { return exits_; }

 private:
  struct message {
    json fields;  ///< of its `work`
    std::shared_ptr<pending::box> caller;
  };
  struct timer {
    std::chrono::milliseconds at;
    std::uint64_t number;
    json argument;
  };
  struct asked_for {
    std::string to;
    std::chrono::milliseconds until;
    std::uint64_t number;
  };
  struct watch {
    std::string to;
    std::string pid;  ///< empty: of a class that is not under test
  };
  struct life {
    std::string pid;
    json argument;  ///< of `init`
    json state;
    std::uint32_t state_version = 0;
    bool begun = false;   ///< after `init`
    bool wanted = false;  ///< without a message too: it starts afresh
    bool served = false;  ///< it had a message
    bool at_work = false;
    std::deque<message> mailbox;
    std::optional<json> next;
    bool moved = false;  ///< and `handoff` is to run
    std::map<std::string, timer> timers;
    std::map<std::string, unsigned> groups;  ///< how often it joined
    std::map<std::string, asked_for> requests;
    std::map<std::string, watch> monitors;
    std::map<std::uint64_t, std::shared_ptr<pending::box>> kept;
  };
  enum class afterwards { rests, starts_afresh };
  enum class due_kind { timer, deadline };
  struct due {
    std::chrono::milliseconds at;
    std::uint64_t number;
    due_kind kind;
    std::string name, word;
  };

  [[nodiscard]] static std::string class_in(std::string_view name);
  [[nodiscard]] std::string name_of(std::string_view name) const;
  [[nodiscard]] const life& life_of(std::string_view name) const;
  [[nodiscard]] const process_class& class_of(std::string_view name) const;
  [[nodiscard]] std::string new_pid();
  [[nodiscard]] life& alive(const std::string& name);
  [[nodiscard]] std::optional<std::string> name_at(const std::string& to) const;
  [[nodiscard]] std::optional<due> next_due(std::chrono::milliseconds until) const;
  void check_idle() const;
  void post(const std::string& name, json fields, std::shared_ptr<pending::box> caller = nullptr);
  void post_asked(const std::string& name, const char* kind, std::string_view method, const json& argument,
                  std::shared_ptr<pending::box> caller = nullptr);
  void inform(const std::string& name, const std::string& word, const char* source, json argument);
  json wait_for(const pending& caller);
  json ask_from(const std::string& asker, std::string_view name, std::string_view method, const json& argument,
                const call_options& how);
  [[nodiscard]] std::optional<json> stand_in(const std::string& name, const std::string& method, const json& argument);
  void settle();
  void step(const std::string& name);
  [[nodiscard]] static std::optional<message> next_of(life& one, std::uint32_t version);
  [[nodiscard]] json run(const std::string& name, const life& one, json work);
  void take(const std::string& name, life& one, const message& what, std::uint64_t caller, const json& done);
  void carry_out(const std::string& name, life& one, const json& effect);
  void answer_late(life& one, const json& reply);
  void deliver(const std::string& name, const json& plain);
  void ask_for(const std::string& name, life& one, const json& call);
  void answer_request(const std::string& name, const std::string& request, std::uint64_t number, json with);
  void watch_for(const std::string& name, life& one, const json& monitor);
  void tell_watchers(const std::string& pid, const exit_reason& why);
  void send(const json& cast);
  life end(const std::string& name, const ended& how, afterwards then);
  void stop_in_order(const std::string& name, const json& reason);

  std::map<std::string, process_class, std::less<>> classes_;
  std::map<std::string, life, std::less<>> lives_;
  std::map<std::pair<std::string, std::string>, answer_function> answers_;
  std::deque<std::string> ready_;  ///< names of processes that may have something to do
  std::vector<sent> casts_;
  std::vector<sent_message> sends_;
  std::vector<published> publishes_;
  std::vector<ended> exits_;
  std::chrono::milliseconds now_{0};
  std::uint64_t numbers_ = 0;
};

}  // namespace orrery::app::testing
