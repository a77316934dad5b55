#pragma once
#include "mesh/base/bytes.hpp"
#include "mesh/base/random.hpp"
#include "mesh/base/result.hpp"
#include "mesh/sim/agenda.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace orrery::sim {

/// A process that has connections: one life of one node.
struct endpoint_id {
  std::string node;
  std::uint64_t boot = 0;
  friend auto operator<=>(const endpoint_id&, const endpoint_id&) = default;
};

/// What the network tells an endpoint; `connection` as that endpoint numbers it.
struct network_events {
  std::function<void(const endpoint_id& to, std::uint64_t connection, const std::string& peer, bool dialled)> opened;
  std::function<void(const endpoint_id& to, std::uint64_t connection, error why)> closed;
  std::function<void(const endpoint_id& to, std::uint64_t connection, const bytes& arrived)> received;
};

/// Connections as TCP has them: in order, nothing lost while they last; a cut holds bytes back until it ends or a side
/// gives up, and a side whose host vanished is not heard of.
class network {
 public:
  network(agenda& time, seeded_random& random, network_events events)
      : time_(time), random_(random), events_(std::move(events)) {}

  void listen(const endpoint_id& who, const std::string& address);
  void dial(const endpoint_id& from, std::uint64_t connection, const std::string& address);
  void send(const endpoint_id& from, std::uint64_t connection, const bytes& sent);
  void hang_up(const endpoint_id& from, std::uint64_t connection);
  /// The process ended. `silently`: its host is gone too, nobody is told.
  void end(const endpoint_id& who, bool silently);

  void cut(const std::string& a, const std::string& b);
  void heal(const std::string& a, const std::string& b);
  void heal_all();
  void set_latency(duration least, duration most) {
    least_ = least;
    most_ = most;
  }
  /// Adds this to every frame of one pair; zero ends it.
  void slow(const std::string& a, const std::string& b, duration extra);
  void slow_none() { extra_.clear(); }

 private:
  struct packet {
    time_point due;
    std::optional<bytes> content;  ///< none: the end
  };
  struct side {
    endpoint_id who;
    std::uint64_t number = 0;
    bool open = false;
    std::deque<packet> incoming;
    time_point last_due{};
  };
  struct connection {
    side sides[2];
  };
  struct place {
    std::uint64_t connection = 0;
    int side = 0;
  };

  void enqueue(std::uint64_t id, int to, std::optional<bytes> content);
  void deliver(std::uint64_t id, int to);
  void close_side(std::uint64_t id, int which, bool tell_other);
  [[nodiscard]] duration latency(const std::string& a, const std::string& b);
  [[nodiscard]] bool is_cut(const std::string& a, const std::string& b) const;
  void wake_all();
  void finish_dial(const endpoint_id& from, std::uint64_t number, const std::string& address);

  agenda& time_;
  seeded_random& random_;
  network_events events_;
  std::map<std::string, endpoint_id> listening_;
  std::set<endpoint_id> alive_;
  std::map<std::uint64_t, connection> connections_;
  std::map<std::pair<endpoint_id, std::uint64_t>, place> places_;
  std::set<std::pair<endpoint_id, std::uint64_t>> dialling_;
  std::map<endpoint_id, std::uint64_t> next_accepted_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::map<std::pair<std::string, std::string>, duration> extra_;
  std::uint64_t last_connection_ = 0;
  duration least_ = std::chrono::microseconds{100};
  duration most_ = std::chrono::milliseconds{2};
};

}  // namespace orrery::sim
