#include "sidecar/log_budget.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace orrery::sidecar {
namespace {

using told = std::vector<std::pair<std::string, std::uint64_t>>;

told renewed(log_budget& of) {
  told out;
  of.renew([&](const std::string& kind, std::uint64_t count) { out.emplace_back(kind, count); });
  return out;
}

TEST(log_budget, admits_so_many_of_each_kind_and_counts_the_others) {
  log_budget of(2);
  EXPECT_TRUE(of.admit("script_failed"));
  EXPECT_TRUE(of.admit("script_failed"));
  EXPECT_FALSE(of.admit("script_failed"));
  EXPECT_FALSE(of.admit("script_failed"));
  EXPECT_TRUE(of.admit("node_down")) << "kinds do not take each other's room";
  EXPECT_EQ(renewed(of), (told{{"script_failed", 2}}));
  EXPECT_TRUE(of.admit("script_failed"));
  EXPECT_EQ(renewed(of), told{});
}

}  // namespace
}  // namespace orrery::sidecar
