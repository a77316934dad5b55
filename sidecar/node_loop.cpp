#include "sidecar/node_loop.hpp"

#include "mesh/base/endpoint.hpp"
#include "mesh/base/overloaded.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shell/log.hpp"
#include <deque>
#include <unordered_map>
#include <utility>

namespace orrery::sidecar {

namespace {

namespace asio = boost::asio;

/// Time for steps in a row before sockets are looked at again.
constexpr std::chrono::milliseconds burst_max{2};
/// Sockets get as long as the burst took, or until they had nothing to tell so many times: a TLS record takes several.
constexpr int quiet_turns_max = 4;
/// Logged refusals of inbound connections per second; garbage must not fill the log.
constexpr std::chrono::seconds refusal_log_interval{1};

time_point clock_now() {
  return time_point{std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

}  // namespace

struct node_loop::impl {
  impl(asio::io_context& context, node_hooks wanted) : io(context), hooks(std::move(wanted)), timer(context) {}

  asio::io_context& io;
  node_hooks hooks;
  std::unique_ptr<net::transport> transport;
  std::unique_ptr<node::core> core;
  asio::steady_timer timer;
  time_point armed = never;
  std::deque<node::event> pending;
  node::effects effects;
  bool busy = false;
  bool posted = false;  ///< the core has work, and sockets have their turn
  int quiet_turns = 0;
  time_point turn_ends{};
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::uint64_t last_request = 0;
  std::unordered_map<std::uint64_t, answer_handler> waiting;
  std::unordered_map<std::uint64_t, event_handler> following;
  std::uint64_t inbound_refused = 0;
  std::chrono::steady_clock::time_point refusal_logged{};

  ~impl() { *alive = false; }

  void deliver(node::event happened) {
    pending.push_back(std::move(happened));
    quiet_turns = 0;
    if (busy) return;
    run_pending();
    if (posted) return;
    const auto wake = core->wake_at();
    if (wake > clock_now()) return arm(wake);
    yield(duration{0});
  }

  void run_pending() {
    busy = true;
    while (!pending.empty()) {
      auto next = std::move(pending.front());
      pending.pop_front();
      effects.clear();
      const auto began = clock_now();
      core->step(began, std::move(next), effects);
      hooks.on_step(clock_now() - began);
      for (auto& each : effects)
        perform(each);
    }
    busy = false;
  }

  /// Work that the core has left is done at once, but sockets get their turn in between.
  void keep_going() {
    const auto began = clock_now();
    auto now = began;
    for (; now < began + burst_max; now = clock_now()) {
      const auto wake = core->wake_at();
      if (wake > now) return arm(wake);
      hooks.on_turn(now - wake);
      pending.emplace_back(node::woken{});
      run_pending();
    }
    yield(now - began);
  }

  void yield(duration at_most) {
    posted = true;
    quiet_turns = 0;
    turn_ends = clock_now() + at_most;
    give_way();
  }

  void give_way() {
    asio::post(io, [this, here = alive] {
      if (!*here) return;
      if (++quiet_turns < quiet_turns_max && clock_now() < turn_ends) return give_way();
      posted = false;
      keep_going();
    });
  }

  // An armed timer that is early only costs a wasted wake-up; arming it anew for each call would cost a system call.
  void arm(time_point wake) {
    if (wake >= armed) return;
    armed = wake;
    timer.expires_at(std::chrono::steady_clock::time_point{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(wake.time_since_epoch())});
    timer.async_wait([this, here = alive](boost::system::error_code ec) {
      if (ec || !*here) return;
      armed = never;
      const auto now = clock_now();
      if (const auto due = core->wake_at(); due <= now) {
        hooks.on_turn(now - due);
        return deliver(node::woken{});
      }
      keep_going();
    });
  }

  void perform(node::effect& wanted) {
    std::visit(overloaded{
                   [&](node::dial& d) { transport->dial(d.id.value, d.address, d.expected); },
                   [&](node::hang_up& h) { transport->close(h.id.value); },
                   [&](node::transmit& t) { transport->send(t.id.value, std::move(t.encoded)); },
                   [&](node::respond& r) { respond(r.id, std::move(r.answer)); },
                   [&](node::streamed& s) { tell(s); },
                   [&](node::check_control_plane&) { hooks.check_control_plane(); },
                   [&](node::escalate& e) { hooks.on_escalate(e); },
                   [&](node::drained&) { hooks.on_drained(); },
                   [&](node::notify& n) { hooks.on_notify(n); },
                   [&](node::to_app& a) { hooks.to_app(a.what); },
               },
               wanted);
  }

  void tell(const node::streamed& what) {
    const auto found = following.find(what.id.value);
    if (found == following.end()) return;
    const auto told = found->second;  // what it leads to may end the stream
    if (what.last) following.erase(found);
    told(what);
  }

  void respond(node::request_id id, result<value> answer) {
    if (const auto stream = following.find(id.value); stream != following.end() && !answer) {
      const auto told = std::move(stream->second);
      following.erase(stream);
      return told(fail(std::move(answer.error())));
    }
    const auto found = waiting.find(id.value);
    if (found == waiting.end()) return;
    const auto told = std::move(found->second);
    waiting.erase(found);
    told(std::move(answer));
  }

  void refused(const error& why) {
    ++inbound_refused;
    const auto now = std::chrono::steady_clock::now();
    if (now - refusal_logged < refusal_log_interval) return;
    refusal_logged = now;
    shell::log::warn("refused an inbound mesh connection",
                     {{"reason", to_string(why)}, {"refusedInAll", static_cast<std::int64_t>(inbound_refused)}});
  }
};

result<std::unique_ptr<node_loop>> node_loop::open(asio::io_context& io, node::settings settings,
                                                   net::transport_options transport, node_hooks hooks) {
  auto made = std::make_unique<impl>(io, std::move(hooks));
  auto* self = made.get();
  net::transport_handlers handlers;
  handlers.opened = [self](std::uint64_t id, mesh_identity peer, bool dialled) {
    self->deliver(node::connection_opened{node::connection_id{id}, std::move(peer), dialled});
  };
  handlers.closed = [self](std::uint64_t id, error why) {
    self->deliver(node::connection_closed{node::connection_id{id}, std::move(why)});
  };
  handlers.received = [self](std::uint64_t id, wire::frame received) {
    self->deliver(node::frame_received{node::connection_id{id}, std::move(received)});
  };
  handlers.refused = [self](error why) { self->refused(why); };
  auto opened = net::transport::open(io, std::move(transport), std::move(handlers));
  if (!opened) return fail(opened.error());
  made->transport = *std::move(opened);
  settings.address = join_endpoint(settings.address, made->transport->port());
  made->core = std::make_unique<node::core>(std::move(settings));
  made->keep_going();
  return std::unique_ptr<node_loop>(new node_loop(std::move(made)));  // NOLINT: the constructor is private
}

node_loop::node_loop(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
node_loop::~node_loop() = default;

void node_loop::deliver(node::event happened) { impl_->deliver(std::move(happened)); }

node::request_id node_loop::ask(node::operation asked, answer_handler told) {
  const node::request_id id{++impl_->last_request};
  impl_->waiting.emplace(id.value, std::move(told));
  impl_->deliver(node::client_request{id, std::move(asked)});
  return id;
}

node::request_id node_loop::follow(node::operation asked, event_handler told) {
  const node::request_id id{++impl_->last_request};
  impl_->following.emplace(id.value, std::move(told));
  impl_->deliver(node::client_request{id, std::move(asked)});
  return id;
}

void node_loop::abandon(node::request_id id) {
  const auto known = impl_->waiting.erase(id.value) + impl_->following.erase(id.value);
  if (known > 0) impl_->deliver(node::client_gone{id});
}

void node_loop::cancel(node::request_id id) {
  if (impl_->waiting.contains(id.value)) impl_->deliver(node::client_cancelled{id});
}

bool node_loop::waits(node::request_id id) const {
  return impl_->waiting.contains(id.value) || impl_->following.contains(id.value);
}
node::status node_loop::current() const { return impl_->core->current(); }
net::transport& node_loop::mesh() { return *impl_->transport; }
std::uint64_t node_loop::inbound_refused() const { return impl_->inbound_refused; }

}  // namespace orrery::sidecar
