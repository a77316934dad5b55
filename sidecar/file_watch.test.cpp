#include "sidecar/file_watch.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace orrery::sidecar {
namespace {

namespace fs = std::filesystem;

class file_watch_test : public testing::Test {
 protected:
  file_watch_test() : dir_(fs::temp_directory_path() / ("orrery-watch-" + std::to_string(getpid()))) {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~file_watch_test() override { fs::remove_all(dir_); }
  void write(const fs::path& at, const std::string& text) const {
    fs::create_directories((dir_ / at).parent_path());
    std::ofstream(dir_ / at) << text;
  }
  fs::path dir_;
};

TEST_F(file_watch_test, notices_each_change_once) {
  write("a", "1");
  file_watch watch({dir_ / "a"});
  EXPECT_FALSE(watch.changed());
  write("a", "12");
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  fs::remove(dir_ / "a");
  EXPECT_TRUE(watch.changed());
  write("a", "12");
  EXPECT_TRUE(watch.changed());
}

TEST_F(file_watch_test, says_so_again_after_as_many_calls_as_were_asked_for) {
  write("a", "1");
  file_watch watch({dir_ / "a"});
  watch.again_after(3);
  EXPECT_FALSE(watch.changed());
  EXPECT_FALSE(watch.changed());
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
  watch.again_after(3);
  write("a", "12");
  EXPECT_TRUE(watch.changed());
  for (int i = 0; i < 5; ++i)
    EXPECT_FALSE(watch.changed()) << "a change in between was the next look";
}

TEST_F(file_watch_test, follows_the_symlink_swap_of_a_mounted_config_map) {
  write("..one/config.yaml", "same size");
  write("..two/config.yaml", "same size");
  fs::last_write_time(dir_ / "..two/config.yaml", fs::last_write_time(dir_ / "..one/config.yaml"));
  fs::create_directory_symlink("..one", dir_ / "..data");
  fs::create_symlink("..data/config.yaml", dir_ / "config.yaml");
  file_watch watch({dir_ / "config.yaml"});
  EXPECT_FALSE(watch.changed());
  fs::create_directory_symlink("..two", dir_ / "..next");
  fs::rename(dir_ / "..next", dir_ / "..data");
  EXPECT_TRUE(watch.changed());
  EXPECT_FALSE(watch.changed());
}

}  // namespace
}  // namespace orrery::sidecar
