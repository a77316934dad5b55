#include "sidecar/query.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace orrery::sidecar {

refused_route refuse(error why) { return {std::move(why), 0, {}}; }
refused_route refuse(std::string what) {
  return refuse(error{errc::invalid_argument, std::move(what), took_effect::not_executed});
}
refused_route refuse_method(std::string_view given, std::string allow) {
  return {error{errc::invalid_argument, fmt::format("{} is not accepted here, {} is", given, allow),
                took_effect::not_executed},
          405, std::move(allow)};
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

result<query_parameters> read_query(std::string_view query, std::initializer_list<std::string_view> known) {
  query_parameters out;
  if (query.empty()) return out;
  for (const auto part : split(query, '&')) {
    const auto equals = part.find('=');
    const auto name = percent_decode(part.substr(0, equals));
    if (!name) return fail(name.error());
    const auto content = percent_decode(equals == std::string_view::npos ? "" : part.substr(equals + 1));
    if (!content) return fail(content.error());
    if (std::find(known.begin(), known.end(), std::string_view(*name)) == known.end()) {
      return fail(errc::invalid_argument,
                  known.size() == 0
                      ? fmt::format("unknown query parameter '{}'; none is accepted here", *name)
                      : fmt::format("unknown query parameter '{}'; accepted: {}", *name, fmt::join(known, ", ")));
    }
    if (!out.emplace(*name, *content).second) {
      return fail(errc::invalid_argument, fmt::format("query parameter '{}' is given twice", *name));
    }
  }
  return out;
}

result<bool> is_local(const query_parameters& query) {
  const auto found = query.find("node");
  if (found == query.end()) return false;
  if (found->second == "local") return true;
  return fail(errc::invalid_argument, fmt::format("node={} is not accepted, only node=local is", found->second));
}

result<std::size_t> read_number(const query_parameters& query, const char* name, std::size_t otherwise,
                                std::size_t least, std::size_t most) {
  const auto found = query.find(name);
  if (found == query.end()) return otherwise;
  const auto& text = found->second;
  std::size_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size() || number < least || number > most) {
    return fail(errc::invalid_argument,
                fmt::format("{}={} must be a whole number from {} to {}", name, text, least, most));
  }
  return number;
}

result<std::optional<class_name>> read_class(const query_parameters& query) {
  const auto found = query.find("class");
  if (found == query.end()) return std::nullopt;
  if (!is_dns_label(found->second)) {
    return fail(errc::invalid_argument, fmt::format("class={} is not a class name", found->second));
  }
  return class_name{found->second};
}

result<value> read_json(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return value{};
  auto parsed = value::from_json(body);
  if (!parsed) return fail(parsed.error().code, "the body must be JSON: " + parsed.error().context);
  return parsed;
}

}  // namespace orrery::sidecar
