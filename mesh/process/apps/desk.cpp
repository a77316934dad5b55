#include "mesh/process/apps/desk.hpp"

#include "mesh/base/assert.hpp"

#include <algorithm>

namespace orrery::process {
namespace {

std::size_t size_of(const app_work& what) {
  return what.argument.cbor().size() + (what.state ? what.state->cbor().size() : 0);
}

std::string in_words(duration length) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace

bool app_offer::takes(const app_work& what) const {
  const auto among = [&](const auto& methods) {
    return std::find(methods.begin(), methods.end(), what.method) != methods.end();
  };
  if (what.what == app_callback::call) return among(calls);
  return what.what == app_callback::cast ? among(casts) : has(what.what);
}

// ---- the class ----

void app_pool::declare(const settings& chosen) {
  if (!declared_ && !anyone_there()) away_since_.reset(), refused_ = hosted_ = was_hosted_ = false;
  declared_ = true;
  settings_ = chosen;
  desk_.came_or_went_ = true;
}

// ---- what apps offer ----

void app_pool::look_again(time_point now) {
  const bool there = anyone_there();
  newest_.reset();
  for (const auto& [id, each] : members_) {
    if (!each.draining) newest_ = std::max(newest_.value_or(0), each.offer.state_version);
  }
  if (!newest_) {
    if (!there) return;
    const bool stayed = now >= after(there_since_, settings_.wait_for_app);
    if (stayed || !unsettled_since_) unsettled_since_ = now;
    away_since_ = now;
    refused_ = false;
    desk_.came_or_went_ = true;
    return;
  }
  if (!there) there_since_ = now, desk_.came_or_went_ = true;
  known_ = true;
  calls_.clear();
  casts_.clear();
  for (const auto& [id, each] : members_) {
    if (each.draining || each.offer.state_version != *newest_) continue;
    calls_.insert(each.offer.calls.begin(), each.offer.calls.end());
    casts_.insert(each.offer.casts.begin(), each.offer.casts.end());
  }
}

bool app_pool::answers(message_kind kind, std::string_view method) const {
  return !known_ || (kind == message_kind::call ? calls_ : casts_).contains(method);
}

std::string app_pool::methods(message_kind kind) const {
  std::string all;
  for (const auto& each : kind == message_kind::call ? calls_ : casts_)
    all += (all.empty() ? "" : ", ") + each;
  return all;
}

bool app_pool::has(app_callback one) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& each) {
    return !each.second.draining && each.second.offer.state_version == newest_ && each.second.offer.has(one);
  });
}

std::uint32_t app_pool::state_version() const {
  ORRERY_ASSERT(newest_);
  return *newest_;
}

/// An app's restart is not to move anything, and one that falls again and again is not to move it to and fro.
void app_pool::settle(time_point now) {
  if (now < settles_at()) return;
  hosted_ = anyone_there();
  was_hosted_ |= hosted_;
  unsettled_since_.reset();
}

time_point app_pool::settles_at() const {
  if (hosted_ == anyone_there()) return never;
  const auto wait = settings_.wait_for_app;
  if (hosted_) return std::min(after(*away_since_, wait), after(*unsettled_since_, 2 * wait));
  return was_hosted_ ? after(there_since_, wait) : time_point{};
}

std::optional<error> app_pool::refusal(time_point now) const {
  if (anyone_there() || elsewhere_ || !away_since_ || now < after(*away_since_, settings_.wait_for_app)) return {};
  return error{errc::unavailable, "no app that hosts class '" + klass_.value + "' is connected to this node" +
                                      (known_ ? ", for more than " : ", nor was in the first ") +
                                      in_words(settings_.wait_for_app) + "; retry later"};
}

std::string app_pool::time_allowed() const { return in_words(settings_.handler_timeout) + " (handlerTimeout)"; }

void app_pool::add_user() {
  if (users_++ == 0) desk_.used_.emplace(klass_, this), desk_.came_or_went_ = true;
}

void app_pool::drop_user() {
  if (--users_ > 0) return;
  desk_.used_.erase(klass_);
  desk_.came_or_went_ = true;
  elsewhere_ = false;
}

// ---- work ----

app_pool::member* app_pool::pick(std::size_t bytes, const app_work* what) {
  member* best = nullptr;
  for (auto& [id, each] : members_) {
    if (each.draining || each.offer.state_version != newest_ || each.at_work >= each.offer.concurrency) continue;
    if (what != nullptr && !each.offer.takes(*what)) continue;
    const auto held = desk_.bytes_.find(id);
    if (held != desk_.bytes_.end() && held->second + bytes > app_bytes_max) {
      desk_.starved_ = true;
      continue;
    }
    if (best == nullptr || each.at_work < best->at_work) best = &each;
  }
  return best;
}

bool app_pool::admits(kernel::handle who, const app_work& what) {
  return (waiting_.empty() || at_turn_.second == who) && pick(size_of(what), &what) != nullptr;
}

std::uint64_t app_pool::wait(kernel::handle who) {
  const bool again = at_turn_.second == who;
  no_room_ |= again;
  const auto place = again ? at_turn_.first : ++last_place_;
  waiting_.emplace(place, who);
  return place;
}

work_id app_pool::begin(time_point now, kernel::handle who, app_work what) {
  const auto bytes = size_of(what);
  member* const to = pick(bytes, &what);
  ORRERY_ASSERT(to != nullptr);
  const work_id id{++desk_.last_work_};
  const auto deadline = after(now, settings_.handler_timeout);
  ++to->at_work;
  desk_.bytes_[to->offer.app] += bytes;
  desk_.works_.emplace(id, app_desk::work{this, to->offer.app, who, what.what, what.method, bytes, deadline});
  desk_.deadlines_.emplace(deadline, id);
  ++desk_.counted_.handed_out;
  what.app = to->offer.app;
  what.id = id;
  what.class_version = settings_.version;
  what.timeout = settings_.handler_timeout;
  desk_.outbox.emplace_back(std::move(what));
  return id;
}

void app_pool::abandon(work_id id, std::string why) {
  const auto found = desk_.works_.find(id);
  if (found == desk_.works_.end() || found->second.who == kernel::nobody) return;
  found->second.who = kernel::nobody;
  desk_.deadlines_.erase({found->second.deadline, id});
  desk_.outbox.emplace_back(app_cancel{found->second.app, id, std::move(why)});
}

void app_pool::say_farewell(time_point now, app_work what) {
  if (!anyone_there() || !has(app_callback::terminate)) return;
  if (farewells_.size() >= app_farewells_max || farewell_bytes_ >= app_bytes_max) {
    ++desk_.counted_.farewells_dropped;
    return;
  }
  farewell_bytes_ += size_of(what);
  farewells_.push_back(std::move(what));
  send_farewells(now);
}

void app_pool::send_farewells(time_point now) {
  while (!farewells_.empty() && pick(size_of(farewells_.front()), &farewells_.front()) != nullptr) {
    auto next = std::move(farewells_.front());
    farewells_.pop_front();
    farewell_bytes_ -= size_of(next);
    static_cast<void>(begin(now, kernel::nobody, std::move(next)));
  }
}

std::optional<kernel::handle> app_pool::next_turn() {
  if (waiting_.empty()) return {};
  at_turn_ = *waiting_.begin();
  waiting_.erase(waiting_.begin());
  no_room_ = false;
  return at_turn_.second;
}

bool app_pool::turn_over() {
  at_turn_ = {0, kernel::nobody};
  return !std::exchange(no_room_, false);
}

// ---- the desk ----

app_pool& app_desk::pool(const class_name& klass) {
  auto& found = pools_[klass];
  if (!found) found = std::make_unique<app_pool>(*this, klass);
  return *found;
}

app_pool* app_desk::find(const class_name& klass) {
  const auto found = pools_.find(klass);
  return found == pools_.end() ? nullptr : found->second.get();
}

void app_desk::add(time_point now, app_offer offer, app_class_state state, std::uint64_t version) {
  app_class told{.app = offer.app, .klass = offer.klass, .state = state, .version = version};
  const auto refuse = [&](errc code, std::string why) {
    told.refused = error{code, std::move(why)};
    outbox.emplace_back(std::move(told));
  };
  if (state == app_class_state::other) {
    return refuse(errc::conflict,
                  "class '" + offer.klass.value + "' is not app-hosted: its ProcessClass has no behaviour of kind app");
  }
  if (registrations_ >= app_registrations_max) {
    return refuse(errc::overloaded, std::to_string(registrations_) + " registrations are as many as there may be");
  }
  auto& to = pool(offer.klass);
  if (to.members_.contains(offer.app)) {
    return refuse(errc::already_exists, "this connection has registered class '" + offer.klass.value + "' already");
  }
  ++registrations_;
  to.members_.emplace(offer.app, app_pool::member{.offer = std::move(offer)});
  to.look_again(now);
  outbox.emplace_back(std::move(told));
}

void app_desk::drain(time_point now, app_id app, const std::optional<class_name>& only) {
  for (auto& [name, each] : pools_) {
    const auto found = each->members_.find(app);
    if (found == each->members_.end() || (only && *only != name)) continue;
    found->second.draining = true;
    each->look_again(now);
  }
  drains_[app].push_back(only);
  settle_drains(app);
}

void app_desk::settle_drains(app_id app) {
  const auto wanted = drains_.find(app);
  if (wanted == drains_.end()) return;
  std::set<class_name> busy;
  for (auto& [name, each] : pools_) {
    const auto found = each->members_.find(app);
    if (found == each->members_.end() || !found->second.draining) continue;
    if (found->second.at_work > 0) {
      busy.insert(name);
    } else {
      each->members_.erase(found);
      --registrations_;
    }
  }
  std::erase_if(wanted->second, [&](const auto& only) {
    if (only ? busy.contains(*only) : !busy.empty()) return false;
    outbox.emplace_back(app_drained{app, only});
    return true;
  });
  if (wanted->second.empty()) drains_.erase(wanted);
}

std::optional<app_desk::work> app_desk::finish(app_id app, work_id id) {
  const auto found = works_.find(id);
  if (found == works_.end() || found->second.app != app) return {};
  auto done = std::move(found->second);
  works_.erase(found);
  deadlines_.erase({done.deadline, id});
  if (const auto held = bytes_.find(app); (held->second -= done.bytes) == 0) bytes_.erase(held);
  if (const auto at = done.pool->members_.find(app); at != done.pool->members_.end()) {
    --at->second.at_work;
    if (at->second.draining) settle_drains(app);
  }
  return done;
}

std::vector<app_desk::taken> app_desk::take_all(app_id app) {
  std::vector<taken> all;
  for (auto each = works_.begin(); each != works_.end();) {
    if (each->second.app != app) {
      ++each;
      continue;
    }
    deadlines_.erase({each->second.deadline, each->first});
    all.push_back({each->first, std::move(each->second)});
    each = works_.erase(each);
  }
  return all;
}

void app_desk::remove(time_point now, app_id app) {
  drains_.erase(app);
  bytes_.erase(app);
  for (auto& [name, each] : pools_) {
    registrations_ -= each->members_.erase(app);
    each->look_again(now);
  }
}

std::vector<app_desk::taken> app_desk::take_overdue(time_point now) {
  std::vector<taken> all;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    auto& late = works_.at(id);
    all.push_back({id, late});
    late.who = kernel::nobody;
    ++counted_.overdue;
    outbox.emplace_back(app_cancel{late.app, id, "not done after " + late.pool->time_allowed()});
  }
  return all;
}

std::vector<app_pool*> app_desk::newly_refused(time_point now) {
  std::vector<app_pool*> all;
  for (auto& [name, each] : used_) {
    if (!each->anyone_there() && !each->away_since_) each->away_since_ = now;
    if (each->refused_ || !each->refusal(now)) continue;
    each->refused_ = true;
    all.push_back(each);
  }
  return all;
}

bool app_desk::settle(time_point now) {
  if (!std::exchange(came_or_went_, false) && now < settles_at_) return false;
  settles_at_ = never;
  for (const auto& [name, each] : used_) {
    each->settle(now);
    settles_at_ = std::min(settles_at_, each->settles_at());
  }
  return true;
}

void app_desk::set_hosted_elsewhere(const std::set<class_name>& classes) {
  for (const auto& [name, each] : used_)
    each->elsewhere_ = classes.contains(name);
}

void app_desk::class_changed(const class_name& klass, app_class_state state, std::uint64_t version) {
  auto* const of = find(klass);
  if (of == nullptr) return;
  of->declared_ = state == app_class_state::ready;
  for (const auto& [app, each] : of->members_)
    outbox.emplace_back(app_class{.app = app, .klass = klass, .state = state, .version = version});
}

void app_desk::prune() {
  const auto referred = [&](const app_pool* to) {
    return std::any_of(works_.begin(), works_.end(), [&](const auto& each) { return each.second.pool == to; });
  };
  std::erase_if(pools_, [&](const auto& each) { return each.second->unused() && !referred(each.second.get()); });
}

time_point app_desk::next_deadline() const {
  time_point next = std::min(settles_at_, deadlines_.empty() ? never : deadlines_.begin()->first);
  for (const auto& [name, each] : used_) {
    if (each->refused_ || each->elsewhere_ || each->anyone_there()) continue;
    next = std::min(next, each->away_since_ ? after(*each->away_since_, each->settings_.wait_for_app) : time_point{});
  }
  return next;
}

std::vector<app_pool*> app_desk::used_in_turn() {
  std::vector<app_pool*> out;
  out.reserve(used_.size());
  const auto first = used_.upper_bound(first_in_turn_);
  for (auto at = first; at != used_.end(); ++at)
    out.push_back(at->second);
  for (auto at = used_.begin(); at != first; ++at)
    out.push_back(at->second);
  if (!used_.empty()) first_in_turn_ = (first != used_.end() ? first : used_.begin())->first;
  return out;
}

}  // namespace orrery::process
