#include "sidecar/sdk_connection.hpp"

#include <fmt/format.h>

#include "shell/log.hpp"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace orrery::sidecar {

time_point sdk_connection::core_now() const {
  return time_point{std::chrono::duration_cast<duration>(now_().time_since_epoch())};
}

sdk_connection::sdk_connection(sdk_place at)
    : owner_(&at.owner),
      node_(at.node),
      counted_(at.counted),
      id_(at.id),
      now_(std::move(at.now)),
      session_(std::move(at.greeting), at.id, core_now()),
      progress_(now_()) {}

void sdk_connection::see_progress(int socket) noexcept {
  const int most = 128 << 10;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof most);  // without it, as good as it gets
}

// ---- bytes ----

void sdk_connection::opened() {
  opened_ = true;
  write();
  go_on();
}

void sdk_connection::go_on() {
  if (owner_ != nullptr && !closing_since_) owner_->turns().want(shared_from_this());
}

bool sdk_connection::take_frames(clock::time_point until) {
  // While more is to be written than may be, frames wait; has_written goes on.
  while (owner_ != nullptr && !closing_since_ && unwritten() <= unread_max) {
    sdk::outputs todo;
    if (!session_.next(core_now(), todo)) {
      read();
      return false;
    }
    perform(todo);
    if (now_() >= until) return true;
  }
  return false;
}

void sdk_connection::read() {
  if (reading_ || owner_ == nullptr || closing_since_ || unwritten() > unread_max) return;
  reading_ = true;
  begin_read();
}

void sdk_connection::write() {
  if (!opened_ || writing_ || queue_.empty() || owner_ == nullptr) return;
  writing_ = true;
  progress_ = now_();
  begin_write();
}

void sdk_connection::has_written(std::size_t count) {
  writing_ = false;
  queue_.left(count);
  if (owner_ == nullptr) return;
  if (queue_.empty() && closing_since_) return begin_farewell(closing_because_);
  write();
  go_on();
  report_written();  // last: what follows from it may end this connection
}

/// Not of each message. What is not reported is less than any connection's window, so one that is shut is opened again.
void sdk_connection::report_written() {
  if (owner_ == nullptr) return;
  if (const auto bytes = queue_.report(reported_at); bytes > 0)
    node_.deliver(node::from_app{process::client_written{id_, bytes}});
}

void sdk_connection::lost(const std::string& why, bool broken) {
  if (owner_ == nullptr) return;
  const auto self = shared_from_this();
  if (broken) owner_->ended_it({errc::protocol, why});
  sdk::outputs todo;
  session_.closed(why, todo);
  shut();
  perform(todo);
}

void sdk_connection::shut() {
  if (owner_ == nullptr) return;
  close_socket();
  std::exchange(owner_, nullptr)->closing(id_);
}

void sdk_connection::abandon() {
  owner_ = nullptr;
  close_socket();
}

void sdk_connection::give_up(const error& why) {
  if (owner_ == nullptr) return;
  owner_->ended_it(why);
  lost("it reads too slowly");
}

// ---- the session ----

void sdk_connection::told(const process::app_effect& what) {
  sdk::outputs todo;
  session_.told(what, todo);
  perform(todo);
}

void sdk_connection::happened(std::string_view type, const value& data) {
  sdk::outputs todo;
  session_.happened(type, data, todo);
  perform(todo);
}

void sdk_connection::tick() {
  if (owner_ == nullptr) return;  // another one's end was also this one's, in the same round
  const auto now = now_();
  if (closing_since_ && now - *closing_since_ >= farewell_max) return shut();
  if (writing_ && now - progress_ >= stall_max)
    return give_up({errc::overloaded, "nothing was taken of what is sent to it for 30 s"});
  if (!reading_) session_.held_up(core_now());    // too much waits to be written; stall_max holds
  if (writing_) session_.heard_from(core_now());  // it takes what is sent, if slowly; else stall_max holds
  sdk::outputs todo;
  session_.tick(core_now(), todo);
  perform(todo);
}

void sdk_connection::end(const error& why) {
  sdk::outputs todo;
  session_.end(why, todo);
  perform(todo);
}

void sdk_connection::perform(sdk::outputs& todo) {
  const auto self = shared_from_this();
  for (auto& each : todo)
    std::visit([&](auto& one) { perform(one); }, each);
  if (unwritten() > unwritten_max && !closing_since_)
    return give_up({errc::overloaded, fmt::format("{} bytes wait for it to read", unwritten())});
  write();
  if (unwritten() > watched_from && owner_ != nullptr) owner_->bound_unwritten();
}

void sdk_connection::perform(sdk::send& todo) {
  if (owner_ == nullptr) return;
  queue_.add(std::move(todo.frame), todo.weight);
}

void sdk_connection::perform(sdk::ask& todo) {
  if (owner_ == nullptr || closing_since_) return;  // nobody would hear
  if (!todo.id) {
    node_.ask(std::move(todo.what), [](const result<value>&) {});
    return;
  }
  std::optional<class_name> called;
  if (const auto* call = std::get_if<node::call_op>(&todo.what)) called = call->name.klass;
  auto told = [self = weak_from_this(), number = *todo.id, called = std::move(called), began = clock::now(),
               counted = &counted_](const result<value>& answer) {
    if (called) {
      counted->count_call(*called, answer ? std::nullopt : std::optional(answer.error().code), clock::now() - began);
    }
    const auto still = self.lock();
    if (!still) return;
    still->asked_.erase(number.value);
    sdk::outputs next;
    still->session_.answered(number, answer, next);
    still->perform(next);
  };
  const auto id = node_.ask(std::move(todo.what), std::move(told));
  if (node_.waits(id)) asked_.emplace(todo.id->value, id);
}

void sdk_connection::perform(sdk::withdraw& todo) {
  const auto found = asked_.find(todo.id.value);
  if (found != asked_.end()) node_.cancel(found->second);
}

void sdk_connection::perform(sdk::abandon& todo) {
  const auto found = asked_.find(todo.id.value);
  if (found == asked_.end()) return;
  const auto id = found->second;
  asked_.erase(found);
  node_.abandon(id);
}

/// For who looks into the log of a pod whose app comes and goes.
void sdk_connection::log_apps(const process::app_event& what) {
  if (const auto* offered = std::get_if<process::app_registered>(&what)) {
    if (++registered_ > sdk::session::registrations_max) return;  // who registers again and again is not to fill it
    shell::log::info("an app registers a class",
                     {{"class", offered->offer.klass.value}, {"client", session_.client()}, {"connection", number()}});
  }
  const auto* gone = std::get_if<process::app_gone>(&what);
  if (gone == nullptr || registered_ == 0) return;
  shell::log::info("an app has gone", {{"reason", gone->why},
                                       {"registrations", static_cast<std::int64_t>(std::exchange(registered_, 0))},
                                       {"client", session_.client()},
                                       {"connection", number()}});
}

void sdk_connection::perform(sdk::tell_node& todo) {
  log_apps(todo.what);
  node_.deliver(node::from_app{std::move(todo.what)});
}

void sdk_connection::perform(sdk::close& todo) {
  if (owner_ == nullptr || closing_since_) return;
  if (todo.why.code != errc::cancelled && todo.why.code != errc::draining) owner_->ended_it(todo.why);
  closing_since_ = now_();
  closing_because_ = todo.why.code;
  if (queue_.empty()) begin_farewell(closing_because_);
}

}  // namespace orrery::sidecar
