#include "orrery/app/process_class.hpp"

#include "values.hpp"
#include <exception>
#include <stdexcept>
#include <utility>

namespace orrery::app {
namespace {

constexpr std::size_t patch_from_bytes = 1024;  ///< a smaller state is sent whole
constexpr std::size_t crash_text_max = 1000;

json crash(std::string_view text) { return {{"crash", {{"text", readable(text, crash_text_max)}}}}; }

json refused(const json& work, const refusal& no, const std::function<void(const std::string&)>& log) {
  if (const auto problem = problem_of_code(no.code()); !problem.empty()) return crash(problem);
  const auto callback = text_in(work, "callback");
  const auto text = no.code() + ": " + no.what();
  if (callback == "init" || callback == "code_change") return crash(text);
  if (callback != "call") {
    if (log) log(process_in(work) + " refused " + callback_in(work) + ", which nobody waits for: " + text);
    return json::object();
  }
  return {{"error",
           {{"code", no.code()},
            {"text", readable(no.what())},
            {"effect", to_text(no.took_effect().value_or(effect::not_executed))}}}};
}

/// The new state, or a patch that makes it, or nothing where it is what it was.
json state_fields(const json& before, const json& after) {
  if (same(before, after)) return json::object();
  check_value(after, "state");
  auto patch = merge_patch(before, after);
  if (!patch.is_discarded()) {
    const auto whole = json::to_cbor(after).size();
    if (whole >= patch_from_bytes && json::to_cbor(patch).size() * 2 <= whole) return {{"patch", std::move(patch)}};
  }
  return {{"state", after}};
}

template <typename Handlers>
auto* of_word(const Handlers& all, std::string_view word) {
  auto found = all.find(word);
  if (found == all.end()) found = all.find(word.substr(0, word.find('/')));
  return found == all.end() ? nullptr : &found->second;
}

template <typename Handlers>
[[noreturn]] void throw_none(const Handlers& all, const std::string& class_name, const std::string& what) {
  std::string known;
  for (const auto& [each, handler] : all)
    known += (known.empty() ? "" : ", ") + each;
  throw std::out_of_range("class '" + class_name + "' has no " + what +
                          "; it has: " + (known.empty() ? "none" : known));
}

/// A sidecar asks only for what was registered, so it is a test that hears what there is.
template <typename Handlers>
auto& named(const Handlers& all, const std::string& class_name, const char* kind, const std::string& method) {
  const auto found = all.find(method);
  if (found == all.end()) throw_none(all, class_name, kind + (" '" + method + "'"));
  return found->second;
}

}  // namespace

process_class& process_class::on_init(std::function<json(const context&)> handler) {
  return on_init([handler = std::move(handler)](context& self, const json&) { return handler(self); });
}
process_class& process_class::on_init(call_handler handler) {
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
process_class& process_class::on_info(std::string word, cast_handler handler) {
  infos_[std::move(word)] = std::move(handler);
  return *this;
}
process_class& process_class::on_reply(std::string name, reply_handler handler) {
  replies_[std::move(name)] = std::move(handler);
  return *this;
}
process_class& process_class::on_down(std::string name, down_handler handler) {
  downs_[std::move(name)] = std::move(handler);
  return *this;
}
process_class& process_class::on_handoff(std::function<void(context&)> handler) {
  handoff_ = std::move(handler);
  return *this;
}
process_class& process_class::on_continue(cast_handler handler) {
  continue_ = std::move(handler);
  return *this;
}
process_class& process_class::on_terminate(std::function<void(context&, const exit_reason&)> handler) {
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
  if (!infos_.empty() || !replies_.empty() || !downs_.empty()) callbacks.push_back("info");
  if (continue_) callbacks.push_back("continue");
  if (terminate_) callbacks.push_back("terminate");
  if (code_change_) callbacks.push_back("code_change");
  if (handoff_) callbacks.push_back("handoff");
  return {{"type", "register"},
          {"class", name_},
          {"calls", calls},
          {"casts", casts},
          {"callbacks", callbacks},
          {"stateVersion", state_version_},
          {"concurrency", concurrency}};
}

void process_class::check_heard(info_source as, std::string_view name) const {
  const auto check = [&](const auto& all, const char* handler, const char* what) {
    if (of_word(all, name) == nullptr)
      throw_none(all, name_, handler + (" '" + std::string(name) + "' for this ") + what + " to come to");
  };
  if (as == info_source::reply) return check(replies_, "on_reply", "request");
  if (as == info_source::down) return check(downs_, "on_down", "monitor");
  check(infos_, "on_info", "timer");
}

void process_class::inform(const json& argument, context& self) const {
  if (self.source() == info_source::reply) {
    if (const auto* handler = of_word(replies_, self.message())) (*handler)(self, outcome_of(argument));
  } else if (self.source() == info_source::down) {
    const down what{.pid = pid_in(argument, "pid"), .reason = exit_reason_in(argument)};
    if (const auto* handler = of_word(downs_, self.message())) (*handler)(self, what);
  } else if (const auto* handler = of_word(infos_, self.message())) {
    (*handler)(self, argument);
  }
}

/// What a callback returns, as fields of `done`. Callbacks that the class has not leave things as they are.
json process_class::run(const json& work, context& self) const {
  const auto callback = work.value("callback", "");
  const auto argument = work.value("argument", json());
  if (callback == "init") {
    if (init_) self.change() = init_(self, argument);
  } else if (callback == "code_change") {
    if (code_change_) self.change() = code_change_(work.value("fromVersion", 0U), *self.before_);
  } else if (callback == "terminate") {
    if (terminate_) terminate_(self, exit_reason_in(work));
    self.changed_.reset();
  } else if (callback == "info") {
    inform(argument, self);
  } else if (callback == "handoff") {
    if (handoff_) handoff_(self);
  } else if (callback == "continue") {
    if (continue_) continue_(self, argument);
  } else if (callback == "cast") {
    named(casts_, name_, "cast", self.message())(self, argument);
  } else if (callback == "call") {
    auto reply = named(calls_, name_, "call", self.message())(self, argument);
    if (!self.later_) {
      check_value(reply, "reply");
      return {{"reply", std::move(reply)}};
    }
    if (!reply.is_null())
      throw std::logic_error("the handler left its caller waiting with reply_later(), and replied too");
    return {{"later", true}};
  } else {
    throw std::out_of_range("a class has no callback '" + callback +
                            "'; there are: init, call, cast, info, continue, code_change, handoff, terminate");
  }
  return json::object();
}

json process_class::finish(const json& work, context& self) const {
  auto done = run(work, self);
  if (self.changed_) done.update(state_fields(*self.before_, *self.changed_));
  if (!self.effects_.empty()) done["effects"] = std::move(self.effects_);
  if (self.next_) done["next"] = std::move(*self.next_);
  if (self.stop_) done["stop"] = std::move(*self.stop_);
  return done;
}

json process_class::handle(const json& work, surroundings around) const {
  json done;
  const auto log = std::move(around.log);
  auto* const was_refused = around.refused;
  try {
    context self(work, std::move(around));
    self.handled_by_ = this;
    done = finish(work, self);
  } catch (const refusal& no) {
    if (was_refused != nullptr) *was_refused = true;
    done = refused(work, no, log);
  } catch (const error& failed) {  // without its effect: what became of this message is another matter
    done = crash(failed.code() + ": " + failed.text());
  } catch (const std::exception& thrown) {
    done = crash(thrown.what());
  } catch (...) {
    done = crash("an exception that is no std::exception");
  }
  done["type"] = "done";
  done["work"] = work.value("work", std::uint64_t{0});
  return done;
}

}  // namespace orrery::app
