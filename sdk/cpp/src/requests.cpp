#include "requests.hpp"

#include "orrery/app/error.hpp"
#include <algorithm>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::size_t waiting_max = 100'000;
constexpr auto cancelled_answer = 2s;  ///< the sidecar answers a cancel at once

/// What has a `timeoutMs`, which the sidecar keeps.
bool is_timed_there(const json& type) { return type == "call" || type == "start" || type == "claim"; }

}  // namespace

json failed(const char* code, const std::string& text, const char* effect) {
  return {{"error", {{"code", code}, {"text", text}, {"effect", effect}}}};
}

requests::requests(std::chrono::milliseconds connect_timeout)
    : connect_timeout_(connect_timeout), timekeeper_([this] { keep_time(); }) {}

requests::~requests() { stop(); }

std::uint64_t requests::begin(request what) {
  std::unique_lock lock(mutex_);
  const auto number = ++last_;
  if (stopping_) throw error("unavailable", "this client has ended", effect::not_executed);
  const bool goes = line_ != nullptr && (what.on == nullptr || what.on == line_) &&
                    (what.when != turn::in_turn || (waiting_.empty() && sent_ < room_));
  if (!goes && may_wait(what) && (what.when == turn::ahead ? ahead_ : waiting_).size() >= waiting_max) {
    end_later(
        {.what = std::move(what)}, number,
        failed("overloaded", std::to_string(waiting_max) + " requests wait for their turn already", "not_executed"));
    return number;
  }
  if (!goes && may_wait(what) && !denied_.empty()) {
    end_later({.what = std::move(what)}, number, failed("forbidden", denied_, "not_executed"));
    return number;
  }
  auto& kept = open_.emplace(number, entry{.what = std::move(what)}).first->second;
  if (kept.what.timeout.count() > 0) kept.answer_until = clock::now() + kept.what.timeout;
  if (goes && send(kept, number)) return number;
  if (may_wait(kept.what)) {
    wait(kept, number);
    return number;
  }
  const auto refused = take(open_.find(number));
  lock.unlock();
  const auto* text = refused.what.on ? "the connection that this was for has ended" : "no connection to the sidecar";
  refused.what.done(number, failed("unavailable", text, "not_executed"));
  return number;
}

bool requests::may_wait(const request& what) const {
  return what.when != turn::at_once && (what.on == nullptr || what.on == line_);
}

void requests::end_later(entry what, std::uint64_t number, json why) {
  ends_.push_back({.done = std::move(what.what.done), .number = number, .why = std::move(why)});
  changed_.notify_all();
}

void requests::wait(entry& what, std::uint64_t number) {
  what.wait_until = clock::now() + connect_timeout_;
  if (what.answer_until != clock::time_point{})
    what.wait_until = line_ == nullptr ? std::min(what.wait_until, what.answer_until) : what.answer_until;
  (what.what.when == turn::ahead ? ahead_ : waiting_).push_back(number);
  set_due(what, number, what.wait_until);
}

/// Under the lock, so that what is sent first arrives first.
bool requests::send(entry& what, std::uint64_t number) {
  auto& message = what.what.message;
  const bool timed_there = is_timed_there(message["type"]);
  message["id"] = number;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(what.answer_until - clock::now());
  const bool limited = what.answer_until != clock::time_point{};
  if (timed_there && limited) message["timeoutMs"] = std::max<std::int64_t>(1, left.count());
  if (!line_->send(wire::encode(message))) {
    line_.reset();
    return false;
  }
  if (limited) set_due(what, number, what.answer_until + (timed_there ? clock::duration(grace) : clock::duration(0)));
  what.sent = true;
  ++sent_;
  peak_ = std::max(peak_.load(), sent_);
  message = nullptr;
  return true;
}

void requests::admit() {
  while (line_ != nullptr && (!ahead_.empty() || (sent_ < room_ && !waiting_.empty()))) {
    auto& queue = ahead_.empty() ? waiting_ : ahead_;
    const auto number = queue.front();
    auto& next = open_.at(number);
    if (!send(next, number)) return;
    queue.pop_front();
    if (next.answer_until == clock::time_point{}) {
      due_.erase({next.due, number});
      next.due = {};
    }
  }
}

void requests::set_due(entry& what, std::uint64_t number, clock::time_point when) {
  if (what.due != clock::time_point{}) due_.erase({what.due, number});
  what.due = when;
  due_.emplace(when, number);
  // What was due earlier and is done leaves the timekeeper to wake for nothing: that is rarer than each call waking it.
  if (when < looks_at_) changed_.notify_all();
}

requests::entry requests::take(entries::iterator which) {
  auto out = std::move(which->second);
  if (out.due != clock::time_point{}) due_.erase({out.due, which->first});
  if (out.sent) {
    --sent_;
  } else {
    auto& queue = out.what.when == turn::ahead ? ahead_ : waiting_;
    const auto place = std::find(queue.begin(), queue.end(), which->first);
    if (place != queue.end()) queue.erase(place);
  }
  open_.erase(which);
  return out;
}

void requests::cancel(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(number);
  if (found == open_.end()) return;
  if (found->second.sent) {
    if (line_ != nullptr) line_->send(wire::encode({{"type", "cancel"}, {"id", number}}));
    found->second.answer_until = clock::now() + cancelled_answer;
    set_due(found->second, number, found->second.answer_until);
    return;
  }
  end_later(take(found), number, failed("cancelled", "it was given up before it was sent", "not_executed"));
}

void requests::answered(json& result) {
  const auto number = result.value("id", std::uint64_t{0});
  std::unique_lock lock(mutex_);
  const auto found = open_.find(number);
  if (found == open_.end() || !found->second.sent) return;  // given up, or answered already
  const auto ended = take(found);
  admit();
  lock.unlock();
  ended.what.done(number, std::move(result));
}

void requests::opened(std::shared_ptr<wire> to) {
  const std::lock_guard lock(mutex_);
  line_ = std::move(to);
  room_ = 0;
  trouble_.clear();
  denied_.clear();
  admit();
}

void requests::admit(std::size_t room) {
  const std::lock_guard lock(mutex_);
  room_ = room;
  admit();
}

void requests::lost(const std::string& why) {
  entries gone;
  {
    const std::lock_guard lock(mutex_);
    line_.reset();
    trouble_ = why;
    for (auto it = open_.begin(); it != open_.end();) {
      const auto next = std::next(it);
      if (it->second.sent || it->second.what.on) {
        const auto number = it->first;
        gone.emplace(number, take(it));
      }
      it = next;
    }
  }
  for (auto& [number, ended] : gone)
    ended.what.done(number, failed("unavailable", "the connection to the sidecar ended before the answer came: " + why,
                                   ended.sent ? ended.what.effect_if_lost : "not_executed"));
}

void requests::deny(const std::string& why) {
  const std::lock_guard lock(mutex_);
  denied_ = why;
  if (why.empty()) return;
  for (auto it = open_.begin(); it != open_.end();) {
    const auto next = std::next(it);
    const auto number = it->first;
    if (!it->second.sent) end_later(take(it), number, failed("forbidden", why, "not_executed"));
    it = next;
  }
}

std::shared_ptr<wire> requests::line() const {
  const std::lock_guard lock(mutex_);
  return line_;
}

void requests::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [number, each] : open_) {
      ends_.push_back({.done = std::move(each.what.done),
                       .number = number,
                       .why = failed("unavailable", "this client has ended",
                                     each.sent ? each.what.effect_if_lost : "not_executed")});
    }
    open_.clear();
    ahead_.clear();
    waiting_.clear();
    due_.clear();
    sent_ = 0;
  }
  changed_.notify_all();
  if (timekeeper_.joinable()) timekeeper_.join();
}

std::pair<requests::entry, json> requests::overdue(std::uint64_t number) {
  auto late = take(open_.find(number));
  if (late.sent) {
    if (line_ != nullptr) line_->send(wire::encode({{"type", "cancel"}, {"id", number}}));
    admit();
    return {std::move(late),
            failed("deadline_exceeded", "the sidecar did not answer in time", late.what.effect_if_lost)};
  }
  if (line_ == nullptr) {
    const auto why = trouble_.empty() ? "" : ": " + trouble_;
    return {std::move(late), failed("unavailable", "no connection to the sidecar" + why, "not_executed")};
  }
  const auto text = std::to_string(room_) + " requests were under way, and none of them ended in time";
  return {std::move(late), failed("deadline_exceeded", text, "not_executed")};
}

void requests::keep_time() {
  std::unique_lock lock(mutex_);
  while (!stopping_ || !ends_.empty()) {
    looks_at_ = due_.empty() ? clock::time_point::max() : due_.begin()->first;
    if (!ends_.empty()) {
      auto next = std::move(ends_.front());
      ends_.pop_front();
      lock.unlock();
      std::exchange(next.done, nullptr)(next.number, std::move(next.why));
      lock.lock();
    } else if (due_.empty()) {
      changed_.wait(lock);
    } else if (const auto next = *due_.begin(); next.first > clock::now()) {
      changed_.wait_until(lock, next.first);
    } else {
      auto [late, why] = overdue(next.second);
      lock.unlock();
      std::exchange(late.what.done, nullptr)(next.second, std::move(why));
      lock.lock();
    }
  }
}

}  // namespace orrery::app
