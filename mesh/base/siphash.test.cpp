#include "mesh/base/siphash.hpp"

#include <gtest/gtest.h>

#include <string>

namespace orrery {
namespace {

/// The key 00 01 .. 0f and messages 00 01 02 ... of the paper's appendix and of the reference implementation.
constexpr sip_key counting{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
std::string first_bytes(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i)
    bytes.push_back(static_cast<char>(i));
  return bytes;
}

TEST(siphash, gives_what_the_paper_and_the_reference_implementation_give) {
  EXPECT_EQ(siphash(counting, first_bytes(0)), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(siphash(counting, first_bytes(1)), 0x74f839c593dc67fdU);
  EXPECT_EQ(siphash(counting, first_bytes(8)), 0x93f5f5799a932462U);
  EXPECT_EQ(siphash(counting, first_bytes(15)), 0xa129ca6149be45e5U);
}

TEST(siphash, differs_with_either_half_of_the_key) {
  EXPECT_NE(siphash({1, 2}, "x"), siphash({1, 3}, "x"));
  EXPECT_NE(siphash({1, 2}, "x"), siphash({0, 2}, "x"));
}

}  // namespace
}  // namespace orrery
