#include "sidecar/sdk_connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "shell/log.hpp"

namespace orrery::sidecar {

namespace {

time_point core_now() {
  return time_point{std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

}  // namespace

sdk_connection::sdk_connection(socket_type socket, sdk_owner& owner, const serving& with, sdk::greeting from,
                               process::app_id id)
    : socket_(std::move(socket)), owner_(&owner), with_(with), id_(id), session_(std::move(from), id, core_now()) {}

void sdk_connection::start() { read(); }

// ---- bytes ----

void sdk_connection::read() {
  if (reading_ || owner_ == nullptr || closing_since_ || unwritten() > unread_max) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t count) {
                            self->reading_ = false;
                            if (self->owner_ == nullptr) return;
                            if (ec) return self->lost(ec == asio::error::eof ? "closed by the client" : ec.message());
                            sdk::outputs todo;
                            self->session_.received(core_now(), byte_view{self->chunk_}.first(count), todo);
                            self->perform(todo);
                            self->read();
                          });
}

void sdk_connection::write() {
  if (!writing_.empty() || waiting_.empty() || owner_ == nullptr) return;
  writing_.swap(waiting_);
  writing_bytes_ = std::exchange(waiting_bytes_, 0);
  progress_ = clock::now();
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(writing_.size());
  for (const auto& each : writing_)
    buffers.push_back(asio::buffer(each));
  auto progressed = [this](boost::system::error_code ec, std::size_t) -> std::size_t {
    progress_ = clock::now();
    return ec ? 0 : 65536;
  };
  asio::async_write(socket_, buffers, std::move(progressed),
                    [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                      self->writing_.clear();
                      self->writing_bytes_ = 0;
                      if (self->owner_ == nullptr) return;
                      if (ec) return self->lost(ec.message());
                      if (self->waiting_.empty() && self->closing_since_) return self->shut();
                      self->write();
                      self->read();
                    });
}

void sdk_connection::lost(const std::string& why) {
  const auto self = shared_from_this();
  sdk::outputs todo;
  session_.closed(why, todo);
  shut();
  perform(todo);
}

void sdk_connection::shut() {
  if (owner_ == nullptr) return;
  boost::system::error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_both, ignored);
  socket_.close(ignored);
  std::exchange(owner_, nullptr)->closing(id_);
}

void sdk_connection::abandon() {
  owner_ = nullptr;
  boost::system::error_code ignored;
  socket_.close(ignored);
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
  const auto now = clock::now();
  if (closing_since_ && now - *closing_since_ >= farewell_max) return shut();
  if (!writing_.empty() && now - progress_ >= stall_max) {
    owner_->ended_it({errc::overloaded, "nothing was taken of what is sent to it for 30 s"});
    return lost("it does not read");
  }
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
  if (unwritten() > unwritten_max && !closing_since_ && owner_ != nullptr) {
    owner_->ended_it({errc::overloaded, fmt::format("{} bytes wait for it to read", unwritten())});
    return lost("it reads too slowly");
  }
  write();
}

void sdk_connection::perform(sdk::send& todo) {
  if (owner_ == nullptr) return;
  waiting_bytes_ += todo.frame.size();
  waiting_.push_back(std::move(todo.frame));
}

void sdk_connection::perform(sdk::ask& todo) {
  if (!todo.id) {
    with_.node.ask(std::move(todo.what), [](const result<value>&) {});
    return;
  }
  std::optional<class_name> called;
  if (const auto* call = std::get_if<node::call_op>(&todo.what)) called = call->name.klass;
  auto told = [self = weak_from_this(), number = *todo.id, called = std::move(called), began = clock::now(),
               counted = &with_.counted](const result<value>& answer) {
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
  const auto id = with_.node.ask(std::move(todo.what), std::move(told));
  if (with_.node.waits(id)) asked_.emplace(todo.id->value, id);
}

void sdk_connection::perform(sdk::abandon& todo) {
  const auto found = asked_.find(todo.id.value);
  if (found == asked_.end()) return;
  const auto id = found->second;
  asked_.erase(found);
  with_.node.abandon(id);
}

void sdk_connection::perform(sdk::tell_node& todo) { with_.node.deliver(node::from_app{std::move(todo.what)}); }

void sdk_connection::perform(sdk::close& todo) {
  if (owner_ == nullptr || closing_since_) return;
  if (todo.why.code != errc::cancelled && todo.why.code != errc::draining) owner_->ended_it(todo.why);
  closing_since_ = clock::now();
  if (waiting_.empty() && writing_.empty()) shut();
}

}  // namespace orrery::sidecar
