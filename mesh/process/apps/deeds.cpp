// What handlers in apps have done beside answering: the effects of their answers.
#include "mesh/base/overloaded.hpp"
#include "mesh/kernel/core.hpp"
#include "mesh/process/apps/behaviour.hpp"
#include "mesh/process/groups.hpp"
#include "mesh/wire/cbor.hpp"

#include <utility>

namespace orrery::process {
namespace {

using cbor::major;

constexpr std::string_view timer_word = "app: timer";
constexpr std::size_t notice_text_max = 200;  ///< of why what a handler asked for could not be begun
/// Of a notice beside its name and target: a text of at most notice_text_max, and what it stands in.
constexpr std::size_t notice_overhead = notice_text_max + 96;
constexpr std::size_t timer_overhead = 256;  ///< of what waits for it, beside its argument
constexpr int depth_added = 1;  ///< by a timer, as by a snapshot: both are values when they are handed over

/// As app_behaviour::fired reads it.
value timer_payload_of(std::string_view name, std::uint64_t number, const value& argument) {
  bytes out;
  cbor::put_head(out, major::array, 3);
  cbor::put_text(out, name);
  cbor::put_head(out, major::unsigned_integer, number);
  cbor::put(out, argument.cbor());
  return value::adopt(out);
}

void put_pair(bytes& out, std::string_view key, std::string_view text) {
  cbor::put_text(out, key);
  cbor::put_text(out, text);
}

/// Is it a pid or a name? Who is behind it is seen when it is sent there.
result<void> check_target(std::string_view to) {
  if (to.find('/') == std::string_view::npos) {
    const auto id = parse_pid(to);
    return id ? result<void>{} : fail(id.error());
  }
  const auto name = parse_process_name(to);
  return name ? result<void>{} : fail(name.error());
}

result<void> check_message(directory& around, std::string_view word, std::string_view what) {
  const auto known = around.word_of(word, what);
  return known ? result<void>{} : fail(known.error());
}

result<void> check_timer(const app_timer& wanted) {
  const auto what = "the argument of timer '" + wanted.name + "'";
  if (const auto size = wanted.argument.cbor().size(); size > value_bytes_max - timer_overhead) {
    return fail(errc::limit_exceeded, what + " has " + std::to_string(size) + " bytes; " +
                                          std::to_string(value_bytes_max - timer_overhead) + " are allowed");
  }
  return check_depth(what, wanted.argument);
}

bool is_full(const scope& where) { return where.self.of().queued_bytes() >= where.queued_bytes_max; }

error too_much_waits() {
  return {errc::overloaded, "what waits in this node's mailboxes holds as much as it may", took_effect::not_executed};
}

/// To notice_text_max, between two characters of UTF-8.
void clip(std::string& text) {
  if (text.size() <= notice_text_max) return;
  auto size = notice_text_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U)
    --size;
  text.resize(size);
}

}  // namespace

result<void> check_depth(std::string_view what, const value& of) {
  int depth = 0;
  static_cast<void>(cbor::reader(of.cbor()).whole(&depth));
  if (depth + depth_added <= value_depth_max) return {};
  return fail(errc::limit_exceeded, std::string{what} + " would nest deeper than " +
                                        std::to_string(value_depth_max - depth_added) + " levels");
}

value reply_argument(const result<value>& came) {
  bytes out;
  cbor::put_head(out, major::map, 1);
  if (came) {
    cbor::put_text(out, "ok");
    cbor::put(out, came->cbor());
    return value::adopt(out);
  }
  cbor::put_text(out, "error");
  cbor::put_head(out, major::map, 3);
  put_pair(out, "code", to_string(came.error().code));
  put_pair(out, "text", came.error().context);
  put_pair(out, "effect", to_string(came.error().effect));
  return value::adopt(out);
}

value down_argument(std::string_view pid, const exit_reason& why) {
  bytes out;
  cbor::put_head(out, major::map, 2);
  put_pair(out, "pid", pid);
  cbor::put_text(out, "reason");
  cbor::put_head(out, major::map, 2);
  put_pair(out, "kind", kernel::to_string(why.why));
  put_pair(out, "text", why.detail);
  return value::adopt(out);
}

result<void> check_deed(directory& around, const app_deed& deed) {
  return std::visit(
      overloaded{[&](const app_send& what) -> result<void> {
                   if (auto sound = check_target(what.to); !sound) return sound;
                   return check_message(around, what.word, "a word");
                 },
                 [&](const app_publish& what) -> result<void> {
                   if (auto sound = check_group_name(what.group); !sound) return sound;
                   return check_message(around, what.word, "a word");
                 },
                 [&](const app_join& what) { return check_group_name(what.group); },
                 [&](const app_request& what) -> result<void> {
                   if (auto sound = check_target(what.to); !sound) return sound;
                   return check_message(around, what.method, "a method");
                 },
                 [&](const app_monitor& what) { return check_target(what.to); },
                 [](const app_timer& what) { return check_timer(what); }, [](const auto&) { return result<void>{}; }},
      deed);
}

void app_behaviour::carry_out(const scope& where, app_deed& deed) {
  std::visit(
      overloaded{
          [&](app_cast& what) {
            where.out.emplace_back(cast_sent{std::move(what.to), std::move(what.method), std::move(what.argument)});
          },
          [&](app_timer& what) { set_timer(where, what); },
          [&](app_cancel_timer& what) { cancel_timer(where, what.name); },
          [&](app_late_reply& what) {
            const auto found = more_ ? more_->kept.find(what.to) : decltype(extras::kept)::iterator{};
            if (!more_ || found == more_->kept.end()) return;  // its deadline has passed
            where.self.reply(found->second, std::move(what.answer));
            more_->kept.erase(found);
          },
          [&](app_send& what) { send(where, what); }, [&](app_publish& what) { publish(where, what); },
          [&](app_join& what) { join(where, what); },
          [&](app_leave& what) { static_cast<void>(where.around.leave(what.group, where.self.self())); },
          [&](app_request& what) { request(where, what); }, [&](app_monitor& what) { monitor(where, what); },
          [&](app_demonitor& what) { demonitor(where, what.name); }},
      deed);
}

// ---- timers ----

void app_behaviour::set_timer(const scope& where, app_timer& wanted) {
  cancel_timer(where, wanted.name);
  const auto word = where.self.of().atoms().intern(timer_word);
  if (!word) return where.self.abort({exit_reason::kind::system_limit, "as many words are known as may be"});
  const auto number = ++numbers_;
  const auto set = where.self.send_after(wanted.delay, where.self.self(), *word,
                                         timer_payload_of(wanted.name, number, wanted.argument));
  more().timers.insert_or_assign(std::move(wanted.name), timer{number, set});
}

void app_behaviour::cancel_timer(const scope& where, const std::string& name) {
  if (!more_) return;
  const auto found = more_->timers.find(name);
  if (found == more_->timers.end()) return;
  static_cast<void>(where.self.cancel(found->second.set));
  more_->timers.erase(found);  // one that fired already waits in the mailbox: it will not be known there
}

// ---- messages and groups ----

/// As a cast, it may find nobody.
void app_behaviour::send(const scope& where, app_send& what) {
  const auto word = where.around.word_of(what.word, "a word");
  const auto to = where.around.find(what.to);
  if (word && to && !is_full(where)) where.self.send(*to, *word, std::move(what.argument));
}

void app_behaviour::publish(const scope& where, const app_publish& what) {
  const auto word = where.around.word_of(what.word, "a word");
  if (word && !is_full(where)) where.around.publish(where.self, what.group, *word, what.argument);
}

void app_behaviour::join(const scope& where, const app_join& what) {
  const auto done = where.around.join(what.group, where.self.self());
  if (!done) where.self.abort({exit_reason::kind::system_limit, done.error().context});
}

// ---- calls and monitors of its own ----

void app_behaviour::forget(named_references& of, std::string_view name) {
  const auto found = of.find(name);
  if (found == of.end()) return;
  more_->names.erase(kernel::packed(found->second));
  of.erase(found);
}

void app_behaviour::remember(named_references& of, const std::string& name, kernel::reference made) {
  if (made == kernel::no_reference) return;  // the kernel has as many as may be, and ends this process for it
  of.emplace(name, made);
  more_->names.emplace(kernel::packed(made), name);
}

/// What has not been handed over yet.
void app_behaviour::forget_notices(std::string_view name, app_source source) {
  if (!more_) return;
  std::erase_if(more_->notices, [&](const notice& each) { return each.source == source && each.name == name; });
}

/// What goes with the state where the process moves, at most: the answers that it will hear of there.
std::size_t app_behaviour::baggage_after(const app_answer& answer) const {
  std::size_t size = 0;
  if (more_) {
    for (const auto& [name, each] : more_->requests)
      size += name.size() + notice_overhead;
    for (const auto& each : more_->notices)
      size += each.name.size() + each.argument.cbor().size() + notice_overhead;
  }
  const auto add = [&](const auto& what) { size += what.name.size() + what.to.size() + notice_overhead; };
  for (const auto& each : answer.deeds) {
    if (const auto* asked = std::get_if<app_request>(&each)) add(*asked);
    if (const auto* watch = std::get_if<app_monitor>(&each)) add(*watch);
  }
  return size;
}

void app_behaviour::notify(const scope& where, notice what) {
  const auto word = where.self.of().atoms().intern(app_notice_word);
  if (!word) return where.self.abort({exit_reason::kind::system_limit, "as many words are known as may be"});
  more().notices.push_back(std::move(what));
  where.self.send(where.self.self(), *word);
}

void app_behaviour::request(const scope& where, app_request& what) {
  if (const auto before = more().requests.find(what.name); before != more_->requests.end()) {
    (void)where.self.give_up(before->second);
  }
  forget(more_->requests, what.name);
  forget_notices(what.name, app_source::reply);
  const auto method = where.around.word_of(what.method, "a method");
  const auto to = where.around.find(what.to);
  if (!method || !to || is_full(where)) {
    auto why = !method ? method.error() : !to ? to.error() : too_much_waits();
    clip(why.context);
    return notify(where, {std::move(what.name), app_source::reply, reply_argument(fail(why))});
  }
  remember(more().requests, what.name, where.self.call(*to, *method, std::move(what.argument), what.timeout));
}

void app_behaviour::monitor(const scope& where, app_monitor& what) {
  demonitor(where, what.name);
  const auto to = where.around.find(what.to);
  if (!to) {
    const auto why = parse_pid(what.to) ? exit_reason::kind::noconnection : exit_reason::kind::noproc;
    auto text = to.error().context;
    clip(text);
    return notify(where, {std::move(what.name), app_source::down, down_argument(what.to, {why, std::move(text)})});
  }
  remember(more().monitors, what.name, where.self.monitor(*to));
}

void app_behaviour::demonitor(const scope& where, const std::string& name) {
  if (!more_) return;
  forget_notices(name, app_source::down);
  const auto found = more_->monitors.find(name);
  if (found == more_->monitors.end()) return;
  where.self.demonitor(found->second);
  forget(more_->monitors, name);
}

}  // namespace orrery::process
