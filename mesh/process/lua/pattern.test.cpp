#include "mesh/process/lua/pattern.hpp"

#include <gtest/gtest.h>

#include <string>

namespace orrery::process {
namespace {

using failure = pattern_matcher::failure;

/// The first match, or "none", or why the pattern failed.
std::string first(std::string_view subject, std::string_view pattern, std::uint64_t steps = 100'000) {
  pattern_matcher matcher(subject, pattern, steps);
  for (std::size_t at = 0; at <= subject.size(); ++at) {
    const auto end = matcher.match_at(at);
    if (matcher.failed() == failure::out_of_steps) return "out of steps";
    if (matcher.failed() != failure::none) return matcher.why();
    if (end != pattern_matcher::no_match) return "'" + std::string{subject.substr(at, end - at)} + "'";
  }
  return "none";
}

TEST(pattern, classes_sets_and_repetitions_match_as_the_manual_says) {
  EXPECT_EQ(first("hello world", "o w"), "'o w'");
  EXPECT_EQ(first("key = value", "%w+"), "'key'");
  EXPECT_EQ(first("key = value", "=%s*(%w+)"), "'= value'");
  EXPECT_EQ(first("12-34", "%d+-%d+"), "'12-34'");
  EXPECT_EQ(first("aaab", "a-b"), "'aaab'");
  EXPECT_EQ(first("ab", "a?b"), "'ab'");
  EXPECT_EQ(first("b", "a?b"), "'b'");
  EXPECT_EQ(first("x]y", "[]]"), "']'");
  EXPECT_EQ(first("x-y", "[a%-]"), "'-'");
  EXPECT_EQ(first("xyz", "[^x]+"), "'yz'");
  EXPECT_EQ(first("0x1F", "%x+$"), "'1F'");
  EXPECT_EQ(first("f(a(b)c)d", "%b()"), "'(a(b)c)'");
  EXPECT_EQ(first("THE (quick) fox", "%f[%a]%a+%f[%A]"), "'THE'");
  EXPECT_EQ(first("abab", "(ab)%1"), "'abab'");
  EXPECT_EQ(first("A1", "%L"), "'A'");
  EXPECT_EQ(first("a.b", "%."), "'.'");
  EXPECT_EQ(first("abc", "z"), "none");
  EXPECT_EQ(first("abc", ""), "''");
  EXPECT_EQ(first(std::string_view{"z\0", 2}, "%z"), (std::string{"'\0'", 3}));  // as Lua still has it
  EXPECT_EQ(first(std::string_view{"\0z", 2}, "%Z"), "'z'");
}

TEST(pattern, a_position_cannot_be_referred_back_to) {
  EXPECT_EQ(first("ab", "()%1"), "none");
  EXPECT_EQ(first("ab", "(a)()%2"), "none");
}

TEST(pattern, captures_texts_and_positions) {
  pattern_matcher matcher("key=value", "(%w+)=()(%w+)", 1000);
  EXPECT_EQ(matcher.match_at(0), 9U);
  ASSERT_EQ(matcher.capture_count(), 3);
  EXPECT_EQ(matcher.captured(0).size, 3U);
  EXPECT_TRUE(matcher.captured(1).position);
  EXPECT_EQ(matcher.captured(1).start, 4U);
  EXPECT_EQ(matcher.captured(2).size, 5U);
}

TEST(pattern, malformed_ones_are_named) {
  EXPECT_EQ(first("a", "%"), "malformed pattern (ends with '%')");
  EXPECT_EQ(first("a", "[a"), "malformed pattern (missing ']')");
  EXPECT_EQ(first("a", "[%"), "malformed pattern (missing ']')");
  EXPECT_EQ(first("a", "[^"), "malformed pattern (missing ']')");
  EXPECT_EQ(first("a", "a)"), "invalid pattern capture");
  EXPECT_EQ(first("a", "%1"), "invalid capture index in pattern");
  EXPECT_EQ(first("a", "(%1)"), "invalid capture index in pattern");
  EXPECT_EQ(first("a", "%f"), "missing '[' after '%f' in pattern");
  EXPECT_EQ(first("a", "%b"), "missing arguments to '%b' in pattern");
  EXPECT_EQ(first("a", std::string(33 * 2, '(')), "too many captures");
}

TEST(pattern, exponential_and_deep_ones_end_at_their_bound) {
  std::string hostile;
  for (int i = 0; i < 25; ++i)
    hostile += "a?";
  EXPECT_EQ(first(std::string(25, 'a'), hostile + std::string(25, 'a') + "b"), "out of steps");
  EXPECT_EQ(first(std::string(2000, 'a'), ".-.-.-.-b"), "out of steps");
  std::string deep;
  for (int i = 0; i < 150; ++i)
    deep += "a?a-";
  EXPECT_EQ(first(std::string(400, 'a'), deep + "b", 10'000'000), "pattern too complex");
}

}  // namespace
}  // namespace orrery::process
