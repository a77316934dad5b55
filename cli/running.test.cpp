#include "cli/running.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orrery::cli {
namespace {

using ::testing::HasSubstr;

int run(const std::vector<std::string>& words, const surroundings& given = {}) {
  return run_to_its_end(words, given, [] {});
}

TEST(a_command, ends_with_its_own_status) {
  EXPECT_EQ(run({"true"}), 0);
  EXPECT_EQ(run({"sh", "-c", "exit 42"}), 42);
  EXPECT_EQ(run({"sh", "-c", "kill -TERM $$"}), 128 + SIGTERM);
  EXPECT_EQ(run({"test", "[1,2]", "=", "[1,2]"}), 0);
}

TEST(a_command, that_cannot_be_run_has_the_status_that_shells_give) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run({"no-such-program-anywhere"}), 127);
  EXPECT_EQ(run({"/dev/null/nonsense"}), 127);
  EXPECT_EQ(run({"/etc/passwd"}), 126);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("orrery: not_found: cannot run no-such-program-anywhere: No such file or directory\n"));
}

TEST(a_command, has_the_environment_as_it_was_and_what_is_set) {
  ::setenv("ORRERY_TEST_BEFORE", "old", 1);
  ::setenv("ORRERY_TEST_KEPT", "kept", 1);
  surroundings given;
  ::setenv("ORRERY_TEST_SINCE", "since", 1);
  given.set("ORRERY_TEST_BEFORE", "new");
  EXPECT_EQ(run({"sh", "-c", R"(test "$ORRERY_TEST_BEFORE$ORRERY_TEST_KEPT$ORRERY_TEST_SINCE" = newkept)"}, given), 0);
}

TEST(a_command, inherits_what_was_open_before_and_nothing_since) {
  const int before = ::open("/dev/null", O_RDONLY);
  const surroundings given;
  const int since = ::open("/dev/null", O_RDONLY);
  const auto look =
      "test -e /proc/self/fd/" + std::to_string(before) + " && test ! -e /proc/self/fd/" + std::to_string(since);
  EXPECT_EQ(run({"sh", "-c", look}, given), 0);
  ::close(before);
  ::close(since);
}

TEST(a_command, gets_the_signals_that_this_program_gets_and_decides_itself) {
  const surroundings given;
  const std::vector<std::string> stubborn{"sh", "-c",
                                          "trap 'exit 7' TERM; kill -TERM $PPID; while :; do sleep 0.01; done"};
  EXPECT_EQ(run(stubborn, given), 7);
  const std::vector<std::string> yielding{"sh", "-c", "kill -INT $PPID; while :; do sleep 0.01; done"};
  EXPECT_EQ(run(yielding, given), 128 + SIGINT);
}

TEST(a_command, has_the_signals_that_come_as_soon_as_it_runs) {
  EXPECT_EQ(run_to_its_end({"sleep", "60"}, {}, [] { ::raise(SIGTERM); }), 128 + SIGTERM);
}

// One of the terminal's foreground group has it from there; this one is not of it, so that it would hear an echo alone.
TEST(a_command, is_not_told_again_what_the_terminal_tells) {
  int terminal = -1;
  const auto attached = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (attached == 0) {
    ::_exit(run(
        {"setsid", "sh", "-c",
         "n=0; trap 'n=$((n+1))' INT; echo up; i=0; while [ $i -lt 40 ]; do sleep 0.01; i=$((i+1)); done; exit $n"}));
  }
  std::string said;
  for (char each = 0; said.find("up") == std::string::npos && ::read(terminal, &each, 1) == 1;)
    said += each;
  EXPECT_EQ(::write(terminal, "\x03", 1), 1);
  int status = 0;
  ::waitpid(attached, &status, 0);
  ::close(terminal);
  ASSERT_TRUE(WIFEXITED(status)) << said;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(a_command, dies_of_a_broken_pipe_though_this_program_does_not) {
  std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(run({"sh", "-c", "kill -PIPE $$"}), 128 + SIGPIPE);
  std::signal(SIGPIPE, SIG_DFL);
}

TEST(a_command, leaves_signals_as_they_were) {
  const auto before = std::signal(SIGUSR1, SIG_IGN);
  EXPECT_EQ(run({"sh", "-c", "kill -USR1 $PPID"}), 0) << "ignored, and so by the command";
  EXPECT_EQ(std::signal(SIGUSR1, before), SIG_IGN);
  EXPECT_EQ(std::signal(SIGTERM, SIG_DFL), SIG_DFL);
}

}  // namespace
}  // namespace orrery::cli
