// Calls and casts from one node to a process of another, as a sidecar does them: node::core on both sides, mutual TLS
// on loopback, a thread each. What is not in it: the SDK's HTTP.
#include "bench/loopback.hpp"
#include "bench/report.hpp"
#include "mesh/base/endpoint.hpp"
#include "sidecar/busy_poll.hpp"
#include "sidecar/node_loop.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace orrery::bench {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t warm_up = 2000;
constexpr std::size_t round_trips = 20'000;
constexpr std::size_t floods = 5;
constexpr std::size_t flood_casts = 200'000;
constexpr std::size_t window = 1000;  ///< casts between two calls that tell how far the other side is
constexpr std::size_t windows_ahead = 2;
constexpr std::size_t names_tried_max = 1000;
constexpr auto formation_max = 10s;

constexpr const char* script = R"(
local c = {call = {}, cast = {}}
function c.init(key) return {count = 0} end
function c.call.get(state) return state.count end
function c.cast.add(state, by) state.count = state.count + by end
-- The same from script to script.
c.info = {}
function c.call.pid(state) return orrery.pid() end
function c.call.meet(state, pid) state.other = pid end
function c.call.ask(state) return orrery.call(state.other, "get", nil, 5) end
function c.info.add(state, by) state.count = state.count + by end
function c.call.flood(state, count)
  for _ = 1, count do orrery.send(state.other, "add", 1) end
  return orrery.call(state.other, "get", nil, 5)
end
return c
)";

/// A node and the thread that owns it.
class side {
 public:
  side(const certificates& with, const std::string& pod) : name_(pod) {
    sidecar::node_hooks hooks;
    hooks.on_notify = [](const node::notify&) {};
    hooks.on_escalate = [](const node::escalate& why) { give_up("a supervisor gave up: " + why.why); };
    hooks.on_drained = [] {};
    hooks.check_control_plane = [this] {
      asio::post(io_, [this] { loop_->deliver(node::control_plane_checked{true}); });
    };
    hooks.on_step = [](duration) {};
    const mesh_identity self{"bench", "bench", pod};
    node::settings settings{.name_space = "bench",
                            .mesh = "bench",
                            .mesh_id = "bench",
                            .self = {node_name{pod}, boot_number{1}},
                            .uid = "uid-" + pod,
                            .address = "127.0.0.1"};
    loop_ = must(sidecar::node_loop::open(
        io_, std::move(settings), {.listen_address = "127.0.0.1:0", .tls_directory = with.issue(self), .self = self},
        std::move(hooks)));
  }
  side(const side&) = delete;
  side& operator=(const side&) = delete;
  ~side() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] node::expected_member member() {
    return {node_name{name_}, "uid-" + name_, join_endpoint("127.0.0.1", loop_->mesh().port())};
  }
  void start(const std::vector<node::expected_member>& members, const process::class_spec& klass) {
    loop_->deliver(node::classes_changed{{klass}});
    loop_->deliver(node::members_changed{members});
    const char* told = std::getenv("ORRERY_BUSY_POLL");
    const auto looks = must(sidecar::parse_busy_poll(told == nullptr ? "auto" : told));
    thread_ = std::thread{
        [this, looks] { sidecar::run(io_, sidecar::busy_poll{looks.value_or(sidecar::busy_poll_length())}); }};
  }
  /// Runs `what` on the node's thread.
  template <class Task>
  void post(Task what) {
    asio::post(io_, std::move(what));
  }
  /// From any other thread; waits for the answer.
  result<value> ask(node::operation asked) {
    std::promise<result<value>> told;
    auto answer = told.get_future();
    post([&] { loop_->ask(std::move(asked), [&](result<value> got) { told.set_value(std::move(got)); }); });
    return answer.get();
  }
  [[nodiscard]] sidecar::node_loop& loop() { return *loop_; }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string name_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> stays_{io_.get_executor()};
  std::unique_ptr<sidecar::node_loop> loop_;
  std::thread thread_;
};

/// A process that lives on `there`, asked from `here` once both are one mesh.
process_name find_living(side& here, const side& there) {
  const auto deadline = stopwatch::now() + formation_max;
  for (std::size_t i = 0; stopwatch::now() < deadline; i = (i + 1) % names_tried_max) {
    const process_name name{class_name{"bench"}, process_key{std::to_string(i)}};
    if (!here.ask(node::call_op{name, "get", {}, 1s})) continue;  // not formed yet
    const auto told = here.ask(node::inspect_op{name});
    if (told && told->document().at("node") == there.name()) return name;
  }
  give_up("the two nodes did not meet");
}

/// One call after the other, each timed.
class caller {
 public:
  caller(side& from, process_name to, const char* method) : from_(from), to_(std::move(to)), method_(method) {}
  std::vector<double> run() {
    took_.reserve(round_trips);
    from_.post([this] { next(); });
    done_.get_future().wait();
    return std::move(took_);
  }

 private:
  void next() {
    const auto sent = stopwatch::now();
    from_.loop().ask(node::call_op{to_, method_, {}, 5s}, [this, sent](const result<value>& got) {
      if (!got) give_up("a call was refused: " + to_string(got.error()));
      if (seen_++ >= warm_up) took_.push_back(microseconds(stopwatch::now() - sent));
      if (took_.size() == round_trips) return done_.set_value();
      from_.post([this] { next(); });
    });
  }

  side& from_;
  process_name to_;
  std::string method_;
  std::size_t seen_ = 0;
  std::vector<double> took_;
  std::promise<void> done_;
};

/// Casts until the process has counted them all.
class flood {
 public:
  flood(side& from, process_name to) : from_(from), to_(std::move(to)) {}
  double microseconds_each() {
    const auto start = stopwatch::now();
    from_.post([this] {
      for (std::size_t i = 0; i < windows_ahead; ++i)
        send_window();
    });
    done_.get_future().wait();
    return microseconds(stopwatch::now() - start) / double{flood_casts};
  }

 private:
  void send_window() {
    if (sent_ == flood_casts) return;
    static const value one = value::from_json("1").value();
    for (std::size_t i = 0; i < window; ++i) {
      from_.loop().ask(node::cast_op{to_, "add", one}, [](const result<value>& got) {
        if (!got) give_up("a cast was refused: " + to_string(got.error()));
      });
    }
    sent_ += window;
    from_.loop().ask(node::call_op{to_, "get", {}, 5s}, [this](const result<value>& got) {
      if (!got) give_up("a call was refused: " + to_string(got.error()));
      heard_ += window;
      if (heard_ == flood_casts) return done_.set_value();
      from_.post([this] { send_window(); });
    });
  }

  side& from_;
  process_name to_;
  std::size_t sent_ = 0;
  std::size_t heard_ = 0;
  std::promise<void> done_;
};

struct pair {
  explicit pair(process::behaviour_spec behaviour) : here(with, "a"), there(with, "b") {
    process::class_spec klass;
    klass.name = class_name{"bench"};
    klass.behaviour = std::move(behaviour);
    const std::vector members{here.member(), there.member()};
    here.start(members, klass);
    there.start(members, klass);
    far = find_living(here, there);
  }
  value ask(const process_name& whom, const char* method, value argument = {}) {
    return must(here.ask(node::call_op{whom, method, std::move(argument), 5s}));
  }
  std::size_t count() { return ask(far, "get").document().get<std::size_t>(); }

  certificates with;
  side here;
  side there;
  process_name far;
};

void measure_native(const report& to) {
  pair in(process::builtin_kind::counter);
  auto calls = caller(in.here, in.far, "get").run();
  to.add({"node/call_counter", "us", summary(calls), "a process of another node called and answering, mutual TLS"});
  const auto before = in.count();
  std::vector<double> each;
  for (std::size_t i = 0; i < floods; ++i)
    each.push_back(flood(in.here, in.far).microseconds_each());
  if (in.count() - before != floods * flood_casts) give_up("casts were lost");
  to.add({"node/cast_counter", "us", summary(each), "casts to a process of another node, until it has counted all"});
}

/// From a script of one node to a script of the other, by its pid.
void measure_lua(const report& to) {
  pair in(process::lua_source{script});
  const auto near = find_living(in.here, in.here);
  in.ask(near, "meet", in.ask(in.far, "pid"));
  auto calls = caller(in.here, near, "ask").run();
  to.add({"node/call_lua", "us", summary(calls), "a script asked to call a script of another node, mutual TLS"});
  const auto before = in.count();
  const auto burst = value::from_json(std::to_string(window)).value();
  std::vector<double> each;
  for (std::size_t i = 0; i < floods; ++i) {
    const auto start = stopwatch::now();
    for (std::size_t sent = 0; sent < flood_casts; sent += window)
      in.ask(near, "flood", burst);
    each.push_back(microseconds(stopwatch::now() - start) / double{flood_casts});
  }
  if (in.count() - before != floods * flood_casts) give_up("messages were lost");
  to.add({"node/send_lua", "us", summary(each), "messages to a script of another node, until it has counted all"});
}

}  // namespace

void measure_nodes(const report& to) {
  measure_native(to);
  measure_lua(to);
}

}  // namespace orrery::bench
