#include "sidecar/sdk_turns.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace orrery::sidecar {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class sdk_turns_of : public ::testing::Test {
 protected:
  /// Has so many frames, and each takes so long.
  struct client final : turn_taker {
    client(sdk_turns_of& test, std::string called, int how_many, std::chrono::milliseconds each)
        : of(test), name(std::move(called)), frames(how_many), length(each) {}
    bool take_frames(std::chrono::steady_clock::time_point until) override {
      while (frames > 0) {
        of.seen.push_back(name);
        --frames;
        of.now += length;
        if (of.now >= until) return true;
      }
      return false;
    }
    sdk_turns_of& of;
    std::string name;
    int frames;
    std::chrono::milliseconds length;
  };
  std::shared_ptr<client> a_client(std::string name, int frames, std::chrono::milliseconds each) {
    return std::make_shared<client>(*this, std::move(name), frames, each);
  }

  boost::asio::io_context io;
  sdk_turns::clock::time_point now{};  ///< moves with the frames alone
  std::shared_ptr<sdk_turns> turns = std::make_shared<sdk_turns>(io, [this] { return now; });
  std::vector<std::string> seen;
};

TEST_F(sdk_turns_of, quick_frames_are_taken_at_once) {
  turns->want(a_client("a", 3, 0ms));
  turns->want(a_client("b", 2, 0ms));
  EXPECT_THAT(seen, ElementsAre("a", "a", "a", "b", "b"));
}

TEST_F(sdk_turns_of, slow_clients_take_turns) {
  turns->want(a_client("a", 3, 2ms));
  EXPECT_THAT(seen, ElementsAre("a"));
  turns->want(a_client("b", 2, 2ms));
  turns->want(a_client("quick", 1, 0ms));
  io.run();
  EXPECT_THAT(seen, ElementsAre("a", "a", "b", "quick", "a", "b"));
}

TEST_F(sdk_turns_of, timers_go_between_two_slow_frames) {
  boost::asio::steady_timer timer(io);
  timer.expires_after(0ms);
  timer.async_wait([&](boost::system::error_code) { seen.emplace_back("timer"); });
  turns->want(a_client("a", 2, 2ms));
  turns->want(a_client("b", 2, 2ms));
  io.run();
  ASSERT_GE(seen.size(), 3U);
  EXPECT_EQ(seen[0], "a");
  EXPECT_TRUE(seen[1] == "timer" || seen[2] == "timer") << seen[1] << ' ' << seen[2];
}

TEST_F(sdk_turns_of, one_that_wants_twice_is_once_in_line) {
  turns->want(a_client("a", 1, 2ms));
  const auto b = a_client("b", 1, 0ms);
  turns->want(b);
  turns->want(b);
  io.run();
  EXPECT_THAT(seen, ElementsAre("a", "b"));
}

TEST_F(sdk_turns_of, nothing_is_left_to_do_where_they_are_gone) {
  turns->want(a_client("a", 2, 2ms));
  turns.reset();
  io.run();
  EXPECT_THAT(seen, ElementsAre("a"));
}

}  // namespace
}  // namespace orrery::sidecar
