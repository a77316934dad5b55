#include "mesh/base/siphash.hpp"

#include <bit>
#include <cstddef>

namespace orrery {
namespace {

struct state {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int count) noexcept {
    for (; count > 0; --count) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) noexcept {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
};

/// Up to eight bytes, the first the lowest.
std::uint64_t word_of(std::string_view bytes) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << 8U * i;
  return word;
}

}  // namespace

std::uint64_t siphash(sip_key key, std::string_view bytes) noexcept {
  state of{key.first ^ 0x736f6d6570736575U, key.second ^ 0x646f72616e646f6dU, key.first ^ 0x6c7967656e657261U,
           key.second ^ 0x7465646279746573U};
  const std::uint64_t length = bytes.size();
  for (; bytes.size() >= 8; bytes.remove_prefix(8))
    of.take(word_of(bytes.substr(0, 8)));
  of.take(word_of(bytes) | length << 56U);
  of.v2 ^= 0xff;
  of.rounds(4);
  return of.v0 ^ of.v1 ^ of.v2 ^ of.v3;
}

}  // namespace orrery
