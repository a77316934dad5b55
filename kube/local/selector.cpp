#include "kube/local/selector.hpp"

#include <algorithm>

namespace orrery::local {
namespace {

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

/// Splits at commas that are not inside of parentheses.
std::vector<std::string> split_requirements(std::string_view text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char each : text) {
    if (each == '(') ++depth;
    if (each == ')') --depth;
    if (each == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += each;
    }
  }
  return parts;
}

std::string shown(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

const json* at_dotted(const json& object, std::string_view path) {
  if (path.starts_with('.')) path.remove_prefix(1);
  const json* at = &object;
  for (const auto& field : split(path, '.')) {
    if (!at->is_object()) return nullptr;
    const auto it = at->find(field);
    if (it == at->end() || it->is_null()) return nullptr;
    at = &*it;
  }
  return at;
}

void set_dotted(json& object, std::string_view path, json value) {
  if (path.starts_with('.')) path.remove_prefix(1);
  json* at = &object;
  for (const auto& field : split(path, '.'))
    at = &(*at)[field];
  *at = std::move(value);
}

reply<std::vector<selector::requirement>> selector::parse_labels(std::string_view text) {
  std::vector<requirement> out;
  if (trimmed(text).empty()) return out;
  for (const auto& part : split_requirements(text)) {
    const auto one = trimmed(part);
    const auto wrong = [&] {
      return bad_request("unable to parse requirement: '" + one +
                         "'; accepted are: key=value, key!=value, key in (a,b), key notin (a,b), key, !key");
    };
    if (one.empty()) return wrong();
    if (const auto open = one.find('('); open != std::string::npos) {
      const auto close = one.find(')', open);
      const auto space = one.find(' ');
      if (close == std::string::npos || space == std::string::npos || space > open) return wrong();
      const auto word = trimmed(std::string_view(one).substr(space, open - space));
      if (word != "in" && word != "notin") return wrong();
      requirement next{
          .key = one.substr(0, space), .what = word == "in" ? operation::in : operation::not_in, .values = {}};
      for (const auto& value : split(std::string_view(one).substr(open + 1, close - open - 1), ','))
        next.values.push_back(trimmed(value));
      out.push_back(std::move(next));
    } else if (const auto unequal = one.find("!="); unequal != std::string::npos) {
      out.push_back({trimmed(std::string_view(one).substr(0, unequal)),
                     operation::not_in,
                     {trimmed(std::string_view(one).substr(unequal + 2))}});
    } else if (const auto equal = one.find('='); equal != std::string::npos) {
      const auto value = equal + 1 < one.size() && one[equal + 1] == '=' ? equal + 2 : equal + 1;
      out.push_back({trimmed(std::string_view(one).substr(0, equal)),
                     operation::in,
                     {trimmed(std::string_view(one).substr(value))}});
    } else if (one.front() == '!') {
      out.push_back({trimmed(std::string_view(one).substr(1)), operation::absent, {}});
    } else if (one.find(' ') != std::string::npos) {
      return wrong();
    } else {
      out.push_back({one, operation::exists, {}});
    }
  }
  return out;
}

reply<selector> selector::parse(std::string_view labels, std::string_view fields) {
  selector out;
  auto requirements = parse_labels(labels);
  if (!requirements) return tl::unexpected(requirements.error());
  out.requirements_ = std::move(*requirements);
  if (trimmed(fields).empty()) return out;
  for (const auto& part : split(fields, ',')) {
    const auto one = trimmed(part);
    if (one.empty()) continue;
    const auto unequal = one.find("!=");
    const auto equal = one.find('=');
    if (equal == std::string::npos) {
      return bad_request("invalid field selector: '" + one + "'; accepted are: field=value, field!=value");
    }
    const auto start = equal + 1 < one.size() && one[equal + 1] == '=' ? equal + 2 : equal + 1;
    out.fields_.push_back({.path = one.substr(0, unequal == std::string::npos ? equal : unequal),
                           .value = one.substr(start),
                           .equal = unequal == std::string::npos});
  }
  return out;
}

selector selector::from_object(const json& label_selector) {
  selector out;
  if (!label_selector.is_object()) {
    out.nothing_ = true;
    return out;
  }
  for (const auto& [key, value] : map_at(label_selector, {"matchLabels"}).items()) {
    out.requirements_.push_back({key, operation::in, {shown(value)}});
  }
  for (const auto& each : list_at(label_selector, {"matchExpressions"})) {
    const auto word = text_at(each, {"operator"});
    requirement next{.key = text_at(each, {"key"}), .what = operation::exists, .values = {}};
    if (word == "In") next.what = operation::in;
    if (word == "NotIn") next.what = operation::not_in;
    if (word == "DoesNotExist") next.what = operation::absent;
    for (const auto& value : list_at(each, {"values"}))
      next.values.push_back(shown(value));
    out.requirements_.push_back(std::move(next));
  }
  return out;
}

bool selector::matches_labels(const json& labels) const {
  if (nothing_) return false;
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const requirement& each) {
    const auto it = labels.find(each.key);
    const bool present = labels.is_object() && it != labels.end();
    const bool listed = present && std::find(each.values.begin(), each.values.end(), shown(*it)) != each.values.end();
    switch (each.what) {
      case operation::in:
        return listed;
      case operation::not_in:
        return !listed;
      case operation::exists:
        return present;
      case operation::absent:
        return !present;
    }
    return false;
  });
}

bool selector::matches(const json& object) const {
  if (!matches_labels(map_at(object, {"metadata", "labels"}))) return false;
  return std::all_of(fields_.begin(), fields_.end(), [&](const field& each) {
    const auto* value = at_dotted(object, each.path);
    return ((value == nullptr ? "" : shown(*value)) == each.value) == each.equal;
  });
}

std::string selector_text(const json& label_selector) {
  std::vector<std::string> parts;
  const bool wrapped = label_selector.contains("matchLabels") || label_selector.contains("matchExpressions");
  const auto& labels = wrapped ? map_at(label_selector, {"matchLabels"}) : label_selector;
  for (const auto& [key, value] : labels.items())
    parts.push_back(key + "=" + shown(value));
  return join(parts, ",");
}

}  // namespace orrery::local
