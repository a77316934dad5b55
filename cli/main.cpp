#include "cli/attach.hpp"
#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/follow.hpp"
#include "cli/format.hpp"
#include "cli/target.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <unistd.h>

namespace {

using namespace orrery;
using namespace orrery::cli;

constexpr const char* footer = R"(Examples:
  orrery call counter/a add 5
  orrery call kv/settings put '{"key": "colour", "value": "blue"}'
  orrery processes --class counter -o wide
  orrery --mesh demo -n default nodes        # from outside, through the Kubernetes API
  kubectl orrery --mesh demo events
  orrery attach --mesh demo -- python3 explore.py

Exit codes:
  0  it was done
  1  the operation failed; the first word on stderr after "orrery:" is the code (docs/protocol.md)
  2  wrong usage, or an argument that is not JSON
  3  the sidecar cannot be reached
  4  Kubernetes refused, or has no such mesh or no ready pod of it
  attach -- COMMAND ends with the command's: 128+N if signal N ended it, 127 if it is not found, 126 if it cannot be run

Environment: ORRERY_SIDECAR (as --sidecar), KUBECONFIG, NO_COLOR.)";

constexpr const char* attach_footer =
    R"(Forwards a local port to the sidecar of a ready pod of the mesh, through the Kubernetes API, and says where. When that pod
is not ready any more it goes on through another, at the same port. Until Ctrl-C or SIGTERM; with -o json, which prints
{"url", "pod", "mesh", "namespace"}, also until nobody reads its output any more. With COMMAND: runs it, with
ORRERY_SIDECAR and ORRERY_MESH set, passes signals on, and ends with its exit status.

  orrery attach --mesh demo                            # then, in another shell: export ORRERY_SIDECAR=...
  orrery attach --mesh demo -- orrery call counter/a get
  orrery attach --mesh demo -n shop --port 3600 -- bash

It needs to list and watch pods, and to get or create pods/portforward. Nothing is left behind.
)";

/// Of each command; what all have in common is told once, by `orrery --help`.
constexpr const char* command_footer =
    "Options of every command (--mesh, -n, -o, --timeout, ...), examples and exit codes: orrery --help";

struct choices {
  target_options target;
  std::string form = "table";
  std::string timeout;
  std::string name, method, argument, klass, reason, shell, version, group, prefix;
  std::size_t limit = 1000;
  bool local = false;
  bool sets = false;     ///< state set, not state get
  bool follows = false;  ///< the command is one that follows all nodes of a mesh
  tree_options tree;
  crashes_options crashes;
  top_options top;
  double top_seconds = 2;
  std::size_t trace_limit = 1000;
  std::size_t trace_seconds = 60;
  app_options demo;
  attach_options attaching;
  bool attaches = false;  ///< the command is one that makes a port of its own
  std::size_t demo_interval_ms = 10;
};

using action = std::function<exit_code(session&)>;

/// What operators look into a process with. `command` and `process` are `declare`'s.
void declare_introspection(const auto& command, const auto& process, choices& given) {
  process(command("suspend", "Let a process' messages wait until it is resumed",
                  [&given](session& s) { return suspend(s, given.name); }));
  process(command("resume", "Let a suspended process go on", [&given](session& s) { return resume(s, given.name); }));
  auto* tree = command("tree", "Supervisors of each node, and their processes",
                       [&given](session& s) { return cli::tree(s, given.tree); });
  tree->add_option("--depth", given.tree.depth, "0: nodes, 1: supervisors, 2: processes")
      ->check(CLI::Range(0, 2))
      ->capture_default_str();
  tree->add_option("--class", given.tree.klass, "Only of this class, with its processes");
  tree->add_option("--limit", given.tree.limit, "Of each supervisor at most so many processes")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  tree->add_flag("--local", given.tree.local, "Only of the sidecar's own node");
  auto* top = command("top", "The greatest processes of the mesh; on a terminal again and again", [&given](session& s) {
    given.top.interval = std::chrono::milliseconds{static_cast<int>(given.top_seconds * 1000)};
    return cli::top(s, given.top);
  });
  top->add_option("--by", given.top.by, "mailbox, age, memory, reductions or messages")
      ->check(CLI::IsMember({"mailbox", "age", "memory", "reductions", "messages"}))
      ->capture_default_str();
  top->add_option("--limit", given.top.limit, "At most so many")->check(CLI::Range(1, 100))->capture_default_str();
  top->add_option("--interval", given.top_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.5, 3600.0))
      ->capture_default_str();
  top->add_flag("--once", given.top.once, "A table, once");
  top->add_flag("--local", given.top.local, "Only of the sidecar's own node");
  auto* crashes = command("crashes", "Processes that crashed: what they did, and what followed",
                          [&given](session& s) { return cli::crashes(s, given.crashes); });
  crashes->add_option("CLASS/KEY", given.crashes.name, "Only of this process");
  crashes->add_option("--class", given.crashes.klass, "Only of this class");
  crashes->add_option("--limit", given.crashes.limit, "At most so many")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  crashes->add_flag("--local", given.crashes.local, "Only of the sidecar's own node");
  auto* trace = command("trace", "Follow what a process receives and answers", [&given](session& s) {
    return cli::trace(s, given.name, given.trace_limit, given.trace_seconds);
  });
  process(trace);
  trace->add_option("--limit", given.trace_limit, "Until it has received so much")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  trace->add_option("--seconds", given.trace_seconds, "For so long")->check(CLI::Range(1, 3600))->capture_default_str();
  auto* state = command("state", "A process' state: get it, or set another", [&given](session& s) {
    return given.sets ? state_set(s, given.name, given.argument, given.version) : state_get(s, given.name);
  });
  state->require_subcommand(1);
  auto* get = state->add_subcommand("get", "Print the state as JSON; with -o json its version too");
  auto* set = state->add_subcommand("set", "Replace the state between two messages");
  for (auto* each : {get, set}) {
    each->fallthrough();
    process(each);
  }
  set->add_option("JSON", given.argument, "The new state; - reads standard input")->required();
  set->add_option("--if-version", given.version, "Only if the state is still at this version");
  set->callback([&given] { given.sets = true; });
}

/// Declares the commands; the one that was chosen is left in `chosen`.
void declare(CLI::App& app, choices& given, action& chosen) {
  const auto command = [&](const char* name, const char* about, action run) {
    auto* sub = app.add_subcommand(name, about);
    sub->fallthrough();
    sub->footer(command_footer);
    sub->callback([&chosen, run = std::move(run)] { chosen = run; });
    return sub;
  };
  const auto process = [&](CLI::App* sub) { sub->add_option("CLASS/KEY", given.name, "The process")->required(); };
  const auto message = [&](CLI::App* sub) {
    process(sub);
    sub->add_option("METHOD", given.method, "What to ask of it")->required();
    sub->add_option("JSON", given.argument, "The argument; - reads standard input; null if left out");
  };
  command("nodes", "Nodes of the mesh", [](session& s) { return nodes(s); });
  auto* list = command("processes", "Processes of the mesh",
                       [&given](session& s) { return processes(s, given.klass, given.limit, given.local); });
  list->add_option("--class", given.klass, "Only of this class");
  list->add_option("--limit", given.limit, "At most so many")->check(CLI::Range(1, 10000))->capture_default_str();
  list->add_flag("--local", given.local, "Only of the sidecar's own node");
  command("classes", "Classes, and what is wrong with them", [](session& s) { return classes(s); });
  auto* grouped = command("groups", "Groups of processes, or the members of one",
                          [&given](session& s) { return groups(s, given.group, given.prefix, given.limit); });
  grouped->add_option("GROUP", given.group, "Members of this one");
  grouped->add_option("--prefix", given.prefix, "Only groups whose names begin with this");
  grouped->add_option("--limit", given.limit, "At most so many")->check(CLI::Range(1, 10000))->capture_default_str();
  auto* keys = command("registry", "Keys that processes hold in the mesh",
                       [&given](session& s) { return registry(s, given.prefix, given.limit); });
  keys->add_option("PREFIX", given.prefix, "Only keys that begin with this");
  keys->add_option("--limit", given.limit, "At most so many")->check(CLI::Range(1, 10000))->capture_default_str();
  auto* publishing = command("publish", "Send a message to every member of a group",
                             [&given](session& s) { return publish(s, given.group, given.method, given.argument); });
  publishing->add_option("GROUP", given.group, "The group")->required();
  publishing->add_option("WORD", given.method, "What the message is about")->required();
  publishing->add_option("JSON", given.argument, "Its payload; - reads standard input; null if left out");
  message(command("call", "Call a process and print its reply",
                  [&given](session& s) { return call(s, given.name, given.method, given.argument); }));
  message(command("cast", "Send a message without waiting for an answer",
                  [&given](session& s) { return cast(s, given.name, given.method, given.argument); }));
  process(command("inspect", "One process in detail", [&given](session& s) { return inspect(s, given.name); }));
  auto* killing = command("kill", "Exit a process, as a crash would; its supervisor decides what follows",
                          [&given](session& s) { return kill(s, given.name, given.reason); });
  process(killing);
  killing->add_option("--reason", given.reason, "What its exit reason says");
  process(command("stop", "Stop a process in good order; it starts afresh on its next call",
                  [&given](session& s) { return stop(s, given.name); }));
  declare_introspection(command, process, given);
  process(command("release", "Let a process that was given up start again before it has cooled down",
                  [&given](session& s) { return release(s, given.name); }));
  auto* following = command("events", "Follow what a node, or with --mesh every node, sees and does, until Ctrl-C",
                            [](session& s) { return events(s); });
  following->parse_complete_callback([&given] { given.follows = true; });
  auto* attached = command("attach", "Reach the mesh from this machine: a local port, or a command that has it", {});
  attached->footer(std::string(attach_footer) + "\n" + command_footer);
  attached->add_option("--port", given.attaching.port, "Local port (default: any that is free)")
      ->check(CLI::Range(1, 65535));
  attached->add_option("COMMAND", given.attaching.command, "After --: what to run, and its arguments");
  attached->parse_complete_callback([&given] { given.attaches = true; });
  auto* demo =
      command("app", "A small app: calls counters, and prints each second how that went", [&given](session& s) {
        given.demo.interval = std::chrono::milliseconds{given.demo_interval_ms};
        return cli::app(s, given.demo);
      });
  demo->group("Demo");
  demo->add_option("--class", given.demo.klass, "A class with the counter's methods")->capture_default_str();
  demo->add_option("--keys", given.demo.keys, "How many processes")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  demo->add_option("--interval-ms", given.demo_interval_ms, "Pause between calls")
      ->check(CLI::Range(0, 3600000))
      ->capture_default_str();
}

void declare_globals(CLI::App& app, choices& given) {
  app.add_option("--sidecar", given.target.sidecar, "URL of the sidecar (default http://127.0.0.1:3600)")
      ->envname("ORRERY_SIDECAR");
  app.add_option("--mesh", given.target.mesh, "Through the Kubernetes API, to a ready pod of this ProcessMesh");
  app.add_option("-n,--namespace", given.target.name_space, "Namespace of the mesh");
  app.add_option("--kubeconfig", given.target.kubeconfig, "Kubernetes access (default as kubectl)");
  app.add_option("--context", given.target.context, "Context of the kubeconfig");
  app.add_option("-o,--output", given.form, "table, wide or json")
      ->check(CLI::IsMember({"table", "wide", "json"}))
      ->capture_default_str();
  app.add_option("--timeout", given.timeout, "Give up after this, as 500ms or 2s")->check([](const std::string& text) {
    const auto parsed = parse_timeout(text);
    return parsed ? std::string() : parsed.error().context;
  });
}

/// Says what is wrong with the command line, and who tells what is right.
exit_code wrong_usage(const CLI::App& app, const CLI::ParseError& why) {
  const auto chosen = app.get_subcommands();
  const auto rest = app.remaining();
  std::string what = why.what();
  if (chosen.empty() && !rest.empty()) {
    what = fmt::format("there is no {} '{}'", rest.front().starts_with('-') ? "option" : "command", rest.front());
  } else if (chosen.empty() && dynamic_cast<const CLI::RequiredError*>(&why) != nullptr) {
    what = "a command is missing";
  }
  const auto where = chosen.empty() ? std::string() : chosen.front()->get_name() + " ";
  std::fprintf(stderr, "orrery: invalid_argument: %s; see orrery %s--help\n", what.c_str(), where.c_str());
  return exit_code::usage;
}

/// What stands after -- as it was typed: the parser would take [1,2] for two words.
std::vector<std::string> words_after_dashes(int argc, char** argv) {
  auto** const end = argv + argc;
  auto** const dashes = std::find(argv, end, std::string_view("--"));
  return dashes == end ? std::vector<std::string>() : std::vector<std::string>(dashes + 1, end);
}

int run_attach(choices& given, std::vector<std::string> command) {
  const auto refuse = [](const char* why) {
    std::fprintf(stderr, "orrery: invalid_argument: %s; see orrery attach --help\n", why);
    return static_cast<int>(exit_code::usage);
  };
  if (given.target.mesh.empty()) return refuse("attach needs --mesh NAME");
  if (command.empty() && !given.attaching.command.empty()) return refuse("a command to run stands after --");
  given.attaching.command = std::move(command);
  return attach(given.target, given.attaching, given.form == "json" ? output::json : output::table);
}

exit_code run(const choices& given, const action& chosen) {
  auto target_chosen = given.target;
  const bool by_default = target_chosen.sidecar.empty() && target_chosen.mesh.empty();
  if (target_chosen.mesh.empty() &&
      !(target_chosen.name_space + target_chosen.kubeconfig + target_chosen.context).empty()) {
    complain(error{errc::invalid_argument, "--namespace, --kubeconfig and --context need --mesh NAME",
                   took_effect::not_executed});
    return exit_code::usage;
  }
  if (target_chosen.sidecar.empty()) target_chosen.sidecar = "http://127.0.0.1:3600";
  const auto form = given.form == "json" ? output::json : given.form == "wide" ? output::wide : output::table;
  const bool colours = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  if (given.follows && !target_chosen.mesh.empty()) return follow_mesh(target_chosen, form, colours);
  const auto reached = open_target(target_chosen);
  if (!reached) {
    complain(reached.error());
    return target_chosen.mesh.empty() ? exit_code::usage : exit_code::kubernetes;
  }
  http_client sidecar(reached->url);
  session with{
      .sidecar = sidecar, .form = form, .colours = colours, .timeout = std::nullopt, .default_sidecar = by_default};
  if (!given.timeout.empty()) with.timeout = *parse_timeout(given.timeout);
  return chosen(with);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  choices given;
  action chosen;
  CLI::App app{"Looks into an Orrery mesh and talks to its processes.", "orrery"};
  app.set_version_flag("--version", std::string("orrery ") + ORRERY_VERSION);
  app.footer(footer);
  app.require_subcommand(1);
  declare_globals(app, given);
  declare(app, given, chosen);
  app.add_subcommand("completion", "A completion script: bash, zsh or fish")
      ->add_option("SHELL", given.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  app.add_subcommand("version", "The version");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return e.get_exit_code() == 0 ? app.exit(e) : static_cast<int>(wrong_usage(app, e));
  }
  if (app.got_subcommand("version")) {
    std::printf("orrery %s\n", ORRERY_VERSION);
    return 0;
  }
  if (app.got_subcommand("completion")) {
    std::fputs(completion(given.shell)->c_str(), stdout);
    return 0;
  }
  if (given.attaches) return run_attach(given, words_after_dashes(argc, argv));
  return static_cast<int>(run(given, chosen));
}
