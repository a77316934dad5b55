#include "shell/http_connection.hpp"

#include "mesh/base/assert.hpp"

#include <boost/beast/websocket/rfc6455.hpp>
#include <fmt/format.h>

#include "shell/http_handover.hpp"
#include "shell/problem.hpp"

namespace orrery::shell {

namespace http = boost::beast::http;

namespace {

constexpr std::chrono::milliseconds linger_timeout{2000};
constexpr std::size_t linger_bytes_max = 32U << 20U;
constexpr std::size_t buffer_kept_bytes = 64U << 10U;

std::string_view reason_phrase(int status) {
  const auto text = http::obsolete_reason(static_cast<http::status>(status));
  return {text.data(), text.size()};
}

std::string serialize(const http_response& response, bool keep_alive, bool with_body) {
  auto out = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", response.status,
                         reason_phrase(response.status), response.content_type, response.body.size());
  for (const auto& [name, content] : response.headers)
    out += fmt::format("{}: {}\r\n", name, content);
  if (!keep_alive) out += "Connection: close\r\n";
  out += "\r\n";
  if (with_body) out += response.body;
  return out;
}

}  // namespace

std::string http_refusal(const error& why, int status) { return serialize(problem(why, status), false, true); }

void http_connection::await_request() {
  phase_ = phase::idle;
  let_go_of_request();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(options_.header_bytes_max));
  parser_->body_limit(options_.body_bytes_max);
  parser_->eager(true);
  continued_ = false;
  if (buffer_.size() > 0) {
    phase_ = phase::reading;
    set_deadline(options_.read_timeout);
    on_bytes();
    return;
  }
  if (buffer_.capacity() > buffer_kept_bytes) buffer_.shrink_to_fit();
  set_deadline(options_.idle_timeout);
  read_more();
}

void http_connection::read_more() {
  const std::size_t room = phase_ == phase::idle ? 4096 : 65536;
  socket_.async_read_some(buffer_.prepare(room), [self = shared_from_this()](const error_code& ec, std::size_t n) {
    if (self->phase_ == phase::closed) return;
    if (ec) return self->on_read_error(ec);
    self->buffer_.commit(n);
    if (self->phase_ == phase::idle) {
      self->phase_ = phase::reading;
      self->set_deadline(self->options_.read_timeout);
    }
    self->on_bytes();
  });
}

void http_connection::let_go_of_request() {
  if (owner_ != nullptr) owner_->let_go(std::exchange(held_, 0));
}

std::optional<std::pair<error, int>> http_connection::judge_header() const {
  const auto& header = parser_->get();
  const auto wrong = [](std::string why, int status) {
    return std::pair{error{errc::invalid_argument, std::move(why), took_effect::not_executed}, status};
  };
  // Bytes whose end is not certain would be taken for the next request.
  const auto coding = header[http::field::transfer_encoding];
  if (!coding.empty() && !boost::beast::iequals(coding, "chunked")) {
    return wrong("header Transfer-Encoding: only chunked is understood", 501);
  }
  if (!coding.empty() && header.count(http::field::content_length) > 0) {
    return wrong("headers Transfer-Encoding and Content-Length: give one of them", 400);
  }
  const auto expects = header[http::field::expect];
  if (!expects.empty() && !boost::beast::iequals(expects, "100-continue")) {
    return wrong("header Expect: only 100-continue is understood", 417);
  }
  if (header.version() >= 11 && header.count(http::field::host) != 1) {
    return wrong("header Host: HTTP/1.1 wants exactly one", 400);
  }
  return std::nullopt;
}

void http_connection::on_bytes() {
  error_code ec;
  while (buffer_.size() > 0 && !parser_->is_done()) {
    const auto used = parser_->put(buffer_.data(), ec);
    buffer_.consume(used);
    held_ += used;
    if (!owner_->hold(used)) {
      return refuse({errc::overloaded, "the requests of all connections hold as many bytes as they may; retry later",
                     took_effect::not_executed},
                    503);
    }
    if (ec == http::error::need_more) {
      ec = {};
      break;
    }
    if (ec || used == 0) break;
  }
  if (ec) return on_read_error(ec);
  if (parser_->is_header_done()) {
    if (auto bad = judge_header()) return refuse(bad->first, bad->second);
  }
  if (parser_->is_done()) return dispatch();
  if (parser_->is_header_done() && !continued_ && parser_->get().count(http::field::expect) > 0) {
    continued_ = true;
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(go_on), [self = shared_from_this()](const error_code& failed, std::size_t) {
      if (self->phase_ == phase::closed) return;
      if (failed) return self->close();
      self->read_more();
    });
    return;
  }
  read_more();
}

void http_connection::on_read_error(const error_code& ec) {
  const auto says = [](errc code, std::string text) { return error{code, std::move(text), took_effect::not_executed}; };
  if (timed_out_) {
    return refuse(says(errc::deadline_exceeded,
                       fmt::format("the request did not arrive within {} ms", options_.read_timeout.count())),
                  408);
  }
  if (ec == http::error::body_limit) {
    return refuse(says(errc::too_large, fmt::format("the body is over {} bytes", options_.body_bytes_max)), 413);
  }
  if (ec == http::error::header_limit) {
    return refuse(says(errc::too_large, fmt::format("the header is over {} bytes", options_.header_bytes_max)), 431);
  }
  if (ec.category() == http::make_error_code(http::error::bad_method).category() && ec != http::error::end_of_stream &&
      ec != http::error::partial_message) {
    return refuse(says(errc::invalid_argument, fmt::format("not an HTTP/1.1 request: {}", ec.message())), 400);
  }
  close();
}

void http_connection::refuse(const error& why, int status) {
  owner_->malformed();
  parser_.emplace();
  let_go_of_request();
  send(http_refusal(why, status), false);
}

void http_connection::dispatch() {
  const auto& message = parser_->get();
  keep_alive_ = message.keep_alive();
  phase_ = phase::working;
  const auto text = [](boost::beast::string_view s) { return std::string_view(s.data(), s.size()); };
  const http_request request{.method = text(message.method_string()),
                             .target = text(message.target()),
                             .body = message.body(),
                             .orrery_timeout = text(message["Orrery-Timeout"]),
                             .if_match = text(message["If-Match"]),
                             .traceparent = text(message["traceparent"]),
                             .host = text(message[http::field::host]),
                             .origin = text(message[http::field::origin]),
                             .protocols = text(message[http::field::sec_websocket_protocol]),
                             .upgrade = boost::beast::websocket::is_upgrade(message)};
  const auto self = shared_from_this();
  owner_->handle(request, self);
}

// While the answer is awaited nobody reads; so ask the kernel whether the client hung up. Only for answers that take
// longer than a tick: for each call it would cost two system calls.
void http_connection::watch_for_close() {
  if (watching_) return;
  watching_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& ec) {
    self->watching_ = false;
    if (ec || self->phase_ != phase::working) return;
    char byte = 0;
    error_code peeked;
    self->socket_.non_blocking(true, peeked);
    const auto n = self->socket_.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, peeked);
    if (peeked == asio::error::would_block) return self->watch_for_close();
    if (peeked || n == 0) return self->close();
    // The next request is there already: it waits its turn, and a hang-up shows when the answer is written.
  });
}

void http_connection::answer(http_response response) {
  if (phase_ != phase::working) return;
  gone_ = nullptr;
  const bool head = parser_->get().method() == http::verb::head;
  send(serialize(response, keep_alive_, !head), keep_alive_);
}

void http_connection::send(std::string text, bool keep_alive) {
  phase_ = phase::writing;
  if (watching_) {
    error_code ignored;
    socket_.cancel(ignored);
  }
  out_ = std::move(text);
  set_deadline(options_.write_timeout);
  asio::async_write(socket_, asio::buffer(out_),
                    [self = shared_from_this(), keep_alive](const error_code& ec, std::size_t) {
                      if (self->phase_ == phase::closed) return;
                      if (ec) return self->close();
                      self->out_.clear();
                      if (!keep_alive) return self->linger();
                      self->await_request();
                    });
}

// Closing with unread bytes would reset the connection, and the client might never read why it was refused.
void http_connection::linger() {
  phase_ = phase::lingering;
  set_deadline(linger_timeout);
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  buffer_.clear();
  discard();
}

void http_connection::discard() {
  socket_.async_read_some(buffer_.prepare(65536), [self = shared_from_this()](const error_code& ec, std::size_t n) {
    if (self->phase_ == phase::closed) return;
    self->lingered_ += n;
    if (ec || self->lingered_ > linger_bytes_max) return self->close();
    self->discard();
  });
}

void http_connection::stream() {
  if (phase_ != phase::working) return;
  phase_ = phase::streaming;
  next_keepalive_ = std::chrono::steady_clock::now() + options_.keepalive_interval;
  enqueue(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\n:\n\n\r\n");
  buffer_.clear();
  discard();  // whatever the client says now is not heard; its end is
}

void http_connection::enqueue(std::string text) {
  queued_bytes_ += text.size();
  queue_.push_back(std::move(text));
  if (!stream_writing_) write_stream();
}

void http_connection::push(std::string_view type, std::string_view data) {
  if (phase_ != phase::streaming || finishing_) return;
  lingered_ = 0;
  if (queued_bytes_ + data.size() > options_.stream_bytes_max) {
    ++dropped_;
    return;
  }
  if (dropped_ > 0) {
    const auto told = fmt::format("event: dropped\ndata: {{\"count\":{}}}\n\n", std::exchange(dropped_, 0));
    enqueue(fmt::format("{:x}\r\n{}\r\n", told.size(), told));
  }
  const auto text = fmt::format("event: {}\ndata: {}\n\n", type, data);
  enqueue(fmt::format("{:x}\r\n{}\r\n", text.size(), text));
}

void http_connection::finish() {
  if (phase_ != phase::streaming || finishing_) return;
  gone_ = nullptr;
  finishing_ = true;
  enqueue("0\r\n\r\n");
}

void http_connection::write_stream() {
  stream_writing_ = true;
  out_.clear();
  while (!queue_.empty() && out_.size() < 32768) {
    out_ += queue_.front();
    queue_.pop_front();
  }
  set_deadline(options_.write_timeout);
  asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](const error_code& ec, std::size_t n) {
    if (self->phase_ == phase::closed) return;
    if (ec) return self->close();
    self->queued_bytes_ -= n;
    self->stream_writing_ = false;
    if (!self->queue_.empty()) return self->write_stream();
    if (!self->finishing_) return;
    // The client's last words are still being read, as in any stream: its end closes the connection.
    self->phase_ = phase::lingering;
    self->set_deadline(linger_timeout);
    error_code ignored;
    self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
  });
}

void http_connection::tick(std::chrono::steady_clock::time_point now) {
  switch (phase_) {
    case phase::closed:
      return;
    case phase::working:
      return watch_for_close();
    case phase::reading:
      if (now < deadline_ || timed_out_) return;
      timed_out_ = true;
      {
        error_code ignored;
        socket_.cancel(ignored);  // the read ends, and on_read_error says why
      }
      return;
    case phase::streaming:
      if (stream_writing_ && now >= deadline_) return close();
      if (now >= next_keepalive_) {
        next_keepalive_ = now + options_.keepalive_interval;
        if (!stream_writing_) enqueue("3\r\n:\n\n\r\n");
      }
      return;
    case phase::idle:
    case phase::writing:
    case phase::lingering:
      if (now >= deadline_) close();
      return;
  }
}

std::optional<http_connection::sparable> http_connection::spare() const {
  const bool quiet = phase_ == phase::idle || phase_ == phase::lingering;
  if (!quiet && phase_ != phase::reading) return std::nullopt;
  return sparable{!quiet, deadline_};
}

std::unique_ptr<http_handover> http_connection::hand_over() {
  if (phase_ != phase::working || buffer_.size() > 0) return nullptr;
  ORRERY_ASSERT(!watching_);  // nothing of ours is under way on the socket
  gone_ = nullptr;
  leave();
  return std::make_unique<http_handover>(http_handover{std::move(socket_), parser_->release()});
}

void http_connection::leave() {
  phase_ = phase::closed;
  let_go_of_request();
  if (owner_ != nullptr) owner_->closing(this);
}

void http_connection::close() {
  if (phase_ == phase::closed) return;
  error_code ignored;
  socket_.close(ignored);
  leave();
  if (auto told = std::exchange(gone_, nullptr)) told();
}

void http_connection::abandon() {
  gone_ = nullptr;
  close();
  owner_ = nullptr;
}

}  // namespace orrery::shell
