#include "mesh/process/clients/client_process.hpp"

#include "mesh/kernel/core.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>

namespace orrery::process {

client_process::~client_process() {
  for (const auto& [ref, each] : asked_) {
    shared_.outbox.emplace_back(
        client_answer{client_, each.by, fail(errc::cancelled, "its process has ended", took_effect::unknown)});
  }
  auto* const of = window();
  if (of == nullptr) return;  // all of it was taken off when its connection went
  for (const auto& each : waiting_)
    shared_.flow.wait_no_more(*of, each.in, each.bytes);
  shared_.flow.unwatch(*of, monitors_.size() + downs_waiting_);
  of->ready.erase(id_);
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
  if (came && found->second.claims) came = cbor::empty_map();
  shared_.outbox.emplace_back(client_answer{client_, found->second.by, std::move(came)});
  asked_.erase(found);
}

void client_process::take(kernel::context& self, client_message what) {
  weigh(what);
  if (waiting_.empty() && may_tell(what)) return tell(std::move(what));
  if (!keep(what)) {
    what.why.detail = {};  // the text, with its memory
    weigh(what);
    if (!keep(what)) lose(self, what);
  }
  tell_waiting();
}

void client_process::lose(kernel::context& self, const client_message& what) {
  shared_.flow.drop();
  if (account_of(what) == client_account::messages) return tell_of_drop();
  // What it believes of who is alive, in a group, or has a key, would not be true any more.
  self.stop({kernel::exit_reason::kind::limit, "its client does not read what it is to be told"});
}

void client_process::weigh(client_message& what) const {
  const auto* const of = window();
  what.weight = weight_of(what, of != nullptr && of->as_json);
}

void client_process::show_ready() {
  auto* const of = window();
  if (of == nullptr) return;
  if (credit_ > 0 && !waiting_.empty()) {
    of->ready.insert(id_);
  } else {
    of->ready.erase(id_);
  }
}

/// In the place of the message.
void client_process::tell_of_drop() {
  using kind = client_message::kind;
  if (waiting_.empty() || waiting_.back().what.what != kind::dropped) {
    client_message told{.app = client_, .process = id_, .what = kind::dropped};
    weigh(told);
    if (!keep(told)) return;  // the connection is gone
  }
  ++waiting_.back().what.count;
}

bool client_process::keep(client_message& what) {
  auto* const of = window();
  if (of == nullptr) return false;
  const auto in = account_of(what);
  const auto bytes = bytes_of(what);
  const auto most = client_messages_max + (in == client_account::messages ? 0 : kernel::exits_beyond_max);
  if (in != client_account::small && waiting_.size() >= most) return false;
  if (!shared_.flow.has_room(*of, in, bytes)) return false;
  shared_.flow.wait(*of, in, bytes);
  if (what.what == client_message::kind::down) {
    ++downs_waiting_;
    shared_.flow.watch(*of);
  }
  waiting_.push_back({std::move(what), in, bytes});
  show_ready();
  return true;
}

client_message client_process::let_go(std::deque<waiting>::iterator of) {
  auto gone = std::move(*of);
  waiting_.erase(of);
  if (gone.what.what == client_message::kind::down) --downs_waiting_;
  if (auto* const in = window()) {
    shared_.flow.wait_no_more(*in, gone.in, gone.bytes);
    if (gone.what.what == client_message::kind::down) shared_.flow.unwatch(*in);
  }
  show_ready();
  return std::move(gone.what);
}

bool client_process::may_tell(const client_message& what) const noexcept {
  const auto* const of = window();
  return credit_ > 0 && of != nullptr && shared_.flow.may_tell(*of, what);
}

bool client_process::is_held_up() const noexcept {
  const auto* const of = window();
  return credit_ > 0 && of != nullptr && !waiting_.empty() && shared_.flow.is_held_up(*of, waiting_.front().what);
}

void client_process::tell(client_message what) {
  --credit_;
  show_ready();
  shared_.flow.tell(*window(), std::move(what));
}

void client_process::add_credit(std::uint32_t more) {
  credit_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(client_credit_max, std::uint64_t{credit_} + more));
  show_ready();
  tell_waiting();
}

void client_process::tell_waiting() {
  while (!waiting_.empty() && may_tell(waiting_.front().what))
    tell(let_go(waiting_.begin()));
}

bool client_process::may_watch() const noexcept {
  const auto* const of = window();
  return monitors_.size() + downs_waiting_ < client_ties_max && of != nullptr && shared_.flow.may_watch(*of);
}

std::uint64_t client_process::watch(kernel::reference monitor) {
  if (auto* const of = window()) shared_.flow.watch(*of);
  const auto number = ++monitors_made_;
  monitors_.emplace(number, kernel::packed(monitor));
  numbers_.emplace(kernel::packed(monitor), number);
  return number;
}

std::uint64_t client_process::watch_in_vain(std::string_view pid) {
  auto told = lost_sight_of(client_message::kind::down, pid);
  told.monitor = ++monitors_made_;
  static_cast<void>(keep(told));  // a down without a text has room
  return monitors_made_;
}

bool client_process::link_in_vain(std::string_view pid) {
  auto told = lost_sight_of(client_message::kind::exit, pid);
  return keep(told);
}

/// Waits, whatever the credit, as the answer to the act comes first.
client_message client_process::lost_sight_of(client_message::kind what, std::string_view pid) const {
  client_message told{.app = client_, .process = id_, .what = what, .from = std::string{pid}};
  told.why = {kernel::exit_reason::kind::noconnection, {}};
  weigh(told);
  return told;
}

std::optional<kernel::reference> client_process::unwatch(std::uint64_t number) {
  const auto found = monitors_.find(number);
  if (found == monitors_.end()) return {};
  const auto monitor = kernel::unpacked(found->second);
  numbers_.erase(found->second);
  monitors_.erase(found);
  if (auto* const of = window()) shared_.flow.unwatch(*of);
  return monitor;
}

void client_process::forget_down(std::uint64_t number) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const waiting& each) {
    return each.what.what == client_message::kind::down && each.what.monitor == number;
  });
  if (found == waiting_.end()) return;
  const auto at = found - waiting_.begin();
  static_cast<void>(let_go(found));
  // What it stood between is one gap now.
  const auto next = waiting_.begin() + at;
  if (next == waiting_.begin() || next == waiting_.end()) return;
  auto& before = (next - 1)->what;
  if (before.what != client_message::kind::dropped || next->what.what != client_message::kind::dropped) return;
  before.count += let_go(next).count;
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
