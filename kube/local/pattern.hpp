#pragma once
#include <string>

namespace orrery::local {

/// Whether a text contains a match of a schema's `pattern`. Takes the common part of RE2's syntax (groups, classes, \d
/// \w \s, repetition, anchors); a pattern beyond that lets every text through. Bounded in time and stack, unlike
/// std::regex.
[[nodiscard]] bool matches_pattern(const std::string& text, const std::string& pattern);

}  // namespace orrery::local
