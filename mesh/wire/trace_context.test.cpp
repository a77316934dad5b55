#include "mesh/wire/trace_context.hpp"

#include "mesh/wire/cbor.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

constexpr const char* trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(traces, go_with_an_argument_and_come_off_it_again) {
  for (const char* text : {"null", "7", R"({"a": [1, 2]})"}) {
    const auto plain = value::from_json(text).value();
    const auto carrying = with_trace(plain, trace);
    EXPECT_NE(carrying, plain);
    EXPECT_TRUE(value::from_cbor(carrying.cbor())) << "another node would take it";
    const auto [found, argument] = split_trace(carrying);
    EXPECT_EQ(found, trace);
    EXPECT_EQ(argument, plain);
  }
}

TEST(traces, that_are_malformed_are_dropped) {
  const auto plain = value::from_json("1").value();
  for (const char* text : {"", "00", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                           "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                           "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
                           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"}) {
    EXPECT_EQ(with_trace(plain, text), plain) << text;
  }
}

TEST(traces, are_dropped_where_the_argument_would_be_too_large_or_too_deep_with_them) {
  const auto large = cbor::text_value(std::string(value_bytes_max - 10, 'x'));
  EXPECT_EQ(with_trace(large, trace), large);
  const auto deep =
      value::from_json(std::string(value_depth_max - 1, '[') + std::string(value_depth_max - 1, ']')).value();
  EXPECT_EQ(with_trace(deep, trace), deep);
}

TEST(traces, are_not_seen_in_what_only_looks_like_them) {
  for (const bytes& encoded : {bytes{0xd9, 0x4f, 0x52, 0x82, 1, 2}, bytes{0xd9, 0x4f, 0x52, 0x82, 0x61, 'x', 2}}) {
    const auto odd = value::from_cbor(encoded).value();
    const auto [found, argument] = split_trace(odd);
    EXPECT_EQ(found, "");
    EXPECT_EQ(argument, odd);
  }
}

}  // namespace
}  // namespace orrery
