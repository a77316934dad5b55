// The program `orrery` itself, against a mesh of real sidecars.
#include "sidecar/testing/local_mesh.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace orrery::cli {
namespace {

using namespace std::chrono_literals;
using sidecar::fixtures::local_mesh;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct outcome {
  int code = -1;
  std::string out;
  std::string err;
};

std::string slurp(const std::filesystem::path& at) {
  std::ostringstream text;
  text << std::ifstream(at).rdbuf();
  return text.str();
}

/// Runs it through a shell: arguments as a user types them.
outcome run(const std::string& arguments) {
  const auto err_path = std::filesystem::temp_directory_path() / ("orrery-cli-err-" + std::to_string(getpid()));
  outcome got;
  auto* pipe = ::popen((std::string(ORRERY_BINARY) + " " + arguments + " 2>" + err_path.string()).c_str(), "r");
  std::array<char, 4096> chunk{};
  while (const auto n = std::fread(chunk.data(), 1, chunk.size(), pipe))
    got.out.append(chunk.data(), n);
  const int status = ::pclose(pipe);
  got.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  got.err = slurp(err_path);
  std::filesystem::remove(err_path);
  return got;
}

class orrery_program : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    mesh_ = std::make_unique<local_mesh>(sidecar::fixtures::local_mesh_options{
        .binary = ORRERY_SIDECAR_BINARY,
        .nodes = 2,
        .classes = "  - {name: counter, behaviour: {builtin: counter}}\n  - {name: kv, behaviour: {builtin: kv}}\n"});
    ASSERT_TRUE(mesh_->wait_ready(10s)) << mesh_->log(0);
  }
  static void TearDownTestSuite() { mesh_.reset(); }
  static outcome orrery(const std::string& arguments) {
    return run("--sidecar " + mesh_->sdk_url(0) + " " + arguments);
  }

  static std::unique_ptr<local_mesh> mesh_;
};
std::unique_ptr<local_mesh> orrery_program::mesh_;

TEST_F(orrery_program, calls_print_the_reply_and_nothing_else) {
  EXPECT_EQ(orrery("call counter/a add 5").out, "5\n");
  EXPECT_EQ(orrery("call counter/a get").out, "5\n");
  EXPECT_EQ(orrery(R"(call kv/s put '{"key": "colour", "value": "blue"}')").code, 0);
  EXPECT_EQ(orrery(R"(call kv/s get '"colour"')").out, "\"blue\"\n");
  EXPECT_EQ(orrery(R"(call 'counter/with/slashes and ä' add 2)").out, "2\n");
  EXPECT_EQ(run("--sidecar " + mesh_->sdk_url(1) + " call 'counter/with/slashes and ä' get").out, "2\n");
  const auto cast = orrery("cast counter/c add 1");
  EXPECT_EQ(cast.code, 0);
  EXPECT_THAT(cast.out, IsEmpty());
}

TEST_F(orrery_program, an_argument_may_come_from_standard_input) {
  const auto url = mesh_->sdk_url(0);
  EXPECT_EQ(run("--sidecar " + url + " call counter/stdin add - < /dev/null").out, "1\n");
}

TEST_F(orrery_program, lists_are_tables_or_JSON) {
  orrery("call counter/listed add 1");
  EXPECT_THAT(orrery("nodes").out, AllOf(StartsWith("NAME"), HasSubstr("demo-0"), HasSubstr("demo-1")));
  EXPECT_THAT(orrery("processes").out, HasSubstr("counter/listed"));
  EXPECT_THAT(orrery("processes --class kv").out, Not(HasSubstr("counter/listed")));
  EXPECT_THAT(orrery("classes -o wide").out, HasSubstr("STATE BYTES"));
  EXPECT_THAT(orrery("tree").out, HasSubstr("counter"));
  EXPECT_EQ(nlohmann::json::parse(orrery("nodes -o json").out)["nodes"].size(), 2U);
  EXPECT_THAT(orrery("nodes").out, Not(HasSubstr("\x1b")));
}

TEST_F(orrery_program, a_process_is_inspected_killed_and_stopped) {
  orrery("call counter/k add 5");
  EXPECT_EQ(orrery("kill counter/k --reason 'for a test'").out, "killed counter/k\n");
  EXPECT_THAT(orrery("inspect counter/k").out, AllOf(HasSubstr("Restarts:      1"), HasSubstr("for a test")));
  EXPECT_EQ(orrery("stop counter/k").out, "stopped counter/k\n");
  const auto again = orrery("stop counter/k");
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, StartsWith("orrery: not_found: "));
}

TEST_F(orrery_program, a_state_is_read_edited_and_put_back) {
  orrery("call counter/s add 5");
  EXPECT_EQ(orrery("state get counter/s").out, "5\n");
  const auto read = nlohmann::json::parse(orrery("state get counter/s -o json").out);
  EXPECT_EQ(read["state"], 5);
  const auto version = read["version"].get<std::string>();
  EXPECT_EQ(orrery("state set counter/s 40 --if-version " + version).out, "replaced the state of counter/s\n");
  EXPECT_EQ(orrery("call counter/s add 2").out, "42\n");
  const auto stale = orrery("state set counter/s 0 --if-version " + version);
  EXPECT_EQ(stale.code, 1);
  EXPECT_THAT(stale.err, StartsWith("orrery: conflict: the state of counter/s is at version "));
  EXPECT_THAT(orrery("state set counter/s '\"text\"'").err, HasSubstr("keeps its state"));
  EXPECT_EQ(orrery("state set counter/s tea").code, 2);
  EXPECT_EQ(orrery("state counter/s").code, 2);
  EXPECT_EQ(orrery("state set counter/s - < /dev/null").code, 2);
}

TEST_F(orrery_program, a_suspended_process_answers_when_it_is_resumed) {
  orrery("call counter/asleep add 1");
  EXPECT_EQ(orrery("suspend counter/asleep").out, "suspended counter/asleep\n");
  EXPECT_THAT(orrery("inspect counter/asleep").out, HasSubstr("State:         suspended\n"));
  EXPECT_THAT(orrery("call counter/asleep get --timeout 100ms").err, StartsWith("orrery: deadline_exceeded: "));
  orrery("cast counter/asleep add 4");
  EXPECT_EQ(orrery("resume counter/asleep").out, "resumed counter/asleep\n");
  EXPECT_EQ(orrery("call counter/asleep get").out, "5\n");
}

TEST_F(orrery_program, the_greatest_processes_and_crashes_are_tables_when_piped) {
  orrery("call counter/great add 1");
  EXPECT_THAT(orrery("top --by memory").out,
              AllOf(StartsWith("NAME"), HasSubstr("counter/great"), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(nlohmann::json::parse(orrery("top --by memory -o json").out)["by"], "memory");
  EXPECT_EQ(orrery("top --by beauty").code, 2);
  orrery("kill counter/great --reason 'for the list'");
  EXPECT_THAT(orrery("crashes counter/great").out, AllOf(StartsWith("AGO  NAME"), HasSubstr("killed: for the list")));
  EXPECT_THAT(orrery("crashes --class counter -o wide").out, HasSubstr("Decision:      restarted\n"));
  EXPECT_EQ(orrery("crashes counter/never").out, "No crashes are remembered.\n");
  EXPECT_EQ(orrery("crashes counter/great --class counter").code, 2);
}

TEST_F(orrery_program, a_trace_prints_a_line_for_each_message_and_ends_by_itself) {
  const auto out_path = std::filesystem::temp_directory_path() / ("orrery-cli-trace-" + std::to_string(getpid()));
  orrery("call counter/t add 0");
  std::thread tracing([&] { orrery("trace counter/t --limit 2 --seconds 20 > " + out_path.string()); });
  EXPECT_TRUE(local_mesh::eventually(10s, [&] {
    orrery("call counter/t add 1");
    return slurp(out_path).find("call add 1 → reply") != std::string::npos;
  }));
  orrery("call counter/t add 1");
  tracing.join();
  EXPECT_THAT(slurp(out_path), Not(HasSubstr("ended")));
  std::filesystem::remove(out_path);
  EXPECT_THAT(orrery("trace nope/x").err, HasSubstr("no class 'nope'"));
}

TEST_F(orrery_program, the_tree_goes_as_deep_as_is_asked_for) {
  orrery("call counter/leaf add 1");
  EXPECT_THAT(orrery("tree").out, AllOf(HasSubstr("└─ kv"), Not(HasSubstr("leaf"))));
  EXPECT_THAT(orrery("tree --depth 2").out, HasSubstr("leaf  running"));
  EXPECT_THAT(orrery("tree --class counter").out, AllOf(HasSubstr("leaf"), Not(HasSubstr("kv"))));
  EXPECT_THAT(orrery("tree --depth 0").out, AllOf(StartsWith("NODE"), Not(HasSubstr("counter"))));
  EXPECT_EQ(orrery("tree --depth 3").code, 2);
}

TEST_F(orrery_program, a_class_that_there_is_not_is_said_so_with_those_that_there_are) {
  for (const auto* key : {"a", "b", "c", "d"}) {  // whichever node they belong to
    for (const std::string command :
         {"call cart/{} get", "cast cart/{} add 1", "inspect cart/{}", "kill cart/{}", "stop cart/{}"}) {
      const auto got = orrery(fmt::format(fmt::runtime(command), key));
      EXPECT_EQ(got.code, 1) << command;
      EXPECT_EQ(got.err, "orrery: not_found: no class 'cart'; known classes: counter, kv\n") << command;
    }
  }
}

TEST_F(orrery_program, what_goes_wrong_has_an_exit_code_and_says_what_to_do) {
  EXPECT_EQ(orrery("").code, 2);
  EXPECT_EQ(orrery("nonsense").code, 2);
  EXPECT_EQ(orrery("nodes -o xml").code, 2);
  EXPECT_EQ(orrery("call counter").code, 2);
  EXPECT_EQ(orrery("call counter get").code, 2);
  EXPECT_EQ(orrery("call counter/a get --timeout soon").code, 2);
  const auto quoted = orrery("call counter/a add tea");
  EXPECT_EQ(quoted.code, 2);
  EXPECT_THAT(quoted.err, HasSubstr(R"('"tea"')"));
  const auto method = orrery("call counter/a nonsense");
  EXPECT_EQ(method.code, 1);
  EXPECT_THAT(method.err, HasSubstr("not_found"));
  const auto unreachable = run("nodes --sidecar http://127.0.0.1:1");
  EXPECT_EQ(unreachable.code, 3);
  EXPECT_THAT(unreachable.err, HasSubstr("cannot reach http://127.0.0.1:1: Connection refused"));
  EXPECT_EQ(run("nodes --sidecar nonsense").code, 2);
  EXPECT_EQ(run("nodes --mesh demo --kubeconfig /nonexistent").code, 4);
  EXPECT_THAT(run("attach").err, HasSubstr("attach needs --mesh NAME"));
  EXPECT_EQ(run("attach --mesh demo ls").code, 2);
  EXPECT_EQ(run("attach --mesh demo --port 0").code, 2);
  EXPECT_EQ(run("attach --mesh demo --kubeconfig /nonexistent -- ls -l").code, 4);
}

TEST_F(orrery_program, a_server_that_is_no_sidecar_is_recognised) {
  const auto got = run("nodes --sidecar http://" + mesh_->ip(0) + ":3602");  // the admin port: plain text
  EXPECT_EQ(got.code, 1);
  EXPECT_THAT(got.err, HasSubstr("no sidecar"));
}

TEST_F(orrery_program, events_are_followed_until_it_is_interrupted) {
  const auto out_path = std::filesystem::temp_directory_path() / ("orrery-cli-events-" + std::to_string(getpid()));
  const auto url = mesh_->sdk_url(0);
  const auto child = ::fork();
  if (child == 0) {
    if (std::freopen(out_path.c_str(), "w", stdout) == nullptr) _exit(127);
    ::execl(ORRERY_BINARY, "orrery", "--sidecar", url.c_str(), "events", nullptr);
    _exit(127);
  }
  // Of some keys, half live on this node, whose stream tells of them.
  const auto seen = local_mesh::eventually(10s, [&] {
    for (int i = 0; i < 8; ++i) {
      orrery("call counter/watched" + std::to_string(i) + " add 1");
      orrery("stop counter/watched" + std::to_string(i));
    }
    return slurp(out_path).find("process_started") != std::string::npos;
  });
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(seen) << slurp(out_path);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  std::filesystem::remove(out_path);
}

TEST_F(orrery_program, help_names_the_exit_codes_and_completion_is_a_script) {
  EXPECT_THAT(run("--help").out, HasSubstr("Exit codes:"));
  EXPECT_THAT(run("call --help").out, HasSubstr("CLASS/KEY"));
  EXPECT_THAT(run("version").out, StartsWith("orrery "));
  EXPECT_EQ(run("completion bash | bash -n").code, 0);
  EXPECT_EQ(run("completion tcsh").code, 2);
}

}  // namespace
}  // namespace orrery::cli
