#include "orrery/app/testing.hpp"

#include "values.hpp"
#include <algorithm>
#include <iostream>
#include <stdexcept>

namespace orrery::app::testing {
namespace {

constexpr unsigned steps_max = 10'000;  ///< of one message of a test; what takes more is a loop

/// As another program would get it.
json as_sent(const json& value) {
  return json::from_cbor(json::to_cbor(value), true, true, json::cbor_tag_handler_t::ignore);
}

/// A `call` or `cast`, or the refusal of it.
json asked(const process_class& what, const std::string& kind, std::string_view method, const json& argument) {
  check_method(method);
  check_value(argument, "argument");
  const auto known = what.registration(1).at(kind + "s").get<std::vector<std::string>>();
  if (std::find(known.begin(), known.end(), method) == known.end()) {
    std::string names;
    for (const auto& each : known)
      names += (names.empty() ? "" : ", ") + each;
    throw error("not_found",
                "class '" + what.name() + "' has no method '" + std::string(method) + "' for a " + kind +
                    "; it has: " + (names.empty() ? "none" : names),
                effect::not_executed);
  }
  return {{"callback", kind}, {"method", method}, {"argument", argument}};
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const sent& what) {
  return out << what.to << " " << what.method << " " << what.argument;
}
std::ostream& operator<<(std::ostream& out, const sent_message& what) {
  return out << what.to << " " << what.word << " " << what.argument;
}
std::ostream& operator<<(std::ostream& out, const published& what) {
  return out << what.group << " " << what.word << " " << what.argument;
}
std::ostream& operator<<(std::ostream& out, const ended& what) {
  return out << what.name << " " << what.kind << ": " << what.text;
}

void pending::box::answer(const json& with) {
  if (is_answered()) return;
  reply = with;
  if (then) then(*this);
}
void pending::box::fail(const std::string& code, const std::string& text, effect took) {
  if (is_answered()) return;
  failure.emplace(code, text, took);
  if (then) then(*this);
}

json pending::get() const {
  if (box_->failure) throw error(*box_->failure);
  if (!box_->reply) throw error("deadline_exceeded", box_->to + " has not answered yet", effect::unknown);
  return *box_->reply;
}

host::host(std::vector<process_class> several) {
  for (auto& each : several) {
    const auto name = each.name();
    if (!classes_.emplace(name, std::move(each)).second)
      throw error("already_exists", "class '" + name + "' is under test already", effect::not_executed);
  }
}

// ---- what a test does ----

void host::start(std::string_view name, json argument) {
  check_value(argument, "argument");
  const auto of = name_of(name);
  static_cast<void>(class_of(of));
  if (is_alive(of)) return;
  auto& one = alive(of);
  one.argument = std::move(argument);
  one.wanted = true;
  ready_.push_back(of);
  settle();
}

json host::call(std::string_view name, std::string_view method, json argument) {
  return wait_for(ask(name, method, std::move(argument)));
}

pending host::ask(std::string_view name, std::string_view method, json argument) {
  const pending caller(name_of(name));
  post_asked(caller.box_->to, "call", method, argument, caller.box_);
  settle();
  return caller;
}

void host::cast(std::string_view name, std::string_view method, json argument) {
  post_asked(name_of(name), "cast", method, argument);
  settle();
}

void host::info(std::string_view name, std::string_view word, json argument) {
  check_method(word);
  check_value(argument, "argument");
  const auto to = name_of(name);
  static_cast<void>(class_of(to));
  inform(to, std::string(word), "message", std::move(argument));
  settle();
}

void host::advance(std::chrono::milliseconds time) {
  const auto until = now_ + time;
  while (const auto next = next_due(until)) {
    now_ = next->at;
    auto& one = lives_.at(next->name);
    if (next->kind == due_kind::timer) {
      inform(next->name, next->word, "timer", std::move(one.timers.extract(next->word).mapped().argument));
    } else {
      const auto text = one.requests.at(next->word).to + " has not answered in time";
      answer_request(next->name, next->word, next->number,
                     {{"error", {{"code", "deadline_exceeded"}, {"text", text}, {"effect", "unknown"}}}});
    }
    settle();
  }
  now_ = until;
}

void host::stop(std::string_view name, std::string_view kind, std::string_view text) {
  check_idle();
  static_cast<void>(life_of(name));
  stop_in_order(name_of(name), {{"kind", kind}, {"text", text}});
  settle();
}

void host::kill(std::string_view name, std::string_view text) {
  check_idle();
  static_cast<void>(life_of(name));
  end(name_of(name), {.name = name_of(name), .kind = "killed", .text = std::string(text)}, afterwards::starts_afresh);
  settle();
}

void host::answer(std::string_view class_name, std::string_view method, answer_function with) {
  answers_[{std::string(class_name), std::string(method)}] = std::move(with);
}

void host::upgrade(process_class newer) {
  check_idle();
  static_cast<void>(class_of(newer.name()));
  const auto name = newer.name();
  classes_.insert_or_assign(name, std::move(newer));
}

std::map<std::string, std::chrono::milliseconds> host::timers(std::string_view name) const {
  std::map<std::string, std::chrono::milliseconds> left;
  for (const auto& [word, each] : life_of(name).timers)
    left[word] = each.at - now_;
  return left;
}

// ---- names ----

std::string host::class_in(std::string_view name) { return std::string(name.substr(0, name.find('/'))); }

std::string host::name_of(std::string_view name) const {
  auto whole = std::string(name);
  if (classes_.size() == 1 && name.find('/') == std::string_view::npos) whole = classes_.begin()->first + "/" + whole;
  static_cast<void>(name_fields(whole));
  return whole;
}

const host::life& host::life_of(std::string_view name) const {
  const auto found = lives_.find(name_of(name));
  if (found == lives_.end()) throw error("not_found", name_of(name) + " is not alive", effect::not_executed);
  return found->second;
}

const process_class& host::class_of(std::string_view name) const {
  const auto found = classes_.find(class_in(name));
  if (found != classes_.end()) return found->second;
  std::string known;
  for (const auto& [each, unused] : classes_)
    known += (known.empty() ? "" : ", ") + each;
  throw error("not_found", "class '" + class_in(name) + "' is not under test; there are: " + known,
              effect::not_executed);
}

void host::check_idle() const {
  for (const auto& [name, one] : lives_)
    if (one.at_work) throw std::logic_error(name + " is at work: end and upgrade processes between messages");
}

// ---- messages ----

void host::post(const std::string& name, json fields, std::shared_ptr<pending::box> caller) {
  alive(name).mailbox.push_back({.fields = std::move(fields), .caller = std::move(caller)});
  ready_.push_back(name);
}

void host::post_asked(const std::string& name, const char* kind, std::string_view method, const json& argument,
                      std::shared_ptr<pending::box> caller) {
  post(name, asked(class_of(name), kind, method, argument), std::move(caller));
}

void host::inform(const std::string& name, const std::string& word, const char* source, json argument) {
  post(name, {{"callback", "info"}, {"method", word}, {"argument", std::move(argument)}, {"source", source}});
}

/// Nothing more will happen: what is not answered now is given up.
json host::wait_for(const pending& caller) {
  if (caller.is_answered()) return caller.get();
  const auto& to = caller.box_->to;
  if (const auto found = lives_.find(to); found != lives_.end()) {
    const auto taken =
        std::erase_if(found->second.mailbox, [&](const auto& each) { return each.caller == caller.box_; });
    if (taken > 0)
      caller.box_->fail("deadline_exceeded", to + " waits for who asks it: neither goes on", effect::not_executed);
  }
  caller.box_->fail("deadline_exceeded", to + " left its caller waiting; a test takes such answers from ask()",
                    effect::unknown);
  return caller.get();
}

json host::ask_from(const std::string& asker, std::string_view name, std::string_view method, const json& argument,
                    const call_options& how) {
  static_cast<void>(name_fields(name));
  check_method(method);
  check_value(argument, "argument");
  if (how.timeout.count() != 0) check_timeout(how.timeout);
  if (name == asker) throw error("invalid_argument", asker + " would wait for itself", effect::not_executed);
  if (const auto known = classes_.find(class_in(name)); known != classes_.end()) {
    const pending caller{std::string(name)};
    auto fields = asked(known->second, "call", method, argument);
    if (is_traceparent(how.trace)) fields["trace"] = how.trace;
    post(caller.box_->to, std::move(fields), caller.box_);
    settle();
    return wait_for(caller);
  }
  if (auto reply = stand_in(std::string(name), std::string(method), argument)) return std::move(*reply);
  throw error("not_found",
              std::string(name) + " is not under test; say answer(\"" + class_in(name) + "\", \"" +
                  std::string(method) + "\", ...)",
              effect::not_executed);
}

std::optional<json> host::stand_in(const std::string& name, const std::string& method, const json& argument) {
  const auto found = answers_.find({class_in(name), method});
  if (found == answers_.end()) return {};
  try {
    const auto reply = found->second(name_fields(name)["key"].get<std::string>(), as_sent(argument));
    check_value(reply, "answer");
    return as_sent(reply);
  } catch (const refusal& no) {
    throw error(no.code(), no.what(), no.took_effect().value_or(effect::not_executed));
  }
}

void host::settle() {
  for (unsigned steps = 0; !ready_.empty(); ++steps) {
    const auto name = std::move(ready_.front());
    ready_.pop_front();
    if (steps >= steps_max) {
      ready_.clear();
      throw std::length_error("over " + std::to_string(steps_max) + " messages follow from one, last to " + name);
    }
    step(name);
  }
}

void host::step(const std::string& name) {
  const auto found = lives_.find(name);
  if (found == lives_.end() || found->second.at_work) return;
  auto& one = found->second;
  auto next = next_of(one, class_of(name).registration(1).at("stateVersion").get<std::uint32_t>());
  if (!next) return;
  const auto caller = ++numbers_;
  if (next->caller) next->fields["caller"] = caller;
  one.at_work = true;
  const auto done = run(name, one, next->fields);
  one.at_work = false;
  take(name, one, *next, caller, done);
  ready_.push_back(name);
}

std::optional<host::message> host::next_of(life& one, std::uint32_t version) {
  if (one.mailbox.empty() && !one.next && !one.moved && (one.begun || !one.wanted)) return std::nullopt;
  if (!one.begun) return message{.fields = {{"callback", "init"}, {"argument", one.argument}}, .caller = nullptr};
  if (one.state_version != version)
    return message{.fields = {{"callback", "code_change"}, {"fromVersion", one.state_version}}, .caller = nullptr};
  if (std::exchange(one.moved, false)) return message{.fields = {{"callback", "handoff"}}, .caller = nullptr};
  if (const auto with = std::exchange(one.next, std::nullopt))
    return message{.fields = {{"callback", "continue"}, {"argument", *with}}, .caller = nullptr};
  one.served = true;
  auto first = std::move(one.mailbox.front());
  one.mailbox.pop_front();
  return first;
}

json host::run(const std::string& name, const life& one, json work) {
  work.update(name_fields(name));
  work.update({{"type", "work"}, {"work", ++numbers_}, {"pid", one.pid}});
  if (work["callback"] != "init") work.update({{"state", one.state}, {"stateVersion", one.state_version}});
  const surroundings around{.abandoned = {},
                            .call = [&](std::string_view to, std::string_view method, const json& argument,
                                        const call_options& how) { return ask_from(name, to, method, argument, how); },
                            .log = [](const std::string& line) { std::cerr << "orrery: " + line + "\n"; }};
  return as_sent(class_of(name).handle(as_sent(work), around));
}

// ---- what follows from them ----

void host::take(const std::string& name, life& one, const message& what, std::uint64_t caller, const json& done) {
  if (done.contains("crash")) {
    const auto text = done["crash"].at("text").get<std::string>();
    if (what.caller) what.caller->fail("process_exited", name + " exited, error: " + text, effect::unknown);
    end(name, {.name = name, .kind = "error", .text = text}, afterwards::starts_afresh);
    return;
  }
  one.begun = true;
  one.state_version = class_of(name).registration(1).at("stateVersion").get<std::uint32_t>();
  if (done.contains("state")) one.state = done["state"];
  if (done.contains("patch")) one.state.merge_patch(done["patch"]);
  if (what.caller && done.contains("error")) {
    const auto& no = done["error"];
    what.caller->fail(no.at("code"), no.at("text"), effect_of(no.at("effect").get<std::string>()));
  } else if (what.caller && done.contains("later")) {
    one.kept[caller] = what.caller;
  } else if (what.caller) {
    what.caller->answer(done.value("reply", json()));
  }
  for (const auto& each : done.value("effects", json::array()))
    carry_out(name, one, each);
  if (done.contains("next")) one.next = done["next"];
  if (done.contains("stop")) stop_in_order(name, done["stop"]);
}

void host::send(const json& cast) {
  const auto klass = cast.at("class").get<std::string>();
  casts_.push_back({.to = klass + "/" + cast.at("key").get<std::string>(),
                    .method = cast.at("method"),
                    .argument = cast.at("argument")});
  if (!classes_.contains(klass)) return;
  try {
    post_asked(casts_.back().to, "cast", casts_.back().method, casts_.back().argument);
  } catch (const error&) {  // it has no such method: nobody hears of that
  }
}

host::life host::end(const std::string& name, const ended& how, afterwards then) {
  auto last = std::move(lives_.extract(name).mapped());
  exits_.push_back(how);
  const auto text = name + " exited, " + how.kind + ": " + how.text;
  for (const auto& each : last.mailbox)
    if (each.caller) each.caller->fail("process_exited", text, effect::not_executed);
  for (const auto& [number, each] : last.kept)
    each->fail("process_exited", text, effect::unknown);
  tell_watchers(last.pid, {.kind = how.kind, .text = how.text});
  if (then == afterwards::starts_afresh && last.served) {
    auto& fresh = alive(name);
    fresh.wanted = true;
    fresh.argument = last.argument;
    ready_.push_back(name);
  }
  return last;
}

void host::stop_in_order(const std::string& name, const json& reason) {
  const auto last = end(name, {.name = name, .kind = reason.at("kind"), .text = reason.at("text")}, afterwards::rests);
  const auto done = run(name, last, {{"callback", "terminate"}, {"reason", reason}});
  for (const auto& each : done.value("effects", json::array()))
    if (each.contains("cast")) send(each["cast"]);
}

}  // namespace orrery::app::testing
