// JSON text from a user becomes a value or a refusal, and its text says the same again.
#include "mesh/base/assert.hpp"
#include "mesh/base/bytes.hpp"
#include "mesh/wire/json_size.hpp"
#include "mesh/wire/value.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  const auto made = value::from_json(as_text(byte_view(data, size)));
  if (!made) {
    ORRERY_ASSERT(!made.error().context.empty());
    ORRERY_ASSERT(made.error().code == errc::invalid_argument || made.error().code == errc::too_large);
    return 0;
  }
  ORRERY_ASSERT(value::from_cbor(made->cbor()).value() == *made);
  const auto text_again = made->json_text();
  ORRERY_ASSERT(value::from_json(text_again).value() == *made);
  ORRERY_ASSERT(text_again.size() <= json_bytes_max(made->cbor()));
  return 0;
}
