#include "mesh/wire/value.hpp"

#include "mesh/wire/cbor.hpp"

#include <gtest/gtest.h>

#include <array>
#include <barrier>
#include <limits>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace orrery {
namespace {

static_assert(sizeof(value) == 16);
static_assert(std::is_nothrow_default_constructible_v<value> && std::is_nothrow_copy_constructible_v<value>);
static_assert(std::is_nothrow_move_constructible_v<value> && std::is_nothrow_move_assignable_v<value>);

template <class Value>
concept gives_bytes = requires(Value&& from) {
  std::forward<Value>(from).cbor();
};
static_assert(gives_bytes<value&> && gives_bytes<const value&>);
static_assert(!gives_bytes<value> && !gives_bytes<const value>, "the bytes would go with the temporary");

/// One byte string whose whole encoding has `size` bytes.
bytes encoding_of(std::size_t size, std::uint8_t fill = 7) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::byte_string, size < 25 ? size - 1 : size < 258 ? size - 2 : size - 3);
  encoded.resize(size, fill);
  return encoded;
}

bool holds(const value& held, const bytes& encoded) { return std::ranges::equal(held.cbor(), encoded); }

/// Do its bytes lie in the value itself?
bool in_place(const value& held) {
  const auto* const own = reinterpret_cast<const std::uint8_t*>(&held);
  return std::less_equal<>{}(own, held.cbor().data()) && std::less<>{}(held.cbor().data(), own + sizeof held);
}

// 14, 15 and 16 are the border between the two ways to hold bytes.
constexpr std::array sizes{1UL, 2UL, 14UL, 15UL, 16UL, 17UL, 24UL, 300UL, 60'000UL};

TEST(value_storage, items_of_up_to_fifteen_bytes_live_in_the_value) {
  for (const auto size : sizes) {
    const auto encoded = encoding_of(size);
    ASSERT_EQ(encoded.size(), size);
    const auto held = value::adopt(encoded);
    EXPECT_TRUE(holds(held, encoded)) << size;
    EXPECT_EQ(in_place(held), size <= value::small_max) << size;
    EXPECT_EQ(value::from_cbor(encoded).value(), held) << size;
  }
}

TEST(value_storage, a_value_of_nothing_is_null) {
  const value nothing;
  EXPECT_TRUE(holds(nothing, {0xf6}));
  EXPECT_EQ(nothing, value::adopt(bytes{0xf6}));
  EXPECT_EQ(nothing, value::from_json("null").value());
}

TEST(value_storage, copies_share_a_block_and_outlive_each_other) {
  for (const auto size : sizes) {
    const auto encoded = encoding_of(size);
    auto first = std::make_unique<value>(value::adopt(encoded));
    const value second = *first;
    EXPECT_EQ(first->cbor().data() == second.cbor().data(), size > value::small_max) << size;
    EXPECT_EQ(*first, second);
    first.reset();
    EXPECT_TRUE(holds(second, encoded)) << size;
  }
}

TEST(value_storage, moved_from_is_null_and_may_be_used_again) {
  for (const auto size : sizes) {
    const auto encoded = encoding_of(size);
    value from = value::adopt(encoded);
    value to = std::move(from);
    EXPECT_TRUE(holds(to, encoded)) << size;
    EXPECT_EQ(from, value{}) << size;  // NOLINT(bugprone-use-after-move): this is what is promised
    from = value::adopt(encoding_of(size, 9));
    to = std::move(from);
    EXPECT_TRUE(holds(to, encoding_of(size, size == 1 ? 7 : 9))) << size;
    EXPECT_EQ(from, value{}) << size;  // NOLINT(bugprone-use-after-move)
  }
}

TEST(value_storage, assignment_lets_go_of_what_was_there) {
  for (const auto before : sizes) {
    for (const auto after : sizes) {
      value changed = value::adopt(encoding_of(before, 1));
      const value kept = changed;
      const value other = value::adopt(encoding_of(after, 2));
      changed = other;
      EXPECT_TRUE(holds(changed, encoding_of(after, 2))) << before << " " << after;
      EXPECT_TRUE(holds(kept, encoding_of(before, 1))) << before << " " << after;
      changed = value{};
      EXPECT_TRUE(holds(other, encoding_of(after, 2))) << before << " " << after;
    }
  }
}

TEST(value_storage, assigning_a_value_to_itself_keeps_it) {
  for (const auto size : sizes) {
    const auto encoded = encoding_of(size);
    value held = value::adopt(encoded);
    value& itself = held;
    held = itself;
    EXPECT_TRUE(holds(held, encoded)) << size;
    held = std::move(itself);
    EXPECT_TRUE(holds(held, encoded)) << size;
    const value twin = held;
    held = twin;  // the same block by another name
    EXPECT_TRUE(holds(held, encoded)) << size;
    std::swap(held, itself);
    EXPECT_TRUE(holds(held, encoded)) << size;
  }
}

TEST(value_storage, values_are_equal_where_their_bytes_are) {
  for (const auto one : sizes) {
    for (const auto other : sizes) {
      EXPECT_EQ(value::adopt(encoding_of(one)) == value::adopt(encoding_of(other)), one == other);
    }
    if (one == 1) continue;  // a head alone
    auto last_differs = encoding_of(one);
    last_differs.back() ^= 1U;
    EXPECT_NE(value::adopt(encoding_of(one)), value::adopt(last_differs)) << one;
  }
  // Trailing zeros of the content are not the zeros of unused room.
  EXPECT_NE(value::adopt(bytes{0x41, 0x00}), value::adopt(bytes{0x42, 0x00, 0x00}));
}

TEST(value_storage, a_value_may_be_written_in_its_place) {
  for (const auto size : sizes) {
    const auto encoded = encoding_of(size);
    const auto held = value::written(size, [&](std::span<std::uint8_t> room) {
      ASSERT_EQ(room.size(), size);
      std::ranges::copy(encoded, room.begin());
    });
    EXPECT_EQ(held, value::adopt(encoded)) << size;
  }
}

TEST(value_storage, nothing_encoded_is_a_bug_of_the_caller) {
  EXPECT_DEATH(static_cast<void>(value::adopt({})), "size");
}

TEST(value_storage, values_survive_the_growth_of_what_holds_them) {
  std::vector<value> many;
  for (std::size_t i = 0; i < 1000; ++i)
    many.push_back(value::adopt(encoding_of(2 + i % 30, static_cast<std::uint8_t>(i))));
  for (std::size_t i = 0; i < many.size(); ++i)
    ASSERT_TRUE(holds(many[i], encoding_of(2 + i % 30, static_cast<std::uint8_t>(i)))) << i;
}

TEST(value_storage, threads_may_copy_and_drop_values_of_one_block) {
  for (const std::size_t size : {15UL, 16UL, 300UL}) {
    const auto encoded = encoding_of(size);
    constexpr int threads = 4;
    constexpr int rounds = 2000;
    std::vector<int> wrong(threads, 0);
    std::barrier together(threads);
    auto original = std::make_unique<const value>(value::adopt(encoded));
    {
      std::vector<std::jthread> running;
      running.reserve(threads);
      for (int me = 0; me < threads; ++me) {
        running.emplace_back([&, me] {
          value mine = *original;
          together.arrive_and_wait();
          if (me == 0) original.reset();  // each thread lives on its own value from here on
          for (int i = 0; i < rounds; ++i) {
            value copy = mine;
            const value moved = std::move(copy);
            mine = moved;
            if (!holds(mine, encoded) || copy != value{}) ++wrong[static_cast<std::size_t>(me)];
          }
        });
      }
    }
    EXPECT_EQ(wrong, std::vector<int>(threads, 0)) << size;
    EXPECT_EQ(original, nullptr);
  }
}

TEST(cbor_value, integers_booleans_and_texts_are_encoded_as_json_is) {
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{23}, std::int64_t{24}, std::int64_t{255}, std::int64_t{256}, std::int64_t{65'535},
        std::int64_t{65'536}, std::int64_t{4'294'967'295}, std::int64_t{4'294'967'296}, most, std::int64_t{-1},
        std::int64_t{-24}, std::int64_t{-25}, std::int64_t{-256}, std::int64_t{-257}, least}) {
    const auto made = cbor::integer_value(number);
    EXPECT_EQ(made, value::from_json(std::to_string(number)).value()) << number;
    EXPECT_EQ(cbor::reader(made.cbor()).next().integer(), number);
    EXPECT_TRUE(in_place(made)) << number;
  }
  EXPECT_EQ(cbor::bool_value(true), value::from_json("true").value());
  EXPECT_EQ(cbor::bool_value(false), value::from_json("false").value());
  for (const std::size_t size : {0U, 1U, 13U, 14U, 15U, 23U, 24U, 255U, 256U, 65'535U, 65'536U}) {
    const std::string text(size, 'x');
    const auto made = cbor::text_value(text);
    EXPECT_EQ(made, value::from_json('"' + text + '"').value()) << size;
    EXPECT_EQ(cbor::text_of(made), text) << size;
    EXPECT_EQ(in_place(made), size <= 14) << size;
  }
}

}  // namespace
}  // namespace orrery
