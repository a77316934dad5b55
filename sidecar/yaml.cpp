#include "sidecar/yaml.hpp"

#include "mesh/base/duration_text.hpp"
#include "sidecar/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>

namespace orrery::sidecar::yaml {

namespace {

std::string show(duration span) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(span).count();
  if (ms >= 1000 && ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
  return fmt::format("{}ms", ms);
}

constexpr int depth_max = 16;

nlohmann::json scalar_of(const YAML::Node& node) {
  const auto& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text == "true") return true;
  if (text == "false") return false;
  const char* const end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto read = std::from_chars(text.data(), end, whole); read.ec == std::errc{} && read.ptr == end)
    return whole;
  double number = 0;
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec == std::errc{} && read.ptr == end && std::isfinite(number)) return number;
  return text;
}

/// Nothing where it nests too deep.
std::optional<nlohmann::json> data_of(const YAML::Node& node, int levels) {
  if (levels == 0) return {};
  if (!node.IsDefined() || node.IsNull()) return nlohmann::json{};
  if (node.IsScalar()) return scalar_of(node);
  nlohmann::json all = node.IsMap() ? nlohmann::json::object() : nlohmann::json::array();
  for (const auto& each : node) {
    auto held = data_of(node.IsMap() ? each.second : static_cast<const YAML::Node&>(each), levels - 1);
    if (!held) return {};
    if (node.IsMap()) {
      all[each.first.Scalar()] = std::move(*held);
    } else {
      all.push_back(std::move(*held));
    }
  }
  return all;
}

}  // namespace

void report::fault(const YAML::Node& where, const std::string& path, const std::string& what) {
  if (faults.size() == faults_max) faults.emplace_back("and more");
  if (faults.size() > faults_max) return;
  const auto line = where.IsDefined() && !where.Mark().is_null() ? where.Mark().line + 1 : 0;
  faults.push_back(line > 0 ? fmt::format("line {}: {}: {}", line, path, what) : fmt::format("{}: {}", path, what));
}

error report::as_error() const {
  return error{errc::invalid_argument, fmt::format("{}: {}", origin, fmt::join(faults, "; ")),
               took_effect::not_executed};
}

result<YAML::Node> parse(std::string_view text, const std::string& origin) {
  try {
    YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsMap()) return fail(errc::invalid_argument, origin + ": is not a mapping of fields");
    return root;
  } catch (const YAML::Exception& e) {
    return fail(errc::invalid_argument, fmt::format("{}: line {}, column {}: is not YAML: {}", origin, e.mark.line + 1,
                                                    e.mark.column + 1, e.msg));
  }
}

mapping::mapping(report& out, const YAML::Node& node, std::string path)
    : out_(out), node_(node), path_(std::move(path)) {
  if (node_.IsDefined() && !node_.IsMap() && !node_.IsNull()) out_.fault(node_, path_, "must be a mapping of fields");
}

mapping::~mapping() {
  if (!node_.IsDefined() || !node_.IsMap()) return;
  for (const auto& entry : node_) {
    const auto key = entry.first.IsScalar() ? entry.first.Scalar() : std::string("?");
    if (known_.contains(key)) continue;
    out_.warnings.push_back(fmt::format("{}: line {}: {}: unknown field, ignored; known here: {}", out_.origin,
                                        entry.first.Mark().line + 1, path_of(key.c_str()), fmt::join(known_, ", ")));
  }
}

std::string mapping::path_of(const char* key) const { return path_.empty() ? key : path_ + "." + key; }

bool mapping::has(const char* key) const { return node_.IsDefined() && node_.IsMap() && node_[key].IsDefined(); }

void mapping::fault(const char* key, const std::string& what) {
  out_.fault(has(key) ? node_[key] : node_, path_of(key), what);
}

YAML::Node mapping::child(const char* key, bool required) {
  known_.insert(key);
  if (has(key)) return node_[key];
  if (required) out_.fault(node_, path_of(key), "is required");
  return YAML::Node(YAML::NodeType::Undefined);
}

std::optional<std::string> mapping::scalar(const char* key, bool required) {
  const auto found = child(key, required);
  if (!found.IsDefined() || found.IsNull()) return std::nullopt;
  if (!found.IsScalar()) {
    fault(key, "must be a single value");
    return std::nullopt;
  }
  return found.Scalar();
}

std::string mapping::text(const char* key, std::optional<std::string> otherwise) {
  auto found = scalar(key, !otherwise);
  if (found) return *std::move(found);
  return otherwise.value_or("");
}

std::uint64_t mapping::number(const char* key, std::uint64_t otherwise, std::uint64_t least, std::uint64_t most) {
  const auto found = scalar(key, false);
  if (!found) return otherwise;
  std::uint64_t parsed = 0;
  const auto [end, ec] = std::from_chars(found->data(), found->data() + found->size(), parsed);
  if (ec != std::errc{} || end != found->data() + found->size() || parsed < least || parsed > most) {
    fault(key, fmt::format("'{}' must be a whole number from {} to {}", *found, least, most));
    return otherwise;
  }
  return parsed;
}

duration mapping::span(const char* key, duration otherwise, duration least, duration most) {
  const auto found = scalar(key, false);
  if (!found) return otherwise;
  const auto parsed = parse_duration(*found);
  if (!parsed) {
    fault(key, parsed.error().context);
    return otherwise;
  }
  if (*parsed < least || *parsed > most) {
    fault(key, fmt::format("'{}' must be from {} to {}", *found, show(least), show(most)));
    return otherwise;
  }
  return *parsed;
}

std::size_t mapping::choice(const char* key, std::span<const std::string_view> accepted,
                            std::optional<std::size_t> otherwise) {
  const auto found = scalar(key, !otherwise);
  if (!found) return otherwise.value_or(0);
  for (std::size_t i = 0; i < accepted.size(); ++i) {
    if (accepted[i] == *found) return i;
  }
  fault(key, fmt::format("'{}' is not one of {}", *found, fmt::join(accepted, ", ")));
  return otherwise.value_or(0);
}

value mapping::plain(const char* key) {
  const auto data = data_of(child(key), depth_max);
  if (!data) fault(key, fmt::format("nests deeper than {} levels", depth_max));
  auto encoded = value::from_document(data.value_or(nlohmann::json{}));
  if (encoded) return *std::move(encoded);
  fault(key, encoded.error().context);
  return {};
}

std::vector<YAML::Node> mapping::elements(const char* key, std::size_t most) {
  const auto found = child(key);
  if (!found.IsDefined() || found.IsNull()) return {};
  if (!found.IsSequence()) {
    fault(key, "must be a list");
    return {};
  }
  if (found.size() > most) {
    fault(key, fmt::format("has {} elements, at most {} are accepted", found.size(), most));
    return {};
  }
  return {found.begin(), found.end()};
}

}  // namespace orrery::sidecar::yaml
