#pragma once
// The commands of `orrery`: each asks the sidecar once (events: for ever) and prints.
#include "cli/http_client.hpp"
#include "mesh/base/ids.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace orrery::cli {

/// What the program ends with; --help lists them.
enum class exit_code : int { ok = 0, failed = 1, usage = 2, unreachable = 3, kubernetes = 4 };

enum class output : std::uint8_t { table, wide, json };

/// What every command needs.
struct session {
  http_client& sidecar;
  output form = output::table;
  bool colours = false;
  std::optional<std::chrono::milliseconds> timeout{};
  bool default_sidecar = false;  ///< nobody said which sidecar: the hint about --mesh may help
};

[[nodiscard]] exit_code nodes(session& with);
[[nodiscard]] exit_code processes(session& with, const std::string& klass, std::size_t limit, bool local);
[[nodiscard]] exit_code classes(session& with);
struct tree_options {
  std::size_t depth = 1;   ///< 0: nodes, 1: supervisors, 2: their processes
  std::string klass;       ///< only this one's supervisor, with its processes
  std::size_t limit = 20;  ///< processes of each supervisor
  bool local = false;
};
[[nodiscard]] exit_code tree(session& with, const tree_options& options);
/// All groups whose names begin with `prefix`, or the members of one.
[[nodiscard]] exit_code groups(session& with, const std::string& group, const std::string& prefix, std::size_t limit);
[[nodiscard]] exit_code registry(session& with, const std::string& prefix, std::size_t limit);
/// `payload` as a call's argument.
[[nodiscard]] exit_code publish(session& with, const std::string& group, const std::string& word, std::string payload);
[[nodiscard]] exit_code inspect(session& with, const std::string& name);
/// `argument` is JSON text; empty: null; "-": standard input.
[[nodiscard]] exit_code call(session& with, const std::string& name, const std::string& method, std::string argument);
[[nodiscard]] exit_code cast(session& with, const std::string& name, const std::string& method, std::string argument);
[[nodiscard]] exit_code kill(session& with, const std::string& name, const std::string& reason);
[[nodiscard]] exit_code stop(session& with, const std::string& name);
/// Prints the state as JSON; with -o json also the version that state_set takes.
[[nodiscard]] exit_code state_get(session& with, const std::string& name);
/// `state` as `argument` above; `version`: only if it is still that one, or empty.
[[nodiscard]] exit_code state_set(session& with, const std::string& name, std::string state,
                                  const std::string& version);
[[nodiscard]] exit_code suspend(session& with, const std::string& name);
[[nodiscard]] exit_code resume(session& with, const std::string& name);
struct crashes_options {
  std::string name;   ///< of one process; empty: of all
  std::string klass;  ///< of one class
  std::size_t limit = 20;
  bool local = false;
};
[[nodiscard]] exit_code crashes(session& with, const crashes_options& options);
/// What one process receives and answers, until there were `limit` messages, `seconds` have passed, or SIGINT.
[[nodiscard]] exit_code trace(session& with, const std::string& name, std::size_t limit, std::size_t seconds);
struct top_options {
  std::string by = "mailbox";
  std::size_t limit = 50;
  bool local = false;
  bool once = false;
  std::chrono::milliseconds interval{2000};
};
/// On a terminal again and again, sorted anew at the touch of a key; else, or with `once`, a table.
[[nodiscard]] exit_code top(session& with, top_options options);
[[nodiscard]] exit_code release(session& with, const std::string& name);
/// Of one node, until SIGINT or SIGTERM; connects again when the connection is lost.
[[nodiscard]] exit_code events(session& with);

struct app_options {
  std::string klass = "counter";
  std::size_t keys = 16;
  std::chrono::milliseconds interval{10};
};
/// A small app for demonstrations: calls, and one line a second of how they went. Until SIGINT or SIGTERM.
[[nodiscard]] exit_code app(session& with, const app_options& options);

/// Prints a failure on stderr and says which exit code it is.
exit_code complain(const error& why, const session* with = nullptr);

/// "/v1/processes/counter/a%2Fb"
[[nodiscard]] std::string path_of(const process_name& name);
/// The problem in an answer that is not a success; what is no problem document is quoted.
[[nodiscard]] error problem_of(const http_reply& reply);
/// Nothing if it is JSON, else what to tell the user: how to quote a string.
[[nodiscard]] std::optional<std::string> json_fault(const std::string& argument);
/// JSON text, of standard input where it is "-". False, and the user is told, where it is no JSON.
[[nodiscard]] bool read_argument(std::string& argument);

}  // namespace orrery::cli
