// A byte stream in pieces becomes the same frames as in one piece, whatever it holds. Input: the size of a piece, then
// the stream.
#include "mesh/wire/frame.hpp"

#include "mesh/base/assert.hpp"

#include <algorithm>
#include <vector>

namespace orrery::wire {
namespace {

struct account {
  std::vector<frame> frames;
  bool refused = false;
  friend bool operator==(const account&, const account&) = default;
};

account decode_in_pieces(byte_view stream, std::size_t piece) {
  account seen;
  frame_decoder decoder;
  while (!stream.empty() && !seen.refused) {
    const auto part = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(part.size());
    decoder.feed(part);
    for (;;) {
      frame next;
      const auto found = decoder.next(next);
      seen.refused = !found;
      if (!found || !*found) break;
      ORRERY_ASSERT(next.payload.size() <= payload_bytes_max);
      seen.frames.push_back(std::move(next));
    }
  }
  return seen;
}

}  // namespace
}  // namespace orrery::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  if (size == 0) return 0;
  const byte_view stream(data + 1, size - 1);
  const auto whole = wire::decode_in_pieces(stream, stream.size());
  ORRERY_ASSERT(wire::decode_in_pieces(stream, std::max<std::size_t>(data[0], 1)) == whole);

  bytes again;
  for (const auto& each : whole.frames) {
    const auto encoded = wire::encode(each);
    again.insert(again.end(), encoded.begin(), encoded.end());
  }
  ORRERY_ASSERT(again.size() <= stream.size() && std::equal(again.begin(), again.end(), stream.begin()));
  ORRERY_ASSERT(wire::decode_in_pieces(wire::encode({.type = 1, .payload = {stream.begin(), stream.end()}}), 7)
                    .frames.at(0)
                    .payload.size() == stream.size());
  return 0;
}
