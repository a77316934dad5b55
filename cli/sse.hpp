#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace orrery::cli {

struct sse_event {
  std::string type = "message";
  std::string data;
};

/// Splits a text/event-stream into events, however its bytes are cut. Comments and other fields are dropped.
class sse_parser {
 public:
  static constexpr std::size_t line_bytes_max = 1U << 20U;  ///< longer lines are cut

  [[nodiscard]] std::vector<sse_event> feed(std::string_view bytes);

 private:
  void take_line(std::vector<sse_event>& out);

  std::string line_;
  sse_event next_;
  bool has_data_ = false;
};

}  // namespace orrery::cli
