#include "mesh/wire/excerpt.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace orrery {
namespace {

using ::testing::EndsWith;

value of(std::string_view text) { return value::from_json(text).value(); }

TEST(excerpts, of_what_fits_are_its_whole_JSON) {
  for (const auto* each :
       {"null", "true", "false", "0", "-1", "18446744073709551615", "-9223372036854775808", "1.5", "[]", "{}",
        R"([1,[2,{"a":null}],"x"])", R"({"a":{"b":[true]},"c":"d"})", R"("a \"quoted\" \\ text\n")", R"("ä € 😀")"}) {
    EXPECT_EQ(excerpt(of(each), 100), each);
  }
  EXPECT_EQ(excerpt(of(R"("\u0001")"), 100), R"("\u0001")");
}

TEST(excerpts, of_more_are_cut_between_characters_and_say_so) {
  EXPECT_EQ(excerpt(of(R"("0123456789")"), 10), "\"012345…");
  EXPECT_EQ(excerpt(std::string_view{"ääää"}, 7), "ää…");
  EXPECT_EQ(excerpt(std::string_view{"ääää"}, 8), "ääää");
  EXPECT_EQ(excerpt(std::string_view{"äää"}, 1), "…");
  for (std::size_t most = 3; most < 60; ++most) {
    const auto cut = excerpt(of(R"({"key": ["ä€😀", {"deep": [1, 2, 3]}], "other": "text"})"), most);
    EXPECT_LE(cut.size(), most);
    EXPECT_NO_THROW((void)nlohmann::json(cut).dump()) << "is no UTF-8 at " << most;
  }
}

TEST(excerpts, of_large_values_are_no_longer) {
  std::string large = "[";
  for (int i = 0; i < 100'000; ++i)
    large += "12345,";
  const auto whole = of(large + "0]");
  EXPECT_THAT(excerpt(whole, 64), EndsWith("…"));
}

TEST(excerpts, show_bytes_by_their_number) {
  EXPECT_EQ(excerpt(value::from_document(nlohmann::json::binary({1, 2, 3})).value(), 100), "\"<3 bytes>\"");
}

}  // namespace
}  // namespace orrery
