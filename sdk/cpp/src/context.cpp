#include "orrery/app/context.hpp"

#include "orrery/app/process_class.hpp"
#include "values.hpp"
#include <stdexcept>

namespace orrery::app {
namespace {

constexpr std::size_t effects_max = 1000;
const json nothing;

std::optional<info_source> source_of(const json& work) {
  if (work.value("callback", "") != "info") return {};
  const auto source = work.value("source", "");
  if (source == "timer") return info_source::timer;
  if (source == "reply") return info_source::reply;
  return source == "down" ? info_source::down : info_source::message;
}

json message_to(const char* where, std::string_view which, std::string_view word, json argument) {
  check_word(word);
  check_value(argument, "argument");
  return {{where, which}, {"word", word}, {"argument", std::move(argument)}};
}

}  // namespace

context::context(const json& work, surroundings around)
    : class_(work.value("class", "")),
      key_(work.value("key", "")),
      pid_(work.value("pid", "")),
      message_(work.value("method", "")),
      trace_(work.value("trace", "")),
      source_(source_of(work)),
      caller_(work.value("caller", std::uint64_t{0})),
      argument_(work.contains("argument") ? &work["argument"] : &nothing),
      before_(work.contains("state") ? &work["state"] : &nothing),
      around_(std::move(around)) {}

const json& context::field(std::string_view name, bool must_be) const {
  if (!argument_->is_object() && (must_be || !argument_->is_null())) refuse_argument({}, "it must be an object");
  const auto found = argument_->find(name);
  if (found != argument_->end()) return *found;
  if (must_be) refuse_argument(name, "it is missing");
  return nothing;
}

void context::refuse_argument(std::string_view name, const std::string& problem) const {
  const auto text = problem.starts_with('[') ? problem.substr(problem.find("] ") + 2) : problem;
  const auto of = name.empty() ? "the argument" : "'" + std::string(name) + "' in the argument";
  const auto method = message_.empty() ? "" : " of '" + message_ + "'";
  throw refusal(of + method + " is wrong: " + text, "invalid_argument");
}

json& context::change() {
  if (!changed_) changed_ = *before_;
  return *changed_;
}

void context::add(json effect) {
  if (effects_.size() >= effects_max)
    throw std::length_error("a callback has at most " + std::to_string(effects_max) + " effects");
  effects_.push_back(std::move(effect));
}

void context::check_heard(info_source as, std::string_view name) const {
  if (handled_by_ != nullptr) handled_by_->check_heard(as, name);
}

json context::call(std::string_view name, std::string_view method, json argument, call_options how) {
  if (!around_.call) throw std::logic_error("there is nobody to call: `surroundings` has no `call`");
  if (how.trace.empty()) how.trace = trace_;
  if (!how.stop.stop_possible()) how.stop = around_.abandoned;
  return around_.call(name, method, std::move(argument), how);
}

void context::cast(std::string_view name, std::string_view method, json argument) {
  auto fields = name_fields(name);
  check_method(method);
  check_value(argument, "argument");
  fields["method"] = method;
  fields["argument"] = std::move(argument);
  add({{"cast", std::move(fields)}});
}

void context::set_timer(std::string_view name, std::chrono::milliseconds after, json argument) {
  check_timer(name, after);
  check_value(argument, "argument");
  check_heard(info_source::timer, name);
  add({{"timer", {{"name", name}, {"afterMs", after.count()}, {"argument", std::move(argument)}}}});
}

void context::cancel_timer(std::string_view name) {
  check_timer_name(name);
  add({{"cancelTimer", name}});
}

void context::send(std::string_view to, std::string_view word, json argument) {
  check_target(to);
  add({{"send", message_to("to", to, word, std::move(argument))}});
}

void context::publish(std::string_view group, std::string_view word, json argument) {
  check_group(group);
  add({{"publish", message_to("group", group, word, std::move(argument))}});
}

void context::join_group(std::string_view group) {
  check_group(group);
  add({{"join", group}});
}

void context::leave_group(std::string_view group) {
  check_group(group);
  add({{"leave", group}});
}

void context::request(std::string_view name, std::string_view to, std::string_view method, json argument,
                      std::chrono::milliseconds timeout) {
  check_text("name", name);
  check_target(to);
  check_method(method);
  check_value(argument, "argument");
  if (timeout.count() != 0) check_timeout(timeout);
  check_heard(info_source::reply, name);
  json fields{{"name", name}, {"to", to}, {"method", method}, {"argument", std::move(argument)}};
  if (timeout.count() != 0) fields["timeoutMs"] = timeout.count();
  add({{"call", std::move(fields)}});
}

void context::monitor(std::string_view name, std::string_view to) {
  check_text("name", name);
  check_target(to);
  check_heard(info_source::down, name);
  add({{"monitor", {{"name", name}, {"to", to}}}});
}

void context::demonitor(std::string_view name) {
  check_text("name", name);
  add({{"demonitor", name}});
}

void context::go_on(json with) {
  check_value(with, "value to go on with");
  next_ = std::move(with);
}

void context::stop(std::string_view kind, std::string_view text) {
  if (kind != "normal" && kind != "shutdown" && kind != "error")
    throw std::invalid_argument("a process stops with normal, shutdown or error, not '" + std::string(kind) + "'");
  stop_ = json{{"kind", kind}, {"text", readable(text)}};
}

std::uint64_t context::reply_later() {
  later_ = true;
  return caller_;
}

void context::reply(std::uint64_t caller, json answer) {
  check_value(answer, "reply");
  add({{"reply", {{"to", caller}, {"reply", std::move(answer)}}}});
}

void context::refuse(std::uint64_t caller, const refusal& why) {
  if (const auto problem = problem_of_code(why.code()); !problem.empty()) throw std::logic_error(problem);
  json error{{"code", why.code()}, {"text", readable(why.what())}};
  if (const auto took = why.took_effect()) error["effect"] = to_text(*took);
  add({{"reply", {{"to", caller}, {"error", error}}}});
}

}  // namespace orrery::app
