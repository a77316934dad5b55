#include "mesh/process/lua/pattern.hpp"

namespace orrery::process {
namespace {

bool in_range(char c, char low, char high) { return c >= low && c <= high; }
bool is_alpha(char c) { return in_range(c, 'a', 'z') || in_range(c, 'A', 'Z'); }
bool is_digit(char c) { return in_range(c, '0', '9'); }
bool is_graphic(char c) { return in_range(c, '!', '~'); }

/// Does `c` belong to class %`of`?
bool in_class(char c, char of) {
  bool belongs = false;
  switch (of | 0x20) {
    case 'a':
      belongs = is_alpha(c);
      break;
    case 'c':
      belongs = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
      break;
    case 'd':
      belongs = is_digit(c);
      break;
    case 'g':
      belongs = is_graphic(c);
      break;
    case 'l':
      belongs = in_range(c, 'a', 'z');
      break;
    case 'p':
      belongs = is_graphic(c) && !is_alpha(c) && !is_digit(c);
      break;
    case 's':
      belongs = c == ' ' || in_range(c, '\t', '\r');
      break;
    case 'u':
      belongs = in_range(c, 'A', 'Z');
      break;
    case 'w':
      belongs = is_alpha(c) || is_digit(c);
      break;
    case 'x':
      belongs = is_digit(c) || in_range(c, 'a', 'f') || in_range(c, 'A', 'F');
      break;
    case 'z':
      belongs = c == '\0';  // of Lua 5.1: the manual has dropped it, Lua has not
      break;
    default:
      return of == c;
  }
  if (!is_alpha(of)) return of == c;  // the bit above made a letter of it
  return in_range(of, 'A', 'Z') ? !belongs : belongs;
}

}  // namespace

bool pattern_matcher::step() noexcept {
  if (failed_ != failure::none) return false;
  if (steps_ < steps_max_) {
    ++steps_;
    return true;
  }
  fail_with(failure::out_of_steps, "");
  return false;
}

std::size_t pattern_matcher::fail_with(failure what, const char* why) noexcept {
  if (failed_ == failure::none) {
    failed_ = what;
    why_ = why;
  }
  return no_match;
}

std::size_t pattern_matcher::match_at(std::size_t from) noexcept {
  level_ = 0;
  depth_ = 0;
  return match(from, 0);
}

std::size_t pattern_matcher::match(std::size_t at, std::size_t in_pattern) noexcept {
  if (++depth_ > depth_max) return fail_with(failure::too_complex, "pattern too complex");
  std::size_t end = no_match;
  for (;;) {
    if (!step()) break;
    if (in_pattern == pattern_.size()) {
      end = at;
      break;
    }
    const char head = pattern_[in_pattern];
    const char next = pattern_at(in_pattern + 1);
    if (head == '(') {
      end = start_capture(at, in_pattern + (next == ')' ? 2 : 1), next == ')');
      break;
    }
    if (head == ')') {
      end = end_capture(at, in_pattern + 1);
      break;
    }
    if (head == '$' && in_pattern + 1 == pattern_.size()) {
      end = at == subject_.size() ? at : no_match;
      break;
    }
    if (head == '%' && next == 'b') {
      at = balanced(at, in_pattern + 2);
      if (at == no_match) break;
      in_pattern += 4;
      continue;
    }
    if (head == '%' && next == 'f') {
      in_pattern = frontier(at, in_pattern + 2);
      if (in_pattern == no_match) break;
      continue;
    }
    if (head == '%' && is_digit(next)) {
      at = back_reference(at, next);
      if (at == no_match) break;
      in_pattern += 2;
      continue;
    }
    const auto after = item_end(in_pattern);
    if (after == no_match) break;
    const char suffix = pattern_at(after);
    if (suffix == '*' || suffix == '+') {
      if (suffix == '+' && !single(at, in_pattern, after)) break;
      end = greedy(suffix == '+' ? at + 1 : at, in_pattern, after);
      break;
    }
    if (suffix == '-') {
      end = lazy(at, in_pattern, after);
      break;
    }
    const bool matched = single(at, in_pattern, after);
    if (suffix == '?') {
      if (matched && (end = match(at + 1, after + 1)) != no_match) break;
      in_pattern = after + 1;
      continue;
    }
    if (!matched) break;
    ++at;
    in_pattern = after;
  }
  --depth_;
  return end;
}

std::size_t pattern_matcher::frontier(std::size_t at, std::size_t set) noexcept {
  if (pattern_at(set) != '[') return fail_with(failure::malformed, "missing '[' after '%f' in pattern");
  const auto set_end = item_end(set);
  if (set_end == no_match) return no_match;
  const char before = at == 0 ? '\0' : subject_[at - 1];
  const char here = at < subject_.size() ? subject_[at] : '\0';
  return !in_set(before, set, set_end - 1) && in_set(here, set, set_end - 1) ? set_end : no_match;
}

std::size_t pattern_matcher::start_capture(std::size_t at, std::size_t in_pattern, bool position) noexcept {
  if (level_ >= captures_max) return fail_with(failure::malformed, "too many captures");
  captures_[static_cast<std::size_t>(level_++)] = {at, 0, !position, position};
  const auto end = match(at, in_pattern);
  if (end == no_match) --level_;
  return end;
}

std::size_t pattern_matcher::end_capture(std::size_t at, std::size_t in_pattern) noexcept {
  for (int i = level_; i-- > 0;) {
    capture& last = captures_[static_cast<std::size_t>(i)];
    if (!last.open) continue;
    last.open = false;
    last.size = at - last.start;
    const auto end = match(at, in_pattern);
    if (end == no_match) last.open = true;
    return end;
  }
  return fail_with(failure::malformed, "invalid pattern capture");
}

std::size_t pattern_matcher::balanced(std::size_t at, std::size_t in_pattern) noexcept {
  if (in_pattern + 1 >= pattern_.size()) {
    return fail_with(failure::malformed, "missing arguments to '%b' in pattern");
  }
  if (at >= subject_.size() || subject_[at] != pattern_[in_pattern]) return no_match;
  const char opening = pattern_[in_pattern];
  const char closing = pattern_[in_pattern + 1];
  int open = 1;
  for (std::size_t i = at + 1; i < subject_.size() && step(); ++i) {
    if (subject_[i] == closing) {
      if (--open == 0) return i + 1;
    } else if (subject_[i] == opening) {
      ++open;
    }
  }
  return no_match;
}

std::size_t pattern_matcher::back_reference(std::size_t at, char digit) noexcept {
  const int index = digit - '1';
  if (index < 0 || index >= level_ || captures_[static_cast<std::size_t>(index)].open) {
    return fail_with(failure::malformed, "invalid capture index in pattern");
  }
  const capture& earlier = captures_[static_cast<std::size_t>(index)];
  if (earlier.position) return no_match;
  steps_ += earlier.size / 16;  // checked at the next step
  const auto text = subject_.substr(earlier.start, earlier.size);
  return subject_.substr(at).starts_with(text) ? at + earlier.size : no_match;
}

std::size_t pattern_matcher::greedy(std::size_t at, std::size_t in_pattern, std::size_t after) noexcept {
  std::size_t count = 0;
  while (single(at + count, in_pattern, after))
    ++count;
  for (;; --count) {
    if (const auto end = match(at + count, after + 1); end != no_match) return end;
    if (count == 0 || failed_ != failure::none) return no_match;
  }
}

std::size_t pattern_matcher::lazy(std::size_t at, std::size_t in_pattern, std::size_t after) noexcept {
  for (;; ++at) {
    if (const auto end = match(at, after + 1); end != no_match) return end;
    if (!single(at, in_pattern, after)) return no_match;
  }
}

bool pattern_matcher::single(std::size_t at, std::size_t in_pattern, std::size_t after) noexcept {
  if (at >= subject_.size() || !step()) return false;
  const char c = subject_[at];
  switch (pattern_[in_pattern]) {
    case '.':
      return true;
    case '%':
      return in_class(c, pattern_[in_pattern + 1]);
    case '[':
      steps_ += (after - in_pattern) / 8;  // a long set is walked for every character
      return in_set(c, in_pattern, after - 1);
    default:
      return pattern_[in_pattern] == c;
  }
}

bool pattern_matcher::in_set(char c, std::size_t set, std::size_t closing) const noexcept {
  const bool negated = pattern_[set + 1] == '^';
  const auto byte = [](char of) { return static_cast<unsigned char>(of); };
  for (std::size_t i = set + (negated ? 2 : 1); i < closing; ++i) {
    if (pattern_[i] == '%') {
      if (in_class(c, pattern_[++i])) return !negated;
    } else if (pattern_[i + 1] == '-' && i + 2 < closing) {
      if (byte(pattern_[i]) <= byte(c) && byte(c) <= byte(pattern_[i + 2])) return !negated;
      i += 2;
    } else if (pattern_[i] == c) {
      return !negated;
    }
  }
  return negated;
}

std::size_t pattern_matcher::item_end(std::size_t in_pattern) noexcept {
  const char head = pattern_[in_pattern++];
  if (head == '%') {
    if (in_pattern == pattern_.size()) return fail_with(failure::malformed, "malformed pattern (ends with '%')");
    return in_pattern + 1;
  }
  if (head != '[') return in_pattern;
  if (pattern_at(in_pattern) == '^') ++in_pattern;
  do {  // a ']' right after the opening is an element
    if (in_pattern >= pattern_.size()) return fail_with(failure::malformed, "malformed pattern (missing ']')");
    if (pattern_[in_pattern++] == '%') ++in_pattern;
  } while (in_pattern >= pattern_.size() || pattern_[in_pattern] != ']');
  return in_pattern + 1;
}

}  // namespace orrery::process
