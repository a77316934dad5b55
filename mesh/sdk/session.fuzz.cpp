// Whatever a client sends, a session answers or ends, and never says the wrong thing to the node.
// Input: 0 and bytes of the connection as they are; 1 and the payload of one frame after a hello in CBOR; 2: the same
// in JSON.
#include "mesh/sdk/session.hpp"

#include "mesh/base/assert.hpp"

#include <algorithm>
#include <string>

namespace orrery::sdk {
namespace {

bytes framed(byte_view payload) {
  bytes out;
  for (unsigned shift = 32; shift > 0;) {
    shift -= 8;
    out.push_back(static_cast<std::uint8_t>(payload.size() >> shift));
  }
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

/// Everything that a session may want, whatever its client said.
void check(const outputs& all, bool& over) {
  for (const auto& each : all) {
    ORRERY_ASSERT(!over || std::holds_alternative<abandon>(each));
    if (const auto* sent = std::get_if<send>(&each)) {
      ORRERY_ASSERT(sent->frame.size() > length_bytes && sent->frame.size() <= frame_bytes_max + length_bytes);
    }
    if (const auto* told = std::get_if<tell_node>(&each)) {
      ORRERY_ASSERT(std::visit([](const auto& what) { return what.app == process::app_id{1}; }, told->what));
    }
    over |= std::holds_alternative<close>(each);
  }
}

}  // namespace
}  // namespace orrery::sdk

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  using namespace orrery::sdk;
  if (size == 0) return 0;
  const byte_view input{data + 1, size - 1};
  constexpr std::string_view json_hello = R"({"type": "hello", "version": 1})";
  constexpr std::uint8_t cbor_hello[] = {0xa2, 0x64, 't', 'y', 'p', 'e', 0x65, 'h', 'e', 'l', 'l',
                                         'o',  0x67, 'v', 'e', 'r', 's', 'i',  'o', 'n', 1};
  time_point now{std::chrono::seconds{1}};
  session of({"0", "node", "mesh"}, process::app_id{1}, now);
  outputs out;
  bool over = false;
  if (data[0] % 3 != 0) {
    of.received(now, framed(data[0] % 3 == 1 ? byte_view{cbor_hello} : as_bytes(json_hello)), out);
    ORRERY_ASSERT(of.greeted());
    of.received(now, framed(input), out);
  } else {
    for (std::size_t at = 0; at < input.size(); at += 7)  // in pieces, which must not matter
      of.received(now, input.subspan(at, std::min<std::size_t>(7, input.size() - at)), out);
  }
  check(out, over);
  out.clear();
  for (int second = 0; second < 70 && !over; ++second) {
    now += std::chrono::seconds{1};
    of.tick(now, out);
    check(out, over);
    out.clear();
  }
  ORRERY_ASSERT(over);  // a client that says nothing more is not kept
  return 0;
}
