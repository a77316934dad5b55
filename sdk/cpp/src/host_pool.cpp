#include "host_pool.hpp"

#include "values.hpp"
#include <algorithm>
#include <utility>

namespace orrery::app {

void host_pool::submit(const process_class& what, json work, std::shared_ptr<wire> answer_to) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    job next{.what = &what, .work = std::move(work), .number = 0, .answer_to = std::move(answer_to), .abandoned = {}};
    next.number = next.work.value("work", std::uint64_t{0});
    at_work_[next.number] = next.abandoned;
    waiting_.push_back(std::move(next));
    start_thread_if_wanted();
  }
  changed_.notify_one();
}

void host_pool::start_thread_if_wanted() {
  if (waiting_.size() > idle_ && threads_.size() < size_ + asking_) threads_.emplace_back([this] { run(); });
}

void host_pool::abandon(std::uint64_t work) {
  std::stop_source one{std::nostopstate};
  {
    const std::lock_guard lock(mutex_);
    const auto found = at_work_.find(work);
    if (found != at_work_.end()) one = found->second;
  }
  one.request_stop();  // runs what handlers registered, so without the lock
}

void host_pool::abandon_all() {
  std::map<std::uint64_t, std::stop_source> all;
  {
    const std::lock_guard lock(mutex_);
    all = at_work_;
  }
  for (auto& [work, one] : all)
    one.request_stop();
}

bool host_pool::is_busy() {
  const std::lock_guard lock(mutex_);
  return !at_work_.empty();
}

void host_pool::stop() {
  std::vector<std::thread> all;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
    all.swap(threads_);
  }
  changed_.notify_all();
  abandon_all();
  for (auto& each : all)
    each.join();
}

json host_pool::call_while_waiting(std::uint64_t work, std::string_view name, std::string_view method, json argument,
                                   const call_options& how) {
  const auto count = [this](std::size_t more) {
    const std::lock_guard lock(mutex_);
    asking_ += more;
    if (!stopping_) start_thread_if_wanted();
  };
  count(1);
  try {
    auto reply = ask_(work, name, method, std::move(argument), how);
    count(static_cast<std::size_t>(-1));
    return reply;
  } catch (...) {
    count(static_cast<std::size_t>(-1));
    throw;
  }
}

void host_pool::do_one(const job& next) {
  // What nobody waits for is not begun; the sidecar counts its place as taken until it hears of it.
  json done{{"type", "done"}, {"work", next.number}};
  const auto began = std::chrono::steady_clock::now();
  bool refused = false;
  const bool begun = !next.abandoned.stop_requested();
  if (begun) {
    const surroundings around{
        .abandoned = next.abandoned.get_token(),
        .call =
            [&](std::string_view name, std::string_view method, json argument, const call_options& how) {
              return call_while_waiting(next.number, name, method, std::move(argument), how);
            },
        .log = [this](const std::string& line) { log_(line); },
        .refused = &refused};
    done = next.what->handle(next.work, around);
  }
  auto frame = wire::encode(done);
  if (frame.size() - wire::length_bytes > wire::frame_bytes_max) {
    const auto text = "state, reply and effects together have " + std::to_string(frame.size()) +
                      " bytes; a frame has at most " + std::to_string(wire::frame_bytes_max);
    done = {{"type", "done"}, {"work", next.number}, {"crash", {{"text", text}}}};
    frame = wire::encode(done);
  }
  if (done.contains("crash"))
    log_(process_in(next.work) + " crashed in " + callback_in(next.work) + ": " +
         done["crash"]["text"].get<std::string>());
  count(counts_, log_, [&](metrics& to) {
    const bool cancelled = !begun || next.abandoned.stop_requested();
    to.handled({.class_name = text_in(next.work, "class"),
                .callback = text_in(next.work, "callback"),
                .method = text_in(next.work, "method"),
                .outcome = done.contains("crash") ? "crash"
                           : cancelled            ? "cancelled"
                           : refused              ? "refused"
                                                  : "ok",
                .took = std::chrono::steady_clock::now() - began});
  });
  remember(next);
  if (const auto to = next.answer_to.lock()) {
    to->send(frame);
    to->wait_writable();
  }
}

void host_pool::remember(const job& done) {
  auto text = process_in(done.work) + " did in " + callback_in(done.work);
  const std::lock_guard lock(mutex_);
  if (done_.size() >= done_kept) done_.pop_front();
  done_.emplace_back(done.number, std::move(text));
}

std::string host_pool::what_did(std::uint64_t work) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(done_.rbegin(), done_.rend(), [&](const auto& each) { return each.first == work; });
  return found == done_.rend() ? "a handler did" : found->second;
}

void host_pool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (stopping_) return;
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    do_one(next);
    lock.lock();
    const auto mine = at_work_.find(next.number);  // a later connection may have given out its number again
    if (mine != at_work_.end() && mine->second == next.abandoned) at_work_.erase(mine);
  }
}

}  // namespace orrery::app
