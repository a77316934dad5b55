// Bytes from a peer become a value or a refusal. A value can be read by everything that reads values.
#include "mesh/wire/cbor.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/wire/json_size.hpp"
#include "mesh/wire/value.hpp"

#include <nlohmann/json.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  const byte_view encoded(data, size);
  const auto made = value::from_cbor(encoded);
  if (!made) {
    ORRERY_ASSERT(!made.error().context.empty());
    return 0;
  }
  ORRERY_ASSERT(std::ranges::equal(made->cbor(), encoded));
  const value copy = *made;
  ORRERY_ASSERT(copy == *made);

  // Every reader accepts it: the document's, ours, and that of the text that users get.
  const auto document = made->document();
  cbor::reader reader(made->cbor());
  int depth = 0;
  ORRERY_ASSERT(reader.whole(&depth).size() == size && reader.at_end() && depth <= value_depth_max);
  const auto text = made->json_text();
  ORRERY_ASSERT(nlohmann::json::accept(text));
  ORRERY_ASSERT(text.size() <= json_bytes_max(made->cbor()));
  static_cast<void>(cbor::text_of(*made));

  // What we would write of it is a value again, and stays as it is.
  const auto ours = value::from_document(document);
  if (ours) {
    ORRERY_ASSERT(value::from_cbor(ours->cbor()).value() == *ours);
    ORRERY_ASSERT(ours->json_text() == made->json_text());
  }
  return 0;
}
