// Who leads: holds a key, works, and stands for it again.
#include "processes.hpp"
#include "session.hpp"
#include "values.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <utility>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;

constexpr auto pause_least = 50ms;
constexpr auto pause_most = 1000ms;
constexpr auto act_time = 10s;
constexpr auto claim_time = 5s;
constexpr auto look_again = 5s;  ///< at a key whose holder lives: it may have released it

/// What another try may not meet: the mesh is in two, a node is gone, the connection or the process has ended.
bool may_pass(const error& why) {
  static constexpr std::array passing{"unavailable",       "overloaded", "draining", "isolated",
                                      "deadline_exceeded", "cancelled",  "not_found"};
  return std::find(passing.begin(), passing.end(), why.code()) != passing.end();
}

/// What work throws that could not go on without the connection, or as its token was stopped.
bool gave_up(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const process_exit& why) {
    return why.reason().kind == "noconnection";
  } catch (const error& why) {
    return why.code() == "cancelled" || why.code() == "unavailable";
  } catch (...) {
    return false;
  }
}

std::string text_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& why) {
    return why.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

/// A process that stands for the key once, and the token of the work.
class candidate : public open_process {
 public:
  candidate(session& through, std::string key) : open_process(through), key_(std::move(key)) {}

  /// False: another holds it.
  bool claim(const std::stop_token& stop) {
    try {
      act({{"type", "claim"}, {"key", key_}, {"value", nullptr}, {"in", "mesh_unique"}}, claim_time, {}, stop);
      return true;
    } catch (const error& why) {
      if (why.code() != "already_exists") throw;
      return false;
    }
  }

  void release(const exit_reason& why) {
    try {
      act({{"type", "release"}, {"key", key_}, {"in", "mesh_unique"}}, act_time);
      close(why);
    } catch (const error&) {  // its connection has ended, and with that it
      close_nowait(why);
    }
  }

  /// Whatever else comes, or is dropped, says nothing of the key: `key_lost` is not dropped.
  void take(process_message message) override {
    taken();
    const auto* said = std::get_if<plain_message>(&message);
    if (said != nullptr && said->word == "key_lost" && said->argument.is_object() &&
        text_in(said->argument, "key") == key_)
      lose();
  }

  [[nodiscard]] bool has_lost() const { return lost_; }
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
  void stop() { stop_.request_stop(); }

 private:
  void ended(const exit_reason&) override { lose(); }
  void lose() {
    lost_ = true;
    stop_.request_stop();
  }

  const std::string key_;
  std::atomic<bool> lost_ = false;
  std::stop_source stop_;
};

/// Closed with this, where it is open then.
struct closing {
  std::shared_ptr<candidate> what;
  ~closing() { what->close_nowait({.kind = "normal", .text = {}}); }
};

class standing {
 public:
  standing(session& through, std::string key, const std::function<void(std::stop_token)>& work, std::stop_token stop)
      : through_(through), key_(std::move(key)), work_(work), stop_(std::move(stop)) {}

  bool run() {
    while (through_.await_processes(stop_)) {
      try {
        const auto one = claimed();
        if (one && led(one)) return true;
        if (!one) await_holder();
      } catch (const error& why) {  // of the key's, not of the work's
        if (!may_pass(why)) throw;
      }
      if (failed_) std::rethrow_exception(failed_);
      if (!rest(pause_, stop_)) return false;
      pause_ = std::min(2 * pause_, std::chrono::milliseconds(pause_most));
    }
    return false;
  }

 private:
  std::shared_ptr<candidate> claimed() {
    auto one = std::make_shared<candidate>(through_, key_);
    through_.open(one, stop_);
    try {
      if (one->claim(stop_)) return one;
    } catch (const error&) {
      one->close_nowait({.kind = "normal", .text = {}});
      throw;
    }
    one->close_nowait({.kind = "normal", .text = {}});
    return nullptr;
  }

  /// Whether the work returned while the key was held. What it threw is `failed_`.
  bool led(const std::shared_ptr<candidate>& one) {
    const closing at_the_end{one};
    const std::stop_callback outer(stop_, [&] { one->stop(); });
    if (one->has_lost() || stop_.stop_requested()) return false;
    pause_ = pause_least;
    std::exception_ptr thrown;
    try {
      work_(one->token());
    } catch (...) {
      thrown = std::current_exception();
    }
    const bool lost = one->has_lost();
    if (thrown && !((lost || stop_.stop_requested()) && gave_up(thrown))) failed_ = thrown;
    if (!lost) one->release({.kind = failed_ ? "error" : "normal", .text = failed_ ? text_of(failed_) : ""});
    return !lost && !thrown;
  }

  void await_holder() {
    const auto found =
        through_.ask({.message = lookup_request(key_, key_scope::mesh_unique), .done = {}, .timeout = act_time}, stop_);
    const auto holders = found.value("entries", json::array());
    const auto pid = holders.empty() ? "" : text_in(holders[0], "pid");
    if (pid.empty()) return;
    auto watching = through_.monitor(pid, stop_);
    const std::stop_callback give_up(stop_, [&] { watching.cancel(); });
    const auto gone = watching.wait(look_again);
    const bool was_gone = gone && (gone->reason.kind == "noproc" || gone->reason.kind == "noconnection");
    if (!was_gone) pause_ = pause_least;  // else its key is not free yet
  }

  session& through_;
  const std::string key_;
  const std::function<void(std::stop_token)>& work_;
  const std::stop_token stop_;
  std::chrono::milliseconds pause_ = pause_least;
  std::exception_ptr failed_;
};

}  // namespace

bool stand_for(session& through, const std::string& key, const std::function<void(std::stop_token)>& work,
               const std::stop_token& stop) {
  check_text("key", key);
  return standing(through, key, work, stop).run();
}

}  // namespace orrery::app
