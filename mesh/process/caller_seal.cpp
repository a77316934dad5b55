#include "mesh/process/caller_seal.hpp"

#include <array>

namespace orrery::process {
namespace {

constexpr std::string_view prefix = "caller-";
constexpr std::size_t digits = 8;  // of each of the five numbers; the seal has twice as many
constexpr std::size_t content = prefix.size() + 5 * digits;

void put(std::string& into, std::uint64_t number, std::size_t count) {
  for (std::size_t left = count; left > 0; --left)
    into.push_back("0123456789abcdef"[number >> 4 * (left - 1) & 15U]);
}

/// Of what has the right length; other digits give a number that no seal fits.
std::uint64_t number_at(std::string_view text, std::size_t at, std::size_t count) {
  std::uint64_t number = 0;
  for (const char c : text.substr(at, count))
    number = number << 4U | static_cast<unsigned>(c >= 'a' ? c - 'a' + 10 : c - '0') % 16U;
  return number;
}

}  // namespace

std::string caller_seal::text_of(const kernel::caller& whom) const {
  std::string text{prefix};
  text.reserve(content + 2 * digits);
  for (const auto number : {whom.from.node, whom.from.slot, whom.from.generation, whom.ref.slot, whom.ref.generation})
    put(text, number, digits);
  put(text, siphash(key_, text), 2 * digits);
  return text;
}

std::optional<kernel::caller> caller_seal::open(std::string_view text) const {
  if (text.size() != content + 2 * digits || !text.starts_with(prefix)) return {};
  if (number_at(text, content, 2 * digits) != siphash(key_, text.substr(0, content))) return {};
  std::array<std::uint32_t, 5> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<std::uint32_t>(number_at(text, prefix.size() + i * digits, digits));
  return kernel::caller{{numbers[0], numbers[1], numbers[2]}, {numbers[3], numbers[4]}};
}

}  // namespace orrery::process
