// What a client hosts: registered on every connection, until it drains.
#include "session.hpp"
#include "values.hpp"
#include <algorithm>
#include <future>
#include <utility>

namespace orrery::app {
namespace {

class_state state_of(std::string_view text) {
  if (text == "undeclared") return class_state::undeclared;
  return text == "other" ? class_state::other : class_state::ready;
}

}  // namespace

json session::registration(const hosted_class& what) const {
  auto message = what.what.registration(what.how.concurrency > 0 ? what.how.concurrency : pool_.size());
  message["app"] = what.how.app;
  return message;
}

class_state session::host(process_class what, const client::host_options& how) {
  const auto name = what.name();
  json message;
  {
    const std::lock_guard lock(mutex_);
    const auto& features = welcome_ ? welcome_->info.features : std::vector<std::string>{};
    if (welcome_ && std::find(features.begin(), features.end(), "host") == features.end())
      throw error("protocol", "this sidecar does not let apps host classes", effect::not_executed);
    const auto [place, fresh] =
        classes_.try_emplace(name, hosted_class{.what = std::move(what), .how = how, .asked = true});
    if (!fresh)
      throw error("already_exists", "class '" + name + "' is hosted by this client already", effect::not_executed);
    message = registration(place->second);
  }
  std::promise<std::optional<error>> answered;
  // All of it before the next connection, which looks at what is settled.
  const auto settle = [&](std::uint64_t, const json& result) {
    const auto why = failure_of(result);
    const bool refused = why && !time_heals(*why);
    {
      const std::lock_guard lock(mutex_);
      if (refused) {
        classes_.erase(name);  // it never had any work
      } else {
        classes_.at(name).settled = true;
      }
    }
    if (!refused) registered(name, result);
    answered.set_value(refused ? std::optional(*why) : std::nullopt);
  };
  requests_.begin(
      {.message = std::move(message), .done = settle, .effect_if_lost = "not_executed", .when = turn::ahead});
  if (const auto why = answered.get_future().get()) throw error(*why);
  return *hosted(name);
}

void session::register_all() {
  std::vector<std::pair<std::string, json>> all;
  {
    const std::lock_guard lock(mutex_);
    if (draining_) return;
    for (auto& [name, each] : classes_)
      if (!std::exchange(each.asked, true)) all.emplace_back(name, registration(each));
  }
  for (auto& [name, message] : all) {
    requests_.begin({.message = std::move(message),
                     .done = [this, name = name](std::uint64_t, const json& result) { registered(name, result); },
                     .when = turn::at_once});
  }
}

void session::registered(const std::string& name, const json& result) {
  const auto why = failure_of(result);
  if (why && why->code() != "already_exists") {  // on this connection, so by this client
    options_.log("class '" + name + "' is not registered: " + why->what());
    const std::lock_guard lock(mutex_);
    classes_.at(name).asked = false;  // asked again in a second, or on the next connection
    classes_.at(name).state = class_state::waiting;
    return;
  }
  set_state(name, state_of(result.value("ok", json::object()).value("state", "ready")));
}

void session::set_state(const std::string& name, class_state state) {
  const std::lock_guard lock(mutex_);
  const auto found = classes_.find(name);
  if (found == classes_.end() || std::exchange(found->second.state, state) == state) return;
  if (state == class_state::undeclared) options_.log("class '" + name + "' is not declared yet");
  if (state == class_state::other) options_.log("class '" + name + "' is not app-hosted");
}

bool session::drain(std::chrono::milliseconds timeout) {
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
  }
  const auto drained = std::make_shared<std::promise<bool>>();
  auto waiting = drained->get_future();
  begin({.message = {{"type", "drain"}},
         .done =
             [this, drained](std::uint64_t, const json& result) {
               const auto why = failure_of(result);
               // Without a connection there is nothing to drain, but for work that ended with it.
               drained->set_value(!why || (why->code() == "unavailable" && !pool_.is_busy()));
             },
         .when = turn::at_once});
  return waiting.wait_for(timeout) == std::future_status::ready && waiting.get();
}

std::optional<class_state> session::hosted(std::string_view class_name) const {
  const std::lock_guard lock(mutex_);
  const auto found = classes_.find(class_name);
  return found == classes_.end() ? std::nullopt : std::optional(found->second.state);
}

void session::take_class(const json& message) {
  set_state(message.value("class", ""), state_of(message.value("state", "")));
}

void session::take_work(json& message) {
  const process_class* what = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = classes_.find(message.value("class", ""));
    if (found != classes_.end()) what = &found->second.what;
  }
  const auto line = requests_.line();
  if (what != nullptr) return pool_.submit(*what, std::move(message), line);
  const auto text = "this app does not host class '" + message.value("class", "") + "'";
  if (line) line->send(wire::encode({{"type", "done"}, {"work", message["work"]}, {"crash", {{"text", text}}}}));
}

}  // namespace orrery::app
