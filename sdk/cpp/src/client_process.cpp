#include "orrery/app/client_process.hpp"

#include "processes.hpp"
#include "session.hpp"
#include "values.hpp"
#include <deque>
#include <utility>

namespace orrery::app {
namespace {

const char* text_of(key_scope in) {
  switch (in) {
    case key_scope::mesh_unique:
      return "mesh_unique";
    case key_scope::mesh_duplicate:
      return "mesh_duplicate";
    case key_scope::node_unique:
      return "node_unique";
    case key_scope::node_duplicate:
      return "node_duplicate";
  }
  return "";
}

constexpr std::size_t key_value_bytes_max = 4096;

json to_target(const char* type, std::string_view to) {
  check_target(to);
  return {{"type", type}, {"to", to}};
}

json of_group(const char* type, std::string_view group) {
  check_group(group);
  return {{"type", type}, {"group", group}};
}

json with_value(json message, json value) {
  check_value(value, "value", key_value_bytes_max);
  message["value"] = std::move(value);
  return message;
}

json of_key(const char* type, std::string_view key, key_scope in) {
  check_text("key", key);
  return {{"type", type}, {"key", key}, {"in", text_of(in)}};
}

}  // namespace

json lookup_request(std::string_view key, key_scope in) { return of_key("lookup", key, in); }

json publish_request(std::size_t bytes_max, std::string_view group, std::string_view word, json argument) {
  auto message = of_group("publish", group);
  check_word(word);
  check_value(argument, "argument", bytes_max);
  message.update({{"word", word}, {"argument", std::move(argument)}});
  return message;
}

/// What has come and was not taken, and who waits for it.
class client_process::mailbox : public open_process {
 public:
  explicit mailbox(session& through) : open_process(through), value_bytes_(through.value_bytes()) {}

  [[nodiscard]] std::size_t value_bytes() const { return value_bytes_; }
  json act(json message) { return open_process::act(std::move(message), {}); }
  /// With what is sent along.
  json act(json message, const char* name, std::string_view of, json argument) {
    check_value(argument, "argument", value_bytes_);
    message.update({{name, of}, {"argument", std::move(argument)}});
    return act(std::move(message));
  }

  void take(process_message message) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(message));
    }
    changed_.notify_one();
  }

  void drop_down(std::uint64_t monitor) {
    const auto is_its = [&](const process_message& each) {
      const auto* down = std::get_if<down_message>(&each);
      return down != nullptr && down->monitor == monitor;
    };
    std::size_t dropped = 0;
    {
      const std::lock_guard lock(mutex_);
      dropped = std::erase_if(waiting_, is_its);
    }
    for (; dropped > 0; --dropped)
      taken();
  }

  template <typename Wait>
  std::optional<process_message> next(const Wait& wait) {
    std::optional<process_message> first;
    {
      std::unique_lock lock(mutex_);
      wait(changed_, lock, [this] { return !waiting_.empty() || why_; });
      if (waiting_.empty()) return {};
      first = std::move(waiting_.front());
      waiting_.pop_front();
    }
    taken();
    return first;
  }

  [[nodiscard]] std::optional<exit_reason> why() {
    const std::lock_guard lock(mutex_);
    return waiting_.empty() ? why_ : std::nullopt;
  }

 private:
  void ended(const exit_reason& why) override {
    {
      const std::lock_guard lock(mutex_);
      why_ = why;
    }
    changed_.notify_all();
  }

  std::size_t value_bytes_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<process_message> waiting_;
  std::optional<exit_reason> why_;
};

client_process::client_process(session& through) : box_(std::make_shared<mailbox>(through)) { through.open(box_); }

client_process& client_process::operator=(client_process&& from) noexcept {
  std::swap(box_, from.box_);
  return *this;
}

client_process::~client_process() {
  if (box_) box_->close_nowait({.kind = "normal", .text = {}});
}

const std::string& client_process::pid() const { return box_->pid(); }

std::optional<process_message> client_process::next(const std::stop_token& stop) {
  return box_->next([&](auto& changed, auto& lock, auto is_there) { changed.wait(lock, stop, is_there); });
}

std::optional<process_message> client_process::next(std::chrono::milliseconds timeout) {
  return box_->next([&](auto& changed, auto& lock, auto is_there) { changed.wait_for(lock, timeout, is_there); });
}

std::optional<exit_reason> client_process::ended() const { return box_->why(); }

json client_process::call(std::string_view to, std::string_view method, json argument,
                          std::chrono::milliseconds timeout, const std::stop_token& stop) {
  auto message = to_target("call", to);
  check_method(method);
  check_value(argument, "argument", box_->value_bytes());
  if (timeout.count() != 0) check_timeout(timeout);
  message.update({{"method", method}, {"argument", std::move(argument)}});
  return box_->open_process::act(std::move(message), timeout, {}, stop);
}

void client_process::cast(std::string_view to, std::string_view method, json argument) {
  check_method(method);
  box_->act(to_target("cast", to), "method", method, std::move(argument));
}

void client_process::send(std::string_view to, std::string_view word, json argument) {
  check_word(word);
  box_->act(to_target("send", to), "word", word, std::move(argument));
}

std::size_t client_process::publish(std::string_view group, std::string_view word, json argument) {
  return box_->act(publish_request(box_->value_bytes(), group, word, std::move(argument)))
      .value("members", std::size_t{0});
}

client_process::spawned client_process::spawn(std::string_view class_name, json argument, const spawn_options& how) {
  check_text("class", class_name);
  const auto ok = box_->act({{"type", "spawn"}, {"link", how.link}, {"monitor", how.monitor}}, "class", class_name,
                            std::move(argument));
  return {.pid = ok.value("pid", ""), .monitor = ok.value("monitor", std::uint64_t{0})};
}

std::uint64_t client_process::monitor(std::string_view to) {
  return box_->act(to_target("monitor", to)).value("monitor", std::uint64_t{0});
}

void client_process::demonitor(std::uint64_t monitor) {
  box_->act({{"type", "demonitor"}, {"monitor", monitor}});
  box_->drop_down(monitor);
}

void client_process::link(std::string_view to) { box_->act(to_target("link", to)); }
void client_process::unlink(std::string_view to) { box_->act(to_target("unlink", to)); }

void client_process::exit(std::string_view to, const exit_reason& reason) {
  auto message = to_target("exit", to);
  check_text("kind", reason.kind);
  message["reason"] = fields_of(reason);
  box_->act(std::move(message));
}

void client_process::join(std::string_view group) { box_->act(of_group("join", group)); }

bool client_process::leave(std::string_view group) {
  return box_->act(of_group("leave", group)).value("member", false);
}

std::vector<std::string> client_process::watch(std::string_view group) {
  return box_->act(of_group("watch", group)).value("pids", std::vector<std::string>{});
}

void client_process::unwatch(std::string_view group) { box_->act(of_group("unwatch", group)); }

void client_process::claim(std::string_view key, json value, const claim_options& how) {
  check_timeout(how.timeout);
  box_->open_process::act(with_value(of_key("claim", key, how.in), std::move(value)), how.timeout);
}

void client_process::update(std::string_view key, json value, key_scope in) {
  box_->act(with_value(of_key("update", key, in), std::move(value)));
}

bool client_process::release(std::string_view key, key_scope in) {
  return box_->act(of_key("release", key, in)).value("held", false);
}

void client_process::close(const exit_reason& why) { box_->close(why); }

}  // namespace orrery::app
