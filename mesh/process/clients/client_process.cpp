#include "mesh/process/clients/client_process.hpp"

#include "mesh/kernel/core.hpp"

#include <algorithm>

namespace orrery::process {
namespace {

constexpr std::size_t exits_beyond_max = kernel::exits_beyond_max;

/// To be told, beyond the bounds that hold for what others send: an end, or what the system tells of groups and keys.
bool is_end(const client_message& what) noexcept {
  using kind = client_message::kind;
  return what.what == kind::down || what.what == kind::exit || (what.what == kind::plain && is_notice(what.word));
}

value nothing_to_tell() {
  const std::uint8_t empty_map = 0xa0;
  return value::adopt({&empty_map, 1});
}

/// may_watch sees to it that there are not too many of these.
bool has_room_always(const client_message& what) noexcept {
  return what.what == client_message::kind::down && what.why.detail.empty();
}

}  // namespace

client_process::~client_process() {
  for (const auto& [ref, each] : asked_) {
    shared_.outbox.emplace_back(
        client_answer{client_, each.by, fail(errc::cancelled, "its process has ended", took_effect::unknown)});
  }
  for (const auto& each : waiting_)
    count_waiting(each, false);
}

void client_process::received(kernel::context& self, kernel::message& arrived) {
  using kind = kernel::message::kind;
  client_message told{.app = client_, .process = id_};
  if (arrived.from != kernel::nobody && arrived.from.node != kernel::handle::outside) {
    told.from = shared_.around.text_of(arrived.from);
  }
  switch (arrived.what) {
    case kind::call:
      return self.reply(kernel::caller_of(arrived),
                        fail(errc::not_found, "a client's process answers no calls; a hosted class does"));
    case kind::reply:
      return answered(arrived);
    case kind::plain:
    case kind::cast:
      told.what = arrived.what == kind::plain ? client_message::kind::plain : client_message::kind::cast;
      told.word = self.of().atoms().text(arrived.word);
      told.argument = std::move(arrived.payload);
      return take(self, std::move(told));
    case kind::exit:
      told.what = client_message::kind::exit;
      told.why = kernel::reason_of(arrived);
      return take(self, std::move(told));
    case kind::down: {
      const auto found = numbers_.find(kernel::packed(arrived.ref));
      if (found == numbers_.end()) return;
      told.what = client_message::kind::down;
      told.monitor = found->second;
      told.why = kernel::reason_of(arrived);
      static_cast<void>(unwatch(told.monitor));
      return take(self, std::move(told));
    }
    case kind::timer:
    case kind::timeout:
    case kind::resume:
      return;  // it sets none
  }
}

void client_process::answered(const kernel::message& reply) {
  const auto found = asked_.find(kernel::packed(reply.ref));
  if (found == asked_.end()) return;
  auto came = kernel::outcome_of(reply);
  if (came && found->second.claims) came = nothing_to_tell();
  shared_.outbox.emplace_back(client_answer{client_, found->second.by, std::move(came)});
  asked_.erase(found);
}

client_window* client_process::window() const noexcept {
  const auto found = shared_.windows.find(client_);
  return found == shared_.windows.end() ? nullptr : &found->second;
}

void client_process::count_waiting(const client_message& what, bool more) noexcept {
  auto* const of = window();
  if (of == nullptr) return;  // it was taken off when its connection went
  const auto bytes = more ? bytes_of(what) : -bytes_of(what);
  if (has_room_always(what)) return static_cast<void>(of->downs += bytes);
  (is_end(what) ? of->ends : of->waiting) += bytes;
  (is_end(what) ? shared_.ends : shared_.waiting).taken += bytes;
}

bool client_process::has_room(const client_message& what) const noexcept {
  if (has_room_always(what)) return true;
  const auto* const of = window();
  if (of == nullptr) return false;
  if (!is_end(what)) return waiting_.size() < client_messages_max && shared_.waiting.has(of->waiting, bytes_of(what));
  return waiting_.size() < client_messages_max + exits_beyond_max && shared_.ends.has(of->ends, bytes_of(what));
}

void client_process::take(kernel::context& self, client_message what) {
  if (waiting_.empty() && may_tell()) return tell(std::move(what));
  if (!has_room(what)) what.why.detail.clear();  // the text
  if (has_room(what)) return keep(std::move(what));
  ++shared_.dropped;
  // What it believes of who is alive, in a group, or has a key, would not be true any more.
  if (is_end(what)) self.stop({kernel::exit_reason::kind::limit, "its client does not read what it is to be told"});
}

void client_process::keep(client_message what) {
  count_waiting(what, true);
  downs_waiting_ += what.what == client_message::kind::down ? 1 : 0;
  waiting_.push_back(std::move(what));
}

client_message client_process::let_go(std::deque<client_message>::iterator of) {
  auto what = std::move(*of);
  waiting_.erase(of);
  count_waiting(what, false);
  downs_waiting_ -= what.what == client_message::kind::down ? 1 : 0;
  return what;
}

bool client_process::may_tell() const noexcept {
  const auto* const of = window();
  return credit_ > 0 && of != nullptr && shared_.is_open(*of);
}

void client_process::tell(client_message what) {
  --credit_;
  auto& to = shared_.windows.at(client_);
  const auto bytes = frame_bytes_of(what, to.as_json);
  to.unwritten += bytes;
  shared_.unwritten += bytes;
  shared_.outbox.emplace_back(std::move(what));
}

void client_process::add_credit(std::uint32_t more) {
  credit_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(client_credit_max, std::uint64_t{credit_} + more));
  tell_waiting();
}

void client_process::tell_waiting() {
  while (!waiting_.empty() && may_tell())
    tell(let_go(waiting_.begin()));
}

std::uint64_t client_process::watch(kernel::reference monitor) {
  const auto number = ++monitors_made_;
  monitors_.emplace(number, kernel::packed(monitor));
  numbers_.emplace(kernel::packed(monitor), number);
  return number;
}

std::uint64_t client_process::watch_in_vain(std::string_view pid) {
  const auto number = ++monitors_made_;
  lost_sight_of(client_message::kind::down, pid, number);
  return number;
}

bool client_process::link_in_vain(std::string_view pid) {
  if (waiting_.size() >= client_messages_max + exits_beyond_max) return false;
  lost_sight_of(client_message::kind::exit, pid, 0);
  return true;
}

/// Waits, whatever the credit, as the answer to the act comes first.
void client_process::lost_sight_of(client_message::kind what, std::string_view pid, std::uint64_t monitor) {
  client_message told{.app = client_, .process = id_, .what = what, .from = std::string{pid}, .monitor = monitor};
  told.why = {kernel::exit_reason::kind::noconnection, {}};
  keep(std::move(told));
}

std::optional<kernel::reference> client_process::unwatch(std::uint64_t number) {
  const auto found = monitors_.find(number);
  if (found == monitors_.end()) return {};
  const auto monitor = kernel::unpacked(found->second);
  numbers_.erase(found->second);
  monitors_.erase(found);
  return monitor;
}

void client_process::forget_down(std::uint64_t number) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const client_message& each) {
    return each.what == client_message::kind::down && each.monitor == number;
  });
  if (found != waiting_.end()) static_cast<void>(let_go(found));
}

bool client_process::cancel(kernel::context& self, client_request which) {
  const auto found = std::find_if(asked_.begin(), asked_.end(),
                                  [&](const auto& each) { return each.second.by == which && !each.second.claims; });
  if (found == asked_.end()) return false;
  const bool never = self.give_up(kernel::unpacked(found->first));
  asked_.erase(found);
  shared_.outbox.emplace_back(client_answer{
      client_, which,
      fail(errc::cancelled, "cancelled by the client", never ? took_effect::not_executed : took_effect::unknown)});
  return true;
}

bool client_process::add_link(kernel::context& self) {
  if (links_ >= client_ties_max) links_ = self.of().inspect(self.self())->links.size();  // some may have broken
  if (links_ >= client_ties_max) return false;
  ++links_;
  return true;
}

}  // namespace orrery::process
