// Round trips of a frame between two nodes over mutual TLS on loopback, each node on its own thread; and frames a
// second one way.
#include "bench/loopback.hpp"
#include "bench/report.hpp"
#include "mesh/net/transport.hpp"

#include <utility>
//
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <future>
#include <string>
#include <thread>
#include <vector>

namespace orrery::bench {
namespace {

constexpr std::size_t warm_up = 2000;
constexpr std::size_t one_way_frames = 500'000;
constexpr std::size_t one_way_window = 1000;  // frames sent ahead of the last acknowledgement
constexpr std::uint16_t ping = 1;
constexpr std::uint16_t stream = 2;
constexpr std::uint16_t acknowledgement = 3;

[[noreturn]] void unexpected(const error& why) { give_up("the connection failed: " + to_string(why)); }

/// Answers pings, and acknowledges every window of a stream.
struct echo {
  explicit echo(boost::asio::io_context& io, net::transport_options options) {
    net::transport_handlers handlers;
    handlers.opened = [](std::uint64_t, const mesh_identity&, bool) {};
    handlers.closed = [](std::uint64_t, const error&) {};
    handlers.refused = [](const error& why) { unexpected(why); };
    handlers.received = [this](std::uint64_t id, const wire::frame& frame) {
      if (frame.type == ping) transport->send(id, wire::encode(frame));
      if (frame.type == stream && ++streamed % one_way_window == 0) {
        transport->send(id, wire::encode({.type = acknowledgement, .payload = {}}));
      }
    };
    transport = must(net::transport::open(io, std::move(options), std::move(handlers)));
  }
  std::unique_ptr<net::transport> transport;
  std::size_t streamed = 0;
};

struct driver {
  driver(boost::asio::io_context& io, net::transport_options options, std::size_t payload_bytes, std::size_t count)
      : frame(wire::encode({.type = ping, .payload = bytes(payload_bytes, 7)})),
        stream_frame(wire::encode({.type = stream, .payload = bytes(payload_bytes, 7)})),
        round_trips(count) {
    took.reserve(count);
    net::transport_handlers handlers;
    handlers.opened = [this](std::uint64_t, const mesh_identity&, bool) { send_ping(); };
    handlers.closed = [](std::uint64_t, const error& why) { unexpected(why); };
    handlers.refused = [](const error& why) { unexpected(why); };
    handlers.received = [this](std::uint64_t, const wire::frame& received) {
      received.type == ping ? on_pong() : on_acknowledgement();
    };
    transport = must(net::transport::open(io, std::move(options), std::move(handlers)));
  }

  void send_ping() {
    sent = stopwatch::now();
    transport->send(2, frame);
  }
  void on_pong() {
    const auto now = stopwatch::now();
    if (seen++ >= warm_up) took.push_back(microseconds(now - sent));
    if (took.size() < round_trips) return send_ping();
    sent = now;
    send_window();
    send_window();
  }
  void send_window() {
    for (std::size_t i = 0; i < one_way_window; ++i)
      transport->send(2, stream_frame);
  }
  void on_acknowledgement() {
    acknowledged += one_way_window;
    if (acknowledged < one_way_frames) return send_window();
    one_way = stopwatch::now() - sent;
    done.set_value();
    done = {};
    acknowledged = 0;
  }

  bytes frame;
  bytes stream_frame;
  std::size_t round_trips;
  std::size_t seen = 0;
  std::size_t acknowledged = 0;
  stopwatch::time_point sent;
  std::vector<double> took;
  stopwatch::duration one_way{};
  std::promise<void> done;
  std::unique_ptr<net::transport> transport;
};

}  // namespace

void measure_connections(const report& to, std::size_t payload_bytes, std::size_t round_trips) {
  const certificates with;
  const mesh_identity a{"bench", "bench", "a"};
  const mesh_identity b{"bench", "bench", "b"};

  boost::asio::io_context echo_io{1};
  boost::asio::io_context driver_io{1};
  echo answering{echo_io, {.listen_address = "127.0.0.1:0", .tls_directory = with.issue(b), .self = b}};
  driver driving{driver_io,
                 {.listen_address = "127.0.0.1:0", .tls_directory = with.issue(a), .self = a},
                 payload_bytes,
                 round_trips};

  auto done = driving.done.get_future();
  driving.transport->dial(2, "127.0.0.1:" + std::to_string(answering.transport->port()), b);
  std::thread echo_thread{[&] { echo_io.run(); }};
  std::thread driver_thread{[&] { driver_io.run(); }};
  done.wait();
  echo_io.stop();
  driver_io.stop();
  echo_thread.join();
  driver_thread.join();

  const auto size = std::to_string(payload_bytes) + " bytes";
  to.add({"net/round_trip", "us", summary(driving.took), size + " there and back over mutual TLS on loopback"});
  const double seconds = std::chrono::duration<double>(driving.one_way).count();
  to.add({"net/one_way",
          "1/s",
          {{"rate", static_cast<double>(one_way_frames) / seconds}},
          "frames of " + size + ", one way, a window of " + std::to_string(2 * one_way_window)});
}

}  // namespace orrery::bench
