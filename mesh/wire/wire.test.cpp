#include "mesh/base/random.hpp"
#include "mesh/wire/frame.hpp"
#include "mesh/wire/value.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery {
namespace {

TEST(value, keeps_json_through_cbor) {
  for (const auto* text :
       {"null", "true", "-7", "18446744073709551615", "1.5", "\"ü\"", "[1,[2,{\"a\":null}]]", "{}"}) {
    const auto parsed = value::from_json(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->json_text(), text);
    EXPECT_EQ(value::from_cbor(parsed->cbor()).value(), *parsed);
  }
  EXPECT_EQ(value{}.json_text(), "null");
}

TEST(value, says_where_json_is_wrong) {
  const auto refused = value::from_json("{\"a\": }");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::invalid_argument);
  EXPECT_NE(refused.error().context.find("line 1, column 7"), std::string::npos) << refused.error().context;
}

TEST(value, refuses_numbers_that_no_float_holds) {
  for (const auto& text :
       {std::string{"1e999"}, std::string(400, '1'), std::string{"[-1e999]"}, std::string{"{\"a\":1e400}"}}) {
    const auto refused = value::from_json(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, errc::invalid_argument);
    EXPECT_LT(refused.error().context.size(), 200U);
  }
}

TEST(value, refuses_what_is_too_big_or_too_deep) {
  EXPECT_EQ(value::from_json("\"" + std::string(value_bytes_max, 'x') + "\"").error().code, errc::too_large);
  EXPECT_EQ(value::from_json(std::string(100'000, '[')).error().code, errc::too_large);
  EXPECT_EQ(value::from_cbor(bytes(100'000, 0x81)).error().code, errc::too_large);
  EXPECT_EQ(value::from_cbor(bytes{0x82, 0x01}).error().code, errc::protocol);        // an array that ends early
  EXPECT_EQ(value::from_cbor(bytes{0x01, 0x01}).error().code, errc::protocol);        // two items
  EXPECT_EQ(value::from_cbor(bytes{0xa1, 0x01, 0x01}).error().code, errc::protocol);  // a map with a number as key
  EXPECT_EQ(value::from_cbor(bytes{}).error().code, errc::protocol);
}

TEST(value, nests_as_deep_from_cbor_as_from_json) {
  const auto from_json = [](int depth) {
    return value::from_json(std::string(static_cast<std::size_t>(depth), '[') +
                            std::string(static_cast<std::size_t>(depth), ']'));
  };
  const auto from_cbor = [](int depth, std::uint8_t innermost) {
    bytes encoded(static_cast<std::size_t>(depth) - 1, 0x81);
    encoded.push_back(innermost);
    return value::from_cbor(encoded);
  };
  ASSERT_TRUE(from_json(value_depth_max));
  EXPECT_EQ(from_cbor(value_depth_max, 0x80).value(), from_json(value_depth_max).value());
  EXPECT_TRUE(from_cbor(value_depth_max + 1, 0x01));  // a number in the innermost array
  EXPECT_EQ(from_json(value_depth_max + 1).error().code, errc::too_large);
  EXPECT_EQ(from_cbor(value_depth_max + 1, 0x80).error().code, errc::too_large);
  EXPECT_EQ(from_cbor(value_depth_max + 1, 0xa0).error().code, errc::too_large);
}

TEST(frame, comes_back_whole_from_any_split_of_the_stream) {
  const wire::frame first{.type = 3, .payload = {1, 2, 3}};
  const wire::frame second{.type = 4, .payload = {}};
  bytes stream = wire::encode(first);
  const bytes tail = wire::encode(second);
  stream.insert(stream.end(), tail.begin(), tail.end());
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    wire::frame_decoder decoder;
    std::vector<wire::frame> seen;
    for (const auto part : {byte_view(stream).first(cut), byte_view(stream).subspan(cut)}) {
      decoder.feed(part);
      wire::frame out;
      while (decoder.next(out).value())
        seen.push_back(out);
    }
    EXPECT_EQ(seen, (std::vector<wire::frame>{first, second})) << "cut at " << cut;
    EXPECT_EQ(decoder.buffered(), 0U);
  }
}

TEST(frame, any_flipped_bit_is_noticed_and_never_becomes_another_frame) {
  const bytes good = wire::encode({.type = 3, .payload = {10, 20, 30}});
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    bytes bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    wire::frame_decoder decoder;
    decoder.feed(bad);
    wire::frame out;
    const auto outcome = decoder.next(out);
    EXPECT_FALSE(outcome && *outcome) << "bit " << bit;
  }
}

TEST(frame, a_refused_length_is_not_waited_for) {
  wire::frame_decoder decoder;
  decoder.feed(bytes{0xff, 0xff, 0xff, 0xff, 1, 0, wire::frame_format, 0, 0, 0, 0, 0});
  wire::frame out;
  EXPECT_EQ(decoder.next(out).error().code, errc::too_large);
}

TEST(frame, random_bytes_are_refused_or_waited_for) {
  seeded_random random{1};
  for (int round = 0; round < 2000; ++round) {
    bytes noise(random.below(64));
    for (auto& byte : noise)
      byte = static_cast<std::uint8_t>(random.next());
    wire::frame_decoder decoder;
    decoder.feed(noise);
    wire::frame out;
    const auto outcome = decoder.next(out);
    EXPECT_FALSE(outcome && *outcome);
    static_cast<void>(value::from_cbor(noise));
  }
}

TEST(crc32c, matches_the_published_check_value) { EXPECT_EQ(wire::crc32c(as_bytes("123456789")), 0xe3069283U); }

}  // namespace
}  // namespace orrery
