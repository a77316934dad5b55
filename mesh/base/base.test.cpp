#include "mesh/base/assert.hpp"
#include "mesh/base/hash.hpp"
#include "mesh/base/identity.hpp"
#include "mesh/base/ids.hpp"
#include "mesh/base/random.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/time.hpp"

#include <gtest/gtest.h>

#include <set>

namespace orrery {
namespace {

TEST(text, is_cut_between_characters) {
  EXPECT_EQ(cut_text("abc", 3), "abc");
  EXPECT_EQ(cut_text("abcd", 3), "abc");
  EXPECT_EQ(cut_text("aé", 2), "a");
  EXPECT_EQ(cut_text("€", 2), "");
}

TEST(result, every_code_has_a_name_that_reads_back) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(errc::internal); ++i) {
    const auto code = static_cast<errc>(i);
    EXPECT_EQ(errc_from(to_string(code)), code);
    names.insert(to_string(code));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(errc::internal) + 1);
  EXPECT_EQ(errc_from("from_the_future"), errc::internal);
  EXPECT_EQ(took_effect_from("from_the_future"), took_effect::unknown);
}

TEST(process_name, splits_at_the_first_slash_and_keeps_the_rest_as_the_key) {
  const auto name = parse_process_name("cart/user/42/ü");
  ASSERT_TRUE(name) << to_string(name.error());
  EXPECT_EQ(name->klass.value, "cart");
  EXPECT_EQ(name->key.value, "user/42/ü");
  EXPECT_EQ(to_string(*name), "cart/user/42/ü");
}

TEST(process_name, says_what_is_wrong_with_a_bad_name) {
  const auto code = [](std::string_view text) { return parse_process_name(text).error().code; };
  EXPECT_EQ(code("cart"), errc::invalid_argument);
  EXPECT_EQ(code("/a"), errc::invalid_argument);
  EXPECT_EQ(code("cart/"), errc::invalid_argument);
  EXPECT_EQ(code("Cart/a"), errc::invalid_argument);
  EXPECT_EQ(code("cart/\xff"), errc::invalid_argument);
  EXPECT_EQ(code("cart/\xed\xa0\x80"), errc::invalid_argument);  // a surrogate
  EXPECT_EQ(code("cart/" + std::string(process_key_bytes_max + 1, 'k')), errc::too_large);
  EXPECT_NE(parse_process_name("cart").error().context.find("class/key"), std::string::npos);
}

TEST(mesh_identity, reads_back_from_its_uri_and_refuses_others) {
  const mesh_identity identity{"default", "demo", "demo-x7k2p"};
  EXPECT_EQ(parse_identity(to_uri(identity)).value(), identity);
  for (const auto* bad :
       {"", "orrery://", "orrery://a/b", "orrery://a/b/", "orrery://a/b/c/d", "spiffe://a/b/c", "orrery://a/B/c"}) {
    EXPECT_EQ(parse_identity(bad).error().code, errc::invalid_argument) << bad;
  }
}

TEST(seeded_random, repeats_from_its_seed_and_stays_in_bounds) {
  seeded_random a{7};
  seeded_random b{7};
  seeded_random c{8};
  EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(a.next(), c.next());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LT(a.below(10), 10U);
    const double unit = a.unit();
    EXPECT_TRUE(unit >= 0.0 && unit < 1.0);
  }
}

TEST(stable_hash, never_changes_because_placement_depends_on_it) {
  EXPECT_EQ(stable_hash("counter/a"), 0x3d66b5015635a671U);
  EXPECT_NE(stable_hash("counter/a"), stable_hash("counter/a", 1));
}

TEST(time, after_saturates_instead_of_overflowing) {
  const time_point now{std::chrono::hours{1}};
  EXPECT_EQ(after(now, std::chrono::seconds{1}) - now, std::chrono::seconds{1});
  EXPECT_EQ(after(now, duration::max()), never);
}

TEST(assertion, aborts_with_the_place) { EXPECT_DEATH(ORRERY_ASSERT(1 + 1 == 3), "assertion failed: 1 \\+ 1 == 3"); }

}  // namespace
}  // namespace orrery
