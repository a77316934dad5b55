#pragma once
// The driver's commands about client processes, monitors and linked tasks.
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <orrery/app.hpp>
#include <stop_token>
#include <string>

namespace orrery::app::conformance {

/// What the driver keeps of them under the names that a case gives. Any thread may use it.
class kept_processes {
 public:
  using through = std::function<std::shared_ptr<client>()>;
  explicit kept_processes(through there) : there_(std::move(there)) {}

  json open(const json& command);
  json close(const json& command);
  json act(const json& command, const std::stop_token& stop);
  json next(const json& command);
  json down(const json& command);
  json link(const json& command);
  json end_task(const json& command);
  json await(const json& command);
  /// Forgets all of them.
  void clear();

 private:
  /// A task that waits to be told how to end.
  struct told_task {
    std::mutex mutex;
    std::condition_variable_any told;
    std::string how, text;
    std::unique_ptr<linked_task> task;
    void run(const std::stop_token& stop);
  };
  std::shared_ptr<client_process> of(const json& command);
  std::shared_ptr<told_task> task_of(const json& command);

  through there_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<client_process>> processes_;
  std::map<std::string, std::shared_ptr<told_task>> tasks_;
};

/// As a case says it. Throws `invalid_argument`.
key_scope scope_of(const json& command);
/// Byte strings as {"bytes": [...]}, and back.
json plain(const json& value);
json rich(const json& value);

}  // namespace orrery::app::conformance
