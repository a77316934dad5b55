#include "processes.hpp"
#include "session.hpp"
#include "values.hpp"
#include <exception>
#include <thread>
#include <utility>

namespace orrery::app {

/// The task and the process that is linked for it. What ends it first counts.
class linked_task::running : public open_process {
 public:
  running(session& through, std::string_view to) : open_process(through), to_(to) {}

  void begin(function task) {
    act({{"type", "link"}, {"to", to_}}, {});
    let_exit_come();
    thread_ = std::thread([this, task = std::move(task)] { run(task); });
  }

  void cancel() {
    {
      const std::lock_guard lock(mutex_);
      if (returned_ || exited_) return;
      cancelled_ = true;
    }
    stop_.request_stop();
  }

  void get() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_; });
    if (exited_) throw process_exit(*exited_);
    if (thrown_) std::rethrow_exception(thrown_);
    if (cancelled_) throw error("cancelled", "the task was cancelled", effect::unknown);
  }

  bool wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [this] { return over_; });
  }

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  void take(process_message message) override {
    taken();
    const auto* signal = std::get_if<exit_message>(&message);
    if (signal != nullptr && signal->reason.kind != "normal") exited(to_, signal->reason);
  }

 private:
  /// One that was not there, on this node, has said so before the answer to what is asked next: here for no monitor.
  void let_exit_come() {
    try {
      act({{"type", "demonitor"}, {"monitor", 1}}, {});
    } catch (const error&) {  // the exit comes all the same, or has
    }
  }

  bool has_exited() {
    const std::lock_guard lock(mutex_);
    return exited_.has_value();
  }
  void ended(const exit_reason& why) override { exited("the process of this task", why); }

  void exited(const std::string& who, const exit_reason& why) {
    {
      const std::lock_guard lock(mutex_);
      if (returned_ || cancelled_ || exited_) return;
      exited_.emplace(who, why);
    }
    stop_.request_stop();  // runs what the task registered, so without the lock
  }

  void run(const function& task) {
    std::exception_ptr thrown;
    exit_reason why{.kind = "normal", .text = {}};
    bool gave_up = false;  // what it waited for ended with its token
    try {
      if (!has_exited()) task(stop_.get_token());
    } catch (const error& failure) {
      thrown = std::current_exception();
      why = {.kind = "error", .text = failure.what()};
      gave_up = failure.code() == "cancelled";
    } catch (const std::exception& failure) {
      thrown = std::current_exception();
      why = {.kind = "error", .text = failure.what()};
    } catch (...) {
      thrown = std::current_exception();
      why = {.kind = "error", .text = "an exception that is no std::exception"};
    }
    {
      const std::lock_guard lock(mutex_);
      returned_ = true;
      const bool failed = thrown && !(gave_up && cancelled_);
      if (failed) thrown_ = thrown;
      if (exited_ || (cancelled_ && !failed))
        why = {.kind = "shutdown", .text = exited_ ? exited_->text() : "the task was cancelled"};
    }
    try {
      close(why);
    } catch (const error&) {  // it ends with its connection at the latest
    }
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
  }

  const std::string to_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::stop_source stop_;
  std::optional<process_exit> exited_;
  std::exception_ptr thrown_;
  bool cancelled_ = false;
  bool returned_ = false;
  bool over_ = false;
  std::thread thread_;
};

linked_task::linked_task(session& through, std::string_view to, function task) {
  check_target(to);
  auto what = std::make_shared<running>(through, to);
  through.open(what);
  try {
    what->begin(std::move(task));
  } catch (...) {
    what->close_nowait({.kind = "normal", .text = {}});
    throw;
  }
  what_ = std::move(what);
}

linked_task& linked_task::operator=(linked_task&& from) noexcept {
  std::swap(what_, from.what_);
  return *this;
}

linked_task::~linked_task() {
  if (!what_) return;
  what_->cancel();
  what_->join();
}

void linked_task::cancel() { what_->cancel(); }
void linked_task::get() { what_->get(); }
bool linked_task::wait(std::chrono::milliseconds timeout) { return what_->wait(timeout); }

}  // namespace orrery::app
