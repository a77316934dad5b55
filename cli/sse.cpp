#include "cli/sse.hpp"

#include <utility>

namespace orrery::cli {

std::vector<sse_event> sse_parser::feed(std::string_view bytes) {
  std::vector<sse_event> out;
  for (const char c : bytes) {
    if (c == '\n') {
      take_line(out);
    } else if (c != '\r' && line_.size() < line_bytes_max) {
      line_ += c;
    }
  }
  return out;
}

void sse_parser::take_line(std::vector<sse_event>& out) {
  const auto line = std::exchange(line_, {});
  if (line.empty()) {
    if (has_data_) out.push_back(std::move(next_));
    next_ = {};
    has_data_ = false;
    return;
  }
  const auto colon = line.find(':');
  const auto name = line.substr(0, colon);
  auto content = colon == std::string::npos ? std::string() : line.substr(colon + 1);
  if (content.starts_with(' ')) content.erase(0, 1);
  if (name == "event") next_.type = std::move(content);
  if (name == "data") {
    if (has_data_) next_.data += '\n';
    next_.data += content;
    has_data_ = true;
  }
}

}  // namespace orrery::cli
