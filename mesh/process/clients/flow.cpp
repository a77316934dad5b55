#include "mesh/process/clients/flow.hpp"

#include "mesh/base/assert.hpp"
#include "mesh/process/directory.hpp"
#include "mesh/wire/json_size.hpp"

#include <algorithm>
#include <string>

namespace orrery::process {

client_account account_of(const client_message& what) noexcept {
  using kind = client_message::kind;
  const bool is_small = what.what == kind::dropped || (what.what == kind::down && what.why.detail.empty());
  if (is_small) return client_account::small;
  const bool is_end =
      what.what == kind::down || what.what == kind::exit || (what.what == kind::plain && is_notice(what.word));
  return is_end ? client_account::ends : client_account::messages;
}

std::size_t weight_of(const client_message& what, bool as_json) {
  constexpr std::size_t names_of_fields = 192;  // and what is of one length
  if (!as_json) return bytes_of(what);
  const auto bytes = names_of_fields + json_bytes_max(what.argument.cbor()) + json_bytes_max(what.why.detail) +
                     json_bytes_max(what.word) + json_bytes_max(what.from);
  return bytes * client_json_cost;
}

// ---- connections ----

client_window& client_flow::open(app_id client, bool as_json) {
  return windows_.try_emplace(client, client_window{.as_json = as_json, .moved = now_}).first->second;
}

client_window* client_flow::find(app_id client) noexcept {
  const auto found = windows_.find(client);
  return found == windows_.end() ? nullptr : &found->second;
}

void client_flow::close(app_id client) {
  const auto gone = windows_.find(client);
  if (gone == windows_.end()) return;
  auto& window = gone->second;
  for (const auto in : {account::messages, account::ends, account::small})
    wait_no_more(window, in, window.waiting[static_cast<std::size_t>(in)]);
  unwatch(window, window.watching);
  give_back(window.unwritten);
  windows_.erase(gone);
}

client_flow::windows::iterator client_flow::take_turn() {
  auto at = windows_.lower_bound(next_);
  if (at == windows_.end()) at = windows_.begin();
  next_ = app_id{at->first.value + 1};
  return at;
}

// ---- on their way ----

std::size_t client_flow::share() const noexcept {
  return std::min(bounds_.window, bounds_.window_in_all / std::max<std::size_t>(windows_.size(), 1));
}

void client_flow::tell(client_window& to, client_message what) {
  if (to.unwritten < bounds_.floor) to.moved = now_;
  to.unwritten += what.weight;
  take(what.weight);
  outbox_.emplace_back(std::move(what));
}

void client_flow::written(client_window& of, std::size_t bytes) {
  ORRERY_ASSERT(bytes <= of.unwritten);
  of.unwritten -= bytes;
  of.moved = now_;
  give_back(bytes);
}

void client_flow::take(std::size_t bytes) noexcept {
  unwritten_ += bytes;
  if (is_full() && !full_since_) full_since_ = now_;
}

void client_flow::give_back(std::size_t bytes) noexcept {
  ORRERY_ASSERT(bytes <= unwritten_);
  unwritten_ -= bytes;
  if (!is_full()) full_since_.reset();
}

void client_flow::end_the_slowest() {
  look_later();
  auto slowest = windows_.end();
  for (auto at = windows_.begin(); at != windows_.end(); ++at) {
    const auto& [client, window] = *at;
    if (window.unwritten <= bounds_.floor || now_ - window.moved < client_patience) continue;
    const bool slower = slowest == windows_.end() || window.moved < slowest->second.moved ||
                        (window.moved == slowest->second.moved && window.unwritten > slowest->second.unwritten);
    if (slower) slowest = at;
  }
  if (slowest == windows_.end()) return;
  outbox_.emplace_back(client_too_slow{
      slowest->first, std::to_string(slowest->second.unwritten) +
                          " bytes of messages wait for it to read, and others wait for that: " +
                          std::to_string(bounds_.window_in_all) + " may be on their way to all clients together"});
}

// ---- what waits ----

client_room* client_flow::room_of(account in) noexcept {
  return in == account::small ? nullptr : in == account::ends ? &ends_ : &messages_;
}

bool client_flow::has_room(const client_window& of, account in, std::size_t bytes) const noexcept {
  if (in == account::small) return true;
  const auto& room = in == account::ends ? ends_ : messages_;
  return room.has(of.waiting[static_cast<std::size_t>(in)], bytes);
}

void client_flow::wait(client_window& of, account in, std::size_t bytes) noexcept {
  of.waiting[static_cast<std::size_t>(in)] += bytes;
  (in == account::small ? small_ : room_of(in)->taken) += bytes;
}

void client_flow::wait_no_more(client_window& of, account in, std::size_t bytes) noexcept {
  auto& own = of.waiting[static_cast<std::size_t>(in)];
  auto& in_all = in == account::small ? small_ : room_of(in)->taken;
  ORRERY_ASSERT(bytes <= own && bytes <= in_all);
  own -= bytes;
  in_all -= bytes;
}

void client_flow::watch(client_window& of) noexcept {
  ++of.watching;
  ++watching_.taken;
}

void client_flow::unwatch(client_window& of, std::size_t many) noexcept {
  ORRERY_ASSERT(many <= of.watching && many <= watching_.taken);
  of.watching -= many;
  watching_.taken -= many;
}

client_load client_flow::load() const noexcept {
  return {.connections = windows_.size(),
          .unwritten_bytes = unwritten_,
          .waiting_bytes = messages_.taken,
          .waiting_ends_bytes = ends_.taken + small_,
          .watching = watching_.taken,
          .dropped = dropped_};
}

}  // namespace orrery::process
