#pragma once
#include "mesh/base/identity.hpp"
#include "mesh/base/ids.hpp"
#include "mesh/base/random.hpp"
#include "mesh/base/result.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/base/time.hpp"
#include "mesh/wire/messages.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orrery::membership {

/// One connection. Even: dialled, numbered by the table; odd: accepted, numbered by the transport.
using link_id = strong<struct link_id_tag, std::uint64_t>;

/// An accepted peer that discovery does not (yet) expect is held this long, as discovery may lag; then refused.
inline constexpr duration provisional_max = std::chrono::seconds{5};
/// A connection must be up this long after it opened: longer than provisional_max, as the peer may hold us.
inline constexpr duration handshake_max = std::chrono::seconds{10};
/// A dial that neither opened nor failed is given up.
inline constexpr duration dial_max = std::chrono::seconds{10};
/// A member that has not been reached for this long no longer keeps this node from having joined.
inline constexpr duration unreached_max = std::chrono::seconds{5};
/// The first pauses after a failed dial are as short as this, as peers that start together are often dialled just
/// before they listen; then each is twice the one before, up to redial_max.
inline constexpr duration redial_min = std::chrono::milliseconds{8};
inline constexpr std::uint32_t redials_at_once = 12;
inline constexpr duration redial_max = std::chrono::seconds{5};
/// A peer that was not reached more often than this is shown as down; one that refused is dialled as seldom as this.
inline constexpr std::uint32_t failures_of_the_lost = redials_at_once + 5;
inline constexpr std::uint32_t failures_of_the_refused = redials_at_once + 10;
/// A node that starts knocks at the peers that dial it, if they have not by then: they may have tried in vain before,
/// and would try again in seconds.
inline constexpr duration knock_delay = std::chrono::milliseconds{30};

struct settings {
  std::string name_space;
  std::string mesh;
  std::string mesh_id;
  node_id self;
  std::string uid;
  std::string address;
  duration heartbeat_interval = std::chrono::milliseconds{500};
  duration down_after = std::chrono::seconds{2};
  std::uint64_t seed = 1;
  std::uint64_t protocol = wire::protocol_version;  ///< tests speak others
  std::uint64_t features = wire::feature_processes | wire::feature_cancel | wire::feature_unhosted;
};

struct member {
  node_name name;
  std::string uid;  ///< empty: not known (a static list), not compared
  std::string address;
  bool terminating = false;
  friend bool operator==(const member&, const member&) = default;
};

// ---- what is to be done ----

struct dial {
  link_id link;
  std::string address;
  node_name peer;
};
struct hang_up {
  link_id link;
  error why;
};
struct send {
  link_id link;
  wire::message what;
};
/// Both sides have accepted each other. Nothing but the handshake came before this on the link.
struct peer_up {
  link_id link;
  node_id node;
  bool draining = false;
};
struct peer_down {
  link_id link;
  node_id node;
  error why;
};
struct peer_refused {
  std::string who;  ///< the pod in its certificate
  error why;
};
struct peer_draining {
  link_id link;
  node_id node;
};
/// It has said for which classes it has no app.
struct peer_unhosted {
  link_id link;
};
/// A peer that had been quiet is heard again.
struct peer_heard {
  link_id link;
};
using action =
    std::variant<dial, hang_up, send, peer_up, peer_down, peer_refused, peer_draining, peer_unhosted, peer_heard>;
using actions = std::vector<action>;

// ---- what is known ----

enum class peer_state : std::uint8_t { self, up, draining, connecting, down };
[[nodiscard]] std::string_view to_string(peer_state state) noexcept;

struct peer_view {
  node_name name;
  std::string uid;
  boot_number boot;  ///< 0: never met
  std::string address;
  peer_state state = peer_state::connecting;
  std::uint64_t processes = 0;
  std::optional<duration> rtt;
  std::string software;
};

struct live_peer {
  node_id node;
  link_id link;
  bool draining = false;
  std::uint64_t features = 0;  ///< that both have
};

/// A member that is terminating, or that has said goodbye and has not come back, is not counted: it left by plan. A
/// static list goes on naming it.
struct head_count {
  std::size_t expected = 1;  ///< self included
  std::size_t live = 1;      ///< of these, self included
  [[nodiscard]] bool majority() const noexcept { return live > expected / 2; }
};

/// The members, the connections and their health, as one node sees them. A pair has one connection, dialled by the
/// smaller name; it is up when both sides have checked the other's certificate, hello and place in discovery. A
/// connection that the greater name dials is a knock: it says "dial me" and ends.
class table {
 public:
  explicit table(settings chosen);

  /// The whole list of discovery, self included or not.
  void expect(time_point now, const std::vector<member>& members, actions& out);
  void opened(time_point now, link_id link, const mesh_identity& identity, bool dialled, actions& out);
  void closed(time_point now, link_id link, const error& why, actions& out);
  /// Any frame: the peer is alive. False if the link is not known (it was given up): drop the frame.
  [[nodiscard]] bool heard(time_point now, link_id link, actions& out);
  /// hello, welcome, goodbye, heartbeat, heartbeat_ack, draining, unhosted. Others are not for this room.
  void received(time_point now, link_id link, const wire::message& message, actions& out);
  /// A peer broke the rules: closes its link.
  void refuse(time_point now, link_id link, error why, actions& out);
  /// Says in hellos from now on that this node is leaving.
  void set_draining() noexcept { draining_ = true; }
  /// Says to every peer, now and in hellos, for which classes this node has no app.
  void set_unhosted(std::vector<class_name> classes, actions& out);
  [[nodiscard]] const wire::unhosted& own_unhosted() const noexcept { return unhosted_; }
  /// What this peer has said of it last; number 0: in its hello. REQUIRES: it is up.
  [[nodiscard]] const wire::unhosted& unhosted_of(link_id link) const { return links_.at(link).unhosted; }
  void set_processes(std::uint64_t count) noexcept { processes_ = count; }
  void set_moving(bool moves) noexcept { moving_ = moves; }
  /// Says goodbye to everyone and forgets every connection.
  void leave(time_point now, actions& out);
  void tick(time_point now, actions& out);
  [[nodiscard]] time_point wake_at() const;

  [[nodiscard]] bool discovery_known() const noexcept { return discovery_known_; }
  [[nodiscard]] bool self_terminating() const noexcept { return self_terminating_; }
  /// Peers that are up, by name.
  [[nodiscard]] std::vector<live_peer> live() const;
  [[nodiscard]] std::optional<live_peer> find(link_id link) const;
  [[nodiscard]] std::optional<live_peer> find(const node_id& node) const;
  /// No frame from it for two heartbeat intervals: alive perhaps, but do not start anything with it.
  [[nodiscard]] bool quiet(time_point now, link_id link) const;
  [[nodiscard]] head_count count() const;
  /// Of those that have an address; with `met`, of those that have been up in this life: newcomers do not count.
  [[nodiscard]] head_count reachable(bool met) const;
  /// An expected member that is not up and has not been given up: "demo-x7k2p (connecting)".
  [[nodiscard]] std::optional<std::string> waiting_for(time_point now) const;
  /// A terminating member that has not been tried in vain: it may still run what this node will own.
  [[nodiscard]] bool unreached_leaver() const;
  /// A peer that we have welcomed may take us for up, though we have not heard its welcome.
  [[nodiscard]] bool half_up() const;
  /// A connection is open, or being opened, that is not up yet.
  [[nodiscard]] bool greeting() const;
  [[nodiscard]] std::vector<peer_view> view() const;

 private:
  struct connection {
    std::string pod;
    bool dialled = false;
    bool knock = false;
    bool open = false;
    time_point opened_at{};  ///< or dialled at
    std::optional<wire::hello> said;
    bool accepted = false;  ///< we sent welcome
    bool welcomed = false;  ///< they did
    bool up = false;
    bool quiet = false;
    time_point last_heard{};
    time_point next_heartbeat{};
    time_point unexpected_since = never;
    wire::unhosted unhosted{};
  };
  struct peer {
    std::optional<member> expected;
    boot_number last_boot;
    std::uint64_t last_attempt = 0;
    std::optional<link_id> current;  ///< the accepted link, or the dial under way
    std::uint32_t failures = 0;
    time_point redial_at{};
    time_point knock_at = never;
    time_point unreached_since{};
    bool refused = false;  ///< the last attempt ended in a refusal: keep the backoff
    bool met = false;      ///< has been up, ever
    bool departed =
        false;  ///< its last word was a goodbye: it has handed over and is not expected until it is up again
    bool draining = false;
    std::uint64_t processes = 0;
    std::optional<duration> rtt;
    std::string software;
  };

  void judge(time_point now, link_id id, connection& link, actions& out);
  [[nodiscard]] result<bool> acceptable(time_point now, link_id id, const connection& link) const;
  /// The last life of this pod that has been seen may still be there, other than on this link.
  [[nodiscard]] bool last_life_alive(time_point now, link_id id, const peer& known) const;
  [[nodiscard]] bool is_expected(const connection& link) const;
  void accept(time_point now, link_id id, connection& link, actions& out);
  void come_up(time_point now, link_id id, connection& link, actions& out);
  void drop(time_point now, link_id id, const error& why, bool tell, actions& out);
  void dial_missing(time_point now, actions& out);
  void dial_peer(time_point now, const node_name& name, bool knock, actions& out);
  void knocked(time_point now, link_id id, const node_name& name, actions& out);
  [[nodiscard]] bool linked(const node_name& name) const;
  void beat(time_point now, link_id id, connection& link, actions& out);
  void back_off(time_point now, peer& missed);
  void forget_strangers();
  [[nodiscard]] wire::hello our_hello(std::uint64_t attempt) const;
  [[nodiscard]] bool is_up(const peer& known) const { return known.current && links_.at(*known.current).up; }
  /// Belongs to the mesh and does not leave it.
  [[nodiscard]] static bool stays(const peer& known) {
    return known.expected && !known.expected->terminating && !known.departed;
  }
  [[nodiscard]] bool we_dial(const node_name& name) const { return settings_.self.name < name; }

  settings settings_;
  seeded_random random_;
  std::map<node_name, peer> peers_;
  std::map<link_id, connection> links_;
  std::uint64_t next_link_ = 2;
  std::uint64_t processes_ = 0;
  bool moving_ = false;
  wire::unhosted unhosted_;
  bool discovery_known_ = false;
  bool self_terminating_ = false;
  bool self_expected_ = false;
  bool draining_ = false;
  bool left_ = false;
};

}  // namespace orrery::membership
