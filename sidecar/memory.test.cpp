#include "sidecar/memory.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // gcc says so, and clang otherwise
#define OWN_ALLOCATOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR
#endif
#endif

namespace orrery::sidecar {
namespace {

constexpr std::size_t mb = 1U << 20U;

bool in_some_time(memory_watch& of, std::size_t resident, std::size_t held, int looks = memory_watch::quiet_for) {
  bool due = false;
  for (int i = 0; i < looks; ++i)
    due = of.due(resident, held);
  return due;
}

TEST(memory_watch, gives_back_what_a_peak_took_once_nothing_grows) {
  memory_watch of;
  EXPECT_FALSE(in_some_time(of, 20 * mb, 0));
  EXPECT_FALSE(of.due(400 * mb, 100 * mb));
  EXPECT_FALSE(in_some_time(of, 400 * mb, 0, memory_watch::quiet_for - 1));
  EXPECT_TRUE(of.due(400 * mb, 0));
  of.given_back(30 * mb, 0);
  EXPECT_FALSE(in_some_time(of, 30 * mb, 0, 1000));
}

TEST(memory_watch, leaves_what_is_used_alone_after_one_try) {
  memory_watch of;
  EXPECT_FALSE(of.due(500 * mb, 300 * mb));
  EXPECT_TRUE(in_some_time(of, 500 * mb, 300 * mb));
  of.given_back(500 * mb, 300 * mb);
  EXPECT_FALSE(in_some_time(of, 500 * mb, 300 * mb, 10'000));
  EXPECT_FALSE(in_some_time(of, 540 * mb, 330 * mb, 10'000));
  EXPECT_TRUE(in_some_time(of, 540 * mb, 0)) << "what held it has gone";
}

TEST(memory_watch, waits_while_it_grows) {
  memory_watch of;
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_FALSE(of.due(100 * mb + i * 2 * mb, 0));
}

TEST(memory, that_was_freed_in_between_goes_back_to_the_system) {
#ifdef OWN_ALLOCATOR
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
  std::vector<void*> all;
  for (int i = 0; i < 400'000; ++i) {
    all.push_back(std::malloc(400));  // NOLINT: what allocators are asked for
    std::memset(all.back(), 1, 400);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % 1000 != 0) std::free(all[i]);  // NOLINT
  }
  const auto before = resident_bytes();
  give_memory_back();
  EXPECT_LT(resident_bytes() + 100 * mb, before);
  for (std::size_t i = 0; i < all.size(); i += 1000)
    std::free(all[i]);  // NOLINT
}

}  // namespace
}  // namespace orrery::sidecar
