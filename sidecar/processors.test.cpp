#include "sidecar/processors.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace orrery::sidecar {
namespace {

namespace fs = std::filesystem;

class a_process : public ::testing::Test {
 protected:
  a_process() {
    std::string place = (fs::temp_directory_path() / "orrery-processors-XXXXXX").string();
    root = ::mkdtemp(place.data());
  }
  ~a_process() override { fs::remove_all(root); }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  [[nodiscard]] std::optional<double> quota() const { return processor_quota(root.string()); }
  fs::path root;
};

TEST_F(a_process, may_use_all_processors_where_no_control_group_says_otherwise) {
  EXPECT_EQ(quota(), std::nullopt);
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu.max", "nonsense\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(a_process, may_use_the_least_quota_of_its_control_groups) {
  write("proc/self/cgroup", "0::/kubepods/pod1\n");
  write("sys/fs/cgroup/kubepods/pod1/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
  write("sys/fs/cgroup/kubepods/cpu.max", "120000 100000\n");  // of a group above it
  EXPECT_EQ(quota(), 1.2);
  write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(a_process, may_use_the_quota_of_a_control_group_of_version_1) {
  write("proc/self/cgroup", "5:cpu,cpuacct:/kubepods/pod1\n3:memory:/kubepods/pod1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("sys/fs/cgroup/cpu/kubepods/pod1/cpu.cfs_quota_us", "10000\n");
  write("sys/fs/cgroup/cpu/kubepods/pod1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0.1);
}

TEST(processors, are_at_least_one) { EXPECT_GE(processors_allowed(), 1U); }

}  // namespace
}  // namespace orrery::sidecar
