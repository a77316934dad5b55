#include "kube/local/pattern.hpp"

#include <regex.h>

namespace orrery::local {
namespace {

std::string class_members(char name) {
  switch (name) {
    case 'd':
      return "0-9";
    case 'w':
      return "A-Za-z0-9_";
    case 's':
      return " \t\n\r\f\v";
    default:
      return "";
  }
}

/// A bracket expression, from after its '[': in POSIX a backslash inside is a plain character, and ']' and '-' have
/// fixed places.
std::string bracket_to_posix(const std::string& from, std::size_t& at) {
  std::string first;
  std::string middle;
  std::string last;
  const bool negated = at < from.size() && from[at] == '^';
  if (negated) ++at;
  for (; at < from.size() && from[at] != ']'; ++at) {
    if (from[at] == '[' && at + 1 < from.size() && from[at + 1] == ':') {
      const auto end = from.find(":]", at);
      if (end == std::string::npos) break;
      middle += from.substr(at, end + 2 - at);
      at = end + 1;
    } else if (from[at] != '\\' || at + 1 == from.size()) {
      middle += from[at];
    } else if (const auto members = class_members(from[++at]); !members.empty()) {
      middle += members;
    } else if (from[at] == ']') {
      first = "]";
    } else if (from[at] == '-') {
      last = "-";
    } else {
      middle += from[at];
    }
  }
  // A '-' at either end of ours must not become a range of what is put beside it.
  if (middle.starts_with('-')) {
    middle.erase(0, 1);
    last = "-";
  }
  return std::string("[") + (negated ? "^" : "") + first + middle + last + "]";
}

std::string to_posix(const std::string& from) {
  std::string out;
  for (std::size_t at = 0; at < from.size(); ++at) {
    if (from[at] == '[') {
      out += bracket_to_posix(from, ++at);
    } else if (from.compare(at, 3, "(?:") == 0) {
      out += '(';
      at += 2;
    } else if (from[at] == '\\' && at + 1 < from.size()) {
      const auto members = class_members(from[++at]);
      out += members.empty() ? std::string("\\") + from[at] : "[" + members + "]";
    } else {
      out += from[at];
    }
  }
  return out;
}

}  // namespace

bool matches_pattern(const std::string& text, const std::string& pattern) {
  if (pattern.find("(?i") != std::string::npos || pattern.find("(?P") != std::string::npos ||
      pattern.find("\\p") != std::string::npos)
    return true;
  regex_t compiled{};
  if (::regcomp(&compiled, to_posix(pattern).c_str(), REG_EXTENDED | REG_NOSUB) != 0) return true;
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

}  // namespace orrery::local
