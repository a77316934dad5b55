#include "mesh/wire/json_size.hpp"

#include "mesh/wire/value.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace orrery {
namespace {

using nlohmann::json;

/// The longest of each kind of item.
std::vector<json> hard_ones() {
  return {nullptr,
          true,
          false,
          0,
          -1,
          -24,
          std::numeric_limits<std::int64_t>::min(),
          std::numeric_limits<std::uint64_t>::max(),
          -1.7976931348623157e+308,
          -2.2250738585072014e-308,
          -1e15,
          0.1,
          std::nan(""),
          "",
          std::string(100, '\x01'),
          std::string(100, '"'),
          std::string(100, '\n'),
          "näher am Ü, 日本語, \x7f",
          json::binary({}),
          json::binary(std::vector<std::uint8_t>(100, 255)),
          json::array(),
          json::object(),
          json{{"a", json::array({1, 2, json::object({{"", json::binary({})}})})}, {"\"", ""}}};
}

TEST(json_size, is_never_less_than_the_text) {
  json all = json::array();
  for (const auto& each : hard_ones()) {
    const auto made = value::from_document(each);
    ASSERT_TRUE(made);
    EXPECT_LE(made->json_text().size(), json_bytes_max(made->cbor())) << made->json_text();
    all.push_back(each);
  }
  const auto whole = value::from_document(all);
  ASSERT_TRUE(whole);
  EXPECT_LE(whole->json_text().size(), json_bytes_max(whole->cbor()));
}

TEST(json_size, holds_for_text_that_is_no_text) {
  const std::uint8_t encoded[] = {0x64, 0xff, 0xc3, 0x28, 0xe2};
  const auto made = value::from_cbor(encoded);
  ASSERT_TRUE(made);
  EXPECT_LE(made->json_text().size(), json_bytes_max(made->cbor()));
}

TEST(json_size, is_near_to_that_of_plain_text_and_of_many_small_items) {
  for (const json& each : {json(std::string(100'000, 'x')), json(std::vector<int>(10'000, 7)),
                           json(std::vector<json>(10'000, json::binary({})))}) {
    const auto made = value::from_document(each);
    ASSERT_TRUE(made);
    const auto text = static_cast<double>(made->json_text().size());
    EXPECT_LE(static_cast<double>(json_bytes_max(made->cbor())), 2.1 * text);
  }
}

}  // namespace
}  // namespace orrery
