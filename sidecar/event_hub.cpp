#include "sidecar/event_hub.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "shell/log.hpp"
#include "shell/problem.hpp"

namespace orrery::sidecar {

std::string event_text(const value& document, std::string_view at, std::string_view node) {
  auto json = document.document();
  if (!json.is_object()) json = nlohmann::json::object();
  json["at"] = at;
  if (!json.contains("node")) json["node"] = node;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void event_hub::subscribe(const std::shared_ptr<shell::http_exchange>& exchange) {
  if (open_.size() >= subscribers_max) {
    exchange->answer(
        shell::problem(error{errc::overloaded, fmt::format("{} clients follow the events already", open_.size()),
                             took_effect::not_executed}));
    return;
  }
  const auto id = ++last_;
  open_.emplace(id, exchange);
  exchange->on_gone([this, id] { open_.erase(id); });
  exchange->stream();
}

void event_hub::publish(std::string_view type, const value& document) {
  if (open_.empty()) return;
  const auto text = event_text(document, shell::log::now_rfc3339(), node_);
  for (const auto& [id, exchange] : open_)
    exchange->push(type, text);
}

}  // namespace orrery::sidecar
