#include "mesh/base/ids.hpp"

#include <algorithm>
#include <charconv>

namespace orrery {

std::string to_string(const process_name& name) { return name.klass.value + "/" + name.key.value; }

std::string to_string(const node_id& id) { return id.name.value + "@" + std::to_string(id.boot.value); }

std::string to_string(const pid& id) {
  return to_string(id.node) + "." + std::to_string(id.slot) + "." + std::to_string(id.generation);
}

result<pid> parse_pid(std::string_view text) {
  const auto wrong = [&] {
    return fail(errc::invalid_argument,
                "'" + std::string{text.substr(0, 80)} +
                    "' is no pid: NODE@BOOT.SLOT.GENERATION, as in demo-x7k2p@1732150000000000.12.3");
  };
  const auto at = text.rfind('@');
  if (at == std::string_view::npos || at == 0) return wrong();
  pid parsed{.node = {node_name{std::string{text.substr(0, at)}}, {}}};
  const char* from = text.data() + at + 1;
  const char* const end = text.data() + text.size();
  const auto number = [&](auto& into, bool last) {
    const auto [next, error] = std::from_chars(from, end, into);
    if (error != std::errc{} || (last ? next != end : next == end || *next != '.')) return false;
    from = next + 1;
    return true;
  };
  std::uint64_t boot = 0;
  if (!number(boot, false) || !number(parsed.slot, false) || !number(parsed.generation, true)) return wrong();
  parsed.node.boot = boot_number{boot};
  return parsed;
}

bool is_dns_label(std::string_view text) noexcept {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= class_name_bytes_max && alphanumeric(text.front()) &&
         alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return alphanumeric(c) || c == '-'; });
}

bool is_utf8(std::string_view text) noexcept {
  const auto byte_at = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  std::size_t i = 0;
  while (i < text.size()) {
    const unsigned lead = byte_at(i);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte_at(i + k) & 0xc0U) != 0x80) return false;
    }
    // Second bytes that would be overlong, a surrogate, or beyond U+10FFFF.
    if ((lead == 0xe0 && byte_at(i + 1) < 0xa0) || (lead == 0xed && byte_at(i + 1) > 0x9f) ||
        (lead == 0xf0 && byte_at(i + 1) < 0x90) || (lead == 0xf4 && byte_at(i + 1) > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

std::string_view cut_text(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max) return text;
  auto end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  return text.substr(0, end);
}

result<process_name> make_process_name(std::string_view klass, std::string_view key) {
  if (!is_dns_label(klass)) {
    return fail(errc::invalid_argument,
                "class '" + std::string{klass.substr(0, 80)} +
                    "' is not a name: use 1 to 63 lower-case letters, digits and '-', as in 'cart'");
  }
  if (key.empty()) return fail(errc::invalid_argument, "the key is empty: a process is addressed as class/key");
  if (key.size() > process_key_bytes_max) {
    return fail(errc::too_large, "the key has " + std::to_string(key.size()) + " bytes; at most " +
                                     std::to_string(process_key_bytes_max) + " are accepted");
  }
  if (!is_utf8(key)) return fail(errc::invalid_argument, "the key is not valid UTF-8");
  return process_name{class_name{std::string{klass}}, process_key{std::string{key}}};
}

result<process_name> parse_process_name(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return fail(errc::invalid_argument, "'" + std::string{text.substr(0, 80)} +
                                            "' has no slash: a process is addressed as class/key, as in counter/a");
  }
  return make_process_name(text.substr(0, slash), text.substr(slash + 1));
}

}  // namespace orrery
