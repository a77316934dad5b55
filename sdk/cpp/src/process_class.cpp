#include "orrery/app/process_class.hpp"

#include <exception>
#include <utility>

namespace orrery::app {
namespace {

json name_of(std::string_view name, std::string_view method, json argument) {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos)
    throw error("invalid_argument", "a name is class/key, not '" + std::string(name) + "'", effect::not_executed);
  return {{"class", name.substr(0, slash)},
          {"key", name.substr(slash + 1)},
          {"method", method},
          {"argument", std::move(argument)}};
}

}  // namespace

context::context(const json& work, const std::atomic<bool>* abandoned)
    : work_(work.value("work", std::uint64_t{0})),
      class_(work.value("class", "")),
      key_(work.value("key", "")),
      pid_(work.value("pid", "")),
      trace_(work.value("trace", "")),
      caller_(work.value("caller", std::uint64_t{0})),
      state_(work.value("state", json())),
      abandoned_(abandoned) {}

void context::cast(std::string_view name, std::string_view method, json argument) {
  effects_.push_back({{"cast", name_of(name, method, std::move(argument))}});
}

void context::set_timer(std::string_view name, std::chrono::milliseconds after, json argument) {
  effects_.push_back({{"timer", {{"name", name}, {"afterMs", after.count()}, {"argument", std::move(argument)}}}});
}

void context::cancel_timer(std::string_view name) { effects_.push_back({{"cancelTimer", name}}); }

void context::go_on(json with) { next_ = std::move(with); }

void context::stop(std::string_view kind, std::string_view text) { stop_ = json{{"kind", kind}, {"text", text}}; }

std::uint64_t context::reply_later() {
  later_ = true;
  return caller_;
}

void context::reply(std::uint64_t caller, json answer) {
  effects_.push_back({{"reply", {{"to", caller}, {"reply", std::move(answer)}}}});
}

process_class& process_class::on_init(std::function<json(const context&)> handler) {
  init_ = std::move(handler);
  return *this;
}
process_class& process_class::on_call(std::string method, call_handler handler) {
  calls_[std::move(method)] = std::move(handler);
  return *this;
}
process_class& process_class::on_cast(std::string method, cast_handler handler) {
  casts_[std::move(method)] = std::move(handler);
  return *this;
}
process_class& process_class::on_info(info_handler handler) {
  info_ = std::move(handler);
  return *this;
}
process_class& process_class::on_continue(cast_handler handler) {
  continue_ = std::move(handler);
  return *this;
}
process_class& process_class::on_terminate(std::function<void(context&, const std::string&)> handler) {
  terminate_ = std::move(handler);
  return *this;
}
process_class& process_class::on_code_change(std::function<json(std::uint32_t, json)> handler) {
  code_change_ = std::move(handler);
  return *this;
}
process_class& process_class::state_version(std::uint32_t version) {
  state_version_ = version;
  return *this;
}

json process_class::registration(unsigned concurrency) const {
  json calls = json::array();
  json casts = json::array();
  for (const auto& [method, handler] : calls_)
    calls.push_back(method);
  for (const auto& [method, handler] : casts_)
    casts.push_back(method);
  json callbacks = json::array();
  if (init_) callbacks.push_back("init");
  if (info_) callbacks.push_back("info");
  if (continue_) callbacks.push_back("continue");
  if (terminate_) callbacks.push_back("terminate");
  if (code_change_) callbacks.push_back("code_change");
  return {{"type", "register"},
          {"class", name_},
          {"calls", calls},
          {"casts", casts},
          {"callbacks", callbacks},
          {"stateVersion", state_version_},
          {"concurrency", concurrency}};
}

json process_class::run(const json& work, context& self) const {
  const auto callback = work.value("callback", "");
  const auto method = work.value("method", "");
  const auto argument = work.value("argument", json());
  if (callback == "init") return {{"state", init_(self)}};
  if (callback == "code_change") return {{"state", code_change_(work.value("fromVersion", 0U), self.state_)}};
  if (callback == "terminate") {
    const auto reason = work.value("reason", json::object());
    const auto text = reason.value("text", "");
    terminate_(self, reason.value("kind", "") + (text.empty() ? "" : ": " + text));
    return json::object();
  }
  if (callback == "info") info_(self, method, argument);
  if (callback == "continue") continue_(self, argument);
  if (callback == "cast") casts_.at(method)(self, argument);
  json done = json::object();
  if (callback == "call") {
    auto reply = calls_.at(method)(self, argument);
    if (self.later_) {
      done["later"] = true;
    } else {
      done["reply"] = std::move(reply);
    }
  }
  return done;
}

json process_class::handle(const json& work, const std::atomic<bool>* abandoned) const {
  context self(work, abandoned);
  json done;
  try {
    done = run(work, self);
    if (self.touched_) done["state"] = std::move(self.state_);
    if (!self.effects_.empty()) done["effects"] = std::move(self.effects_);
    if (self.next_) done["next"] = std::move(*self.next_);
    if (self.stop_) done["stop"] = std::move(*self.stop_);
  } catch (const refusal& no) {
    done = {{"error", {{"code", no.code()}, {"text", no.what()}}}};
  } catch (const std::exception& thrown) {
    done = {{"crash", {{"text", thrown.what()}}}};
  } catch (...) {
    done = {{"crash", {{"text", "an exception that is no std::exception"}}}};
  }
  done["type"] = "done";
  done["work"] = self.work();
  return done;
}

}  // namespace orrery::app
