// Texts from users, certificates and configuration: each parser takes them or refuses them with a reason, and what it
// took is said the same again.
#include "mesh/base/assert.hpp"
#include "mesh/base/base64.hpp"
#include "mesh/base/bytes.hpp"
#include "mesh/base/duration_text.hpp"
#include "mesh/base/endpoint.hpp"
#include "mesh/base/identity.hpp"
#include "mesh/base/ids.hpp"

namespace orrery {
namespace {

/// `say(parse(text))` is parsed as the same again.
template <class Parse, class Say>
void check(std::string_view text, Parse parse, Say say) {
  const auto read = parse(text);
  if (!read) {
    const auto& [code, why, effect] = read.error();
    ORRERY_ASSERT((code == errc::invalid_argument || code == errc::too_large) && !why.empty());
    return;
  }
  const auto again = parse(say(*read));
  ORRERY_ASSERT(again && *again == *read);
}

}  // namespace
}  // namespace orrery

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  const auto text = as_text(byte_view(data, size));
  check(text, parse_process_name, [](const process_name& name) { return to_string(name); });
  check(text, parse_pid, [](const pid& id) { return to_string(id); });
  check(text, parse_endpoint, [](const ip_endpoint& at) { return to_string(at); });
  check(text, parse_identity, [](const mesh_identity& who) { return to_uri(who); });
  check(text, base64_decode, [](const std::string& decoded) { return base64_encode(decoded); });
  check(text, parse_duration, [](duration length) {
    ORRERY_ASSERT(length >= duration::zero());
    return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(length).count()) + "ns";
  });
  ORRERY_ASSERT(base64_decode(base64_encode(text)).value() == text);
  ORRERY_ASSERT(!is_dns_label(text) || is_utf8(text));
  return 0;
}
