#include "mesh/net/preface.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace orrery::net {
namespace {

constexpr std::string_view greeting = "orrery-mesh/1 ";
constexpr std::string_view accepted = "accepted";
constexpr std::string_view refused = "refused ";

bytes encoded(std::string text) {
  text.resize(std::min(text.size(), preface_bytes_max));
  const byte_view view = as_bytes(text);
  wire::frame sent{.type = preface_type, .payload = bytes(view.begin(), view.end())};
  return wire::encode(sent);
}

}  // namespace

bytes accepting_preface() { return encoded(std::string{greeting} + std::string{accepted}); }

bytes refusing_preface(const error& why) {
  return encoded(std::string{greeting} + std::string{refused} + to_string(why));
}

result<void> check_preface(const wire::frame& first) {
  std::string_view text = as_text(first.payload);
  if (first.type != preface_type || text.size() > preface_bytes_max) {
    return fail(errc::protocol, "the peer did not begin with a preface of the mesh");
  }
  if (!text.starts_with(greeting)) {
    return fail(errc::protocol, "the peer speaks another version of the mesh's transport; this node speaks " +
                                    std::string{greeting.substr(0, greeting.size() - 1)});
  }
  text.remove_prefix(greeting.size());
  if (text == accepted) return {};
  if (!text.starts_with(refused)) return fail(errc::protocol, "the peer's preface neither accepts nor refuses");
  text.remove_prefix(refused.size());
  const auto colon = text.find(": ");
  const std::string_view code = text.substr(0, colon);
  const std::string_view context = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 2);
  return fail(errc_from(code), "the peer refused the connection: " + std::string{context});
}

}  // namespace orrery::net
