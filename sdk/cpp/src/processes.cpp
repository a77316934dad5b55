#include "processes.hpp"

#include "session.hpp"
#include "values.hpp"
#include <algorithm>
#include <condition_variable>
#include <utility>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;

constexpr auto act_time = 10s;  ///< of acts that have no time of their own

/// What a frame `message` holds; nothing: of a kind that is newer.
std::optional<process_message> process_message_of(json& frame) {
  const auto kind = text_in(frame, "kind");
  const auto from = pid_in(frame, "from");
  const auto argument = [&] { return frame.contains("argument") ? std::move(frame["argument"]) : json(); };
  if (kind == "plain") return plain_message{.word = frame.value("word", ""), .argument = argument(), .from = from};
  if (kind == "cast") return cast_message{.method = frame.value("method", ""), .argument = argument(), .from = from};
  if (kind == "down")
    return down_message{.monitor = frame.value("monitor", std::uint64_t{0}),
                        .what = {.pid = from, .reason = exit_reason_in(frame)}};
  if (kind == "exit") return exit_message{.from = from, .reason = exit_reason_in(frame)};
  if (kind == "dropped") return dropped_message{.count = frame.value("count", std::uint64_t{0})};
  return {};
}

void check_processes(const sidecar_info& of) {
  if (std::find(of.features.begin(), of.features.end(), "processes") != of.features.end()) return;
  throw error("unavailable", "this sidecar is too old: it has no client processes, groups and keys for apps",
              effect::not_executed);
}

}  // namespace

// ---- one process ----

void open_process::opened(std::uint64_t number, std::string pid, std::shared_ptr<wire> line) {
  number_ = number;
  pid_ = std::move(pid);
  const std::lock_guard lock(mutex_);
  line_ = std::move(line);
}

std::shared_ptr<wire> open_process::line() const {
  const std::lock_guard lock(mutex_);
  if (!why_ended_) return line_;
  throw error(
      "unavailable",
      "this client process has ended, " + why_ended_->kind + (why_ended_->text.empty() ? "" : ": " + why_ended_->text),
      effect::not_executed);
}

bool open_process::has_ended() const {
  const std::lock_guard lock(mutex_);
  return why_ended_.has_value();
}

json open_process::act(json message, std::chrono::milliseconds timeout, on_result seen, const std::stop_token& stop) {
  auto on = line();
  message["process"] = number_;
  const bool is_call = message["type"] == "call";
  return through_->ask({.message = std::move(message),
                        .done = std::move(seen),
                        .timeout = timeout.count() > 0 || is_call ? timeout : act_time,
                        .on = std::move(on)},
                       stop);
}

void open_process::tell(json message) {
  try {
    auto on = line();
    message["process"] = number_;
    through_->begin({.message = std::move(message),
                     .done = [](std::uint64_t, const json&) {},
                     .when = turn::at_once,
                     .on = std::move(on)});
  } catch (const error&) {  // it has ended, and its client too perhaps
  }
}

json open_process::closing(const exit_reason& why) { return {{"type", "close"}, {"reason", fields_of(why)}}; }

void open_process::close(const exit_reason& why) {
  check_text("kind", why.kind);
  if (has_ended()) return;
  try {
    act(closing(why), act_time);
  } catch (const error&) {
    if (!has_ended()) throw;
  }
  if (has_ended()) return;
  through_->forget(number_);
  end(why);
}

void open_process::close_nowait(const exit_reason& why) {
  if (has_ended()) return;
  through_->forget(number_);
  tell(closing(why));
  end(why);
}

void open_process::end(const exit_reason& why) {
  {
    const std::lock_guard lock(mutex_);
    if (why_ended_) return;
    why_ended_ = why;
  }
  ended(why);
}

void open_process::taken() {
  std::shared_ptr<wire> to;
  std::uint64_t more = 0;
  {
    const std::lock_guard lock(mutex_);
    if (++spent_ < window / 2 || why_ended_) return;
    more = std::exchange(spent_, 0);
    to = line_;
  }
  to->send(wire::encode({{"type", "credit"}, {"process", number_}, {"add", more}}));
}

// ---- what comes ----

void session::take_message(json& message) {
  std::shared_ptr<open_process> to;
  {
    const std::lock_guard lock(mutex_);
    const auto found = processes_.find(message.value("process", std::uint64_t{0}));
    if (found == processes_.end()) return;
    to = found->second;
  }
  auto what = process_message_of(message);
  if (what) {
    to->take(std::move(*what));
  } else {
    to->taken();
  }
}

void session::take_ended(const json& message) {
  const auto number = message.value("process", std::uint64_t{0});
  std::shared_ptr<open_process> what;
  {
    const std::lock_guard lock(mutex_);
    const auto found = processes_.find(number);
    if (found == processes_.end()) return;
    what = std::move(found->second);
    processes_.erase(found);
  }
  what->end(exit_reason_in(message));
}

void session::end_processes(const std::string& why) {
  std::map<std::uint64_t, std::shared_ptr<open_process>> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(processes_);
  }
  for (auto& [number, each] : all)
    each->end({.kind = "noconnection", .text = why});
}

void session::forget(std::uint64_t process) {
  const std::lock_guard lock(mutex_);
  processes_.erase(process);
}

// ---- opening ----

void session::require_processes() { check_processes(open()); }

bool session::await_processes(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    { const std::lock_guard lock(mutex_); }
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return welcome_ || stopping_ || !denied_.empty() || stop.stop_requested(); });
  if (stopping_) throw error("unavailable", "this client has ended", effect::not_executed);
  if (stop.stop_requested()) return false;
  if (!welcome_) throw error("forbidden", denied_, effect::not_executed);
  check_processes(welcome_->info);
  return true;
}

void session::open(const std::shared_ptr<open_process>& what, const std::stop_token& stop) {
  if (!stop.stop_possible()) {
    require_processes();
  } else if (!await_processes(stop)) {
    throw error("cancelled", "it was given up before there was a connection", effect::not_executed);
  }
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++last_process_;
  }
  const auto seen = [&, this](std::uint64_t, const json& result) {
    if (failure_of(result) != nullptr) return;
    const std::lock_guard lock(mutex_);
    what->opened(number, result.at("ok").value("pid", ""), dialled_);
    processes_.emplace(number, what);
  };
  try {
    ask({.message = {{"type", "open"}, {"process", number}, {"credit", open_process::window}},
         .done = seen,
         .timeout = act_time},
        stop);
  } catch (const error& why) {
    // It is not known here, and may be there.
    if (why.code() == "deadline_exceeded")
      begin({.message = {{"type", "close"}, {"process", number}},
             .done = [](std::uint64_t, const json&) {},
             .when = turn::at_once});
    throw;
  }
}

// ---- monitors ----

/// One monitor: what it hears, and who waits for that.
struct process_monitor::watched {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::string to;
  std::weak_ptr<monitors> by;
  std::uint64_t number = 0;
  std::optional<down> came;
  bool cancelled = false;

  void hear(const down& what) {
    {
      const std::lock_guard lock(mutex);
      if (cancelled || came) return;
      came = what;
    }
    changed.notify_all();
  }
  void cancel() {
    {
      const std::lock_guard lock(mutex);
      if (came || std::exchange(cancelled, true)) return;
    }
    changed.notify_all();
    if (const auto still = by.lock()) still->forget(number);
  }
};

process_monitor session::monitor(std::string_view to, const std::stop_token& stop) {
  check_target(to);
  std::shared_ptr<monitors> all;
  {
    const std::lock_guard one_at_a_time(monitoring_);
    if (monitors_ == nullptr || monitors_->has_ended()) {
      auto fresh = std::make_shared<monitors>(*this);
      open(fresh, stop);
      monitors_ = std::move(fresh);
    }
    all = monitors_;
  }
  return all->watch(to);
}

process_monitor monitors::watch(std::string_view to) {
  auto what = std::make_shared<process_monitor::watched>();
  what->to = to;
  what->by = weak_from_this();
  act({{"type", "monitor"}, {"to", to}}, {}, [&](std::uint64_t, const json& result) {
    if (failure_of(result) != nullptr) return;
    what->number = result.at("ok").value("monitor", std::uint64_t{0});
    const std::lock_guard lock(mutex_);
    watched_[what->number] = what;
  });
  return process_monitor(std::move(what));
}

void monitors::forget(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (watched_.erase(number) == 0) return;
  }
  tell({{"type", "demonitor"}, {"monitor", number}});
}

void monitors::take(process_message message) {
  taken();
  const auto* gone = std::get_if<down_message>(&message);
  if (gone == nullptr) return;  // nobody knows its pid, and downs are not dropped
  std::shared_ptr<process_monitor::watched> to;
  {
    const std::lock_guard lock(mutex_);
    const auto found = watched_.find(gone->monitor);
    if (found == watched_.end()) return;
    to = std::move(found->second);
    watched_.erase(found);
  }
  to->hear(gone->what);
}

void monitors::ended(const exit_reason& why) {
  std::map<std::uint64_t, std::shared_ptr<process_monitor::watched>> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(watched_);
  }
  for (const auto& [number, each] : all) {
    const bool is_pid = each->to.find('/') == std::string::npos;
    each->hear({.pid = is_pid ? each->to : "", .reason = {.kind = "noconnection", .text = why.text}});
  }
}

process_monitor::process_monitor(std::shared_ptr<watched> what) : what_(std::move(what)) {}

process_monitor& process_monitor::operator=(process_monitor&& from) noexcept {
  std::swap(what_, from.what_);
  return *this;
}

process_monitor::~process_monitor() {
  if (what_) what_->cancel();
}

std::optional<down> process_monitor::wait(const std::stop_token& stop) {
  std::unique_lock lock(what_->mutex);
  what_->changed.wait(lock, stop, [this] { return what_->came || what_->cancelled; });
  return what_->came;
}

std::optional<down> process_monitor::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(what_->mutex);
  what_->changed.wait_for(lock, timeout, [this] { return what_->came || what_->cancelled; });
  return what_->came;
}

void process_monitor::cancel() { what_->cancel(); }

}  // namespace orrery::app
