// What a peer says becomes a message or a refusal; what became a message can be said again, and is the same.
// Input: the frame's type, its payload.
#include "mesh/wire/messages.hpp"

#include "mesh/base/assert.hpp"

namespace orrery::wire {
namespace {

frame unframe(const bytes& encoded) {
  frame_decoder decoder;
  decoder.feed(encoded);
  frame out;
  ORRERY_ASSERT(decoder.next(out).value() && decoder.buffered() == 0);
  return out;
}

}  // namespace
}  // namespace orrery::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  if (size == 0) return 0;
  const wire::frame received{.type = data[0], .payload = {data + 1, data + size}};
  const auto made = wire::decode(received);
  if (!made) {
    ORRERY_ASSERT(made.error().code == errc::protocol && !made.error().context.empty());
    return 0;
  }
  if (std::holds_alternative<wire::unknown_message>(*made)) return 0;
  const auto said = wire::encode(*made);
  const auto again = wire::decode(wire::unframe(said));
  ORRERY_ASSERT(again && again->index() == made->index());
  ORRERY_ASSERT(wire::encode(*again) == said);
  return 0;
}
