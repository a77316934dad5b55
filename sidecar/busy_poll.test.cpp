#include "sidecar/busy_poll.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

namespace orrery::sidecar {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

/// In how many of so many waits it looks, where each look ends like this.
unsigned looks(busy_poll& of, unsigned waits, bool found) {
  unsigned count = 0;
  for (unsigned i = 0; i < waits; ++i) {
    if (of.next() == 0us) continue;
    ++count;
    of.found(found);
  }
  return count;
}

TEST(busy_poll, goes_on_while_it_finds_work) {
  busy_poll one(50us);
  EXPECT_EQ(looks(one, busy_poll::tried_one_in, true), 1U);
  EXPECT_EQ(looks(one, 1000, true), 1000U);
}

TEST(busy_poll, stops_soon_where_there_is_none_and_tries_now_and_then) {
  busy_poll one(50us);
  looks(one, 1000, true);
  EXPECT_LE(looks(one, busy_poll::tried_one_in - 1, false), 4U);
  EXPECT_EQ(looks(one, 10 * busy_poll::tried_one_in, false), 10U);
}

TEST(busy_poll, sleeps_where_work_comes_too_late_as_often_as_in_time) {
  busy_poll one(50us);
  looks(one, 1000, true);
  unsigned count = 0;
  for (int i = 0; i < 1000; ++i) {
    if (one.next() == 0us) continue;
    ++count;
    one.found(count % 2 == 0);
  }
  EXPECT_LT(count, 50U);
}

TEST(busy_poll, of_no_length_never_looks) {
  busy_poll none(0us);
  EXPECT_EQ(looks(none, 1000, true), 0U);
}

TEST(busy_poll, runs_a_loop_until_it_is_stopped) {
  boost::asio::io_context io{1};
  const auto stays = boost::asio::make_work_guard(io);
  int done = 0;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) {
      boost::asio::post(io, [&] { ++done; });
      if (i % 10 == 0) std::this_thread::sleep_for(100us);
    }
    boost::asio::post(io, [&] { io.stop(); });
  });
  run(io, busy_poll{50us});
  other.join();
  EXPECT_EQ(done, 1000);
}

TEST(busy_poll, is_chosen_by_hand_or_by_the_processors) {
  EXPECT_EQ(*parse_busy_poll("auto"), std::nullopt);
  EXPECT_EQ(**parse_busy_poll("off"), 0us);
  EXPECT_EQ(**parse_busy_poll("20us"), 20us);
  for (const auto* bad : {"", "on", "2ms", "-1us", "5"}) {
    const auto refused = parse_busy_poll(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().context, HasSubstr("neither auto, nor off, nor a duration up to 1ms"));
  }
  EXPECT_EQ(busy_poll_length(2, {}), busy_poll::usual_length);
  EXPECT_EQ(busy_poll_length(8, 2.0), busy_poll::usual_length);
  EXPECT_EQ(busy_poll_length(8, 1.5), 0us);
  EXPECT_EQ(busy_poll_length(1, {}), 0us);
}

class processors : public ::testing::Test {
 protected:
  processors() {
    std::string place = (fs::temp_directory_path() / "orrery-processors-XXXXXX").string();
    root = ::mkdtemp(place.data());
  }
  ~processors() override { fs::remove_all(root); }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  [[nodiscard]] std::optional<double> quota() const { return processor_quota(root.string()); }
  fs::path root;
};

TEST_F(processors, are_all_where_no_control_group_says_otherwise) {
  EXPECT_EQ(quota(), std::nullopt);
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu.max", "nonsense\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(processors, are_as_many_as_the_quota_of_a_control_group) {
  write("proc/self/cgroup", "0::/kubepods/pod1\n");
  write("sys/fs/cgroup/kubepods/pod1/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
  write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(processors, are_as_many_as_the_quota_of_a_control_group_of_version_1) {
  write("proc/self/cgroup", "5:cpu,cpuacct:/kubepods/pod1\n3:memory:/kubepods/pod1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu/kubepods/pod1/cpu.cfs_quota_us", "10000\n");
  write("sys/fs/cgroup/cpu/kubepods/pod1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0.1);
}

}  // namespace
}  // namespace orrery::sidecar
