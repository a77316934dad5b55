#pragma once
#include "mesh/wire/value.hpp"

#include "shell/http_server.hpp"
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace orrery::sidecar {

/// Gives every event to each open /v1/events. Used on the io_context's thread.
class event_hub {
 public:
  static constexpr std::size_t subscribers_max = 64;

  explicit event_hub(std::string node) : node_(std::move(node)) {}
  /// Answers with a stream, or with `overloaded` over subscribers_max.
  void subscribe(const std::shared_ptr<shell::http_exchange>& exchange);
  /// `document` is a map; "at", and "node" where it has none, are put in.
  void publish(std::string_view type, const value& document);
  [[nodiscard]] std::size_t subscribers() const { return open_.size(); }
  void clear() { open_.clear(); }

 private:
  std::string node_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, std::shared_ptr<shell::http_exchange>> open_;
};

/// The document with what every event has; JSON text.
[[nodiscard]] std::string event_text(const value& document, std::string_view at, std::string_view node);

}  // namespace orrery::sidecar
