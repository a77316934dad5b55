#pragma once
#include "mesh/sdk/messages.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace orrery::sdk {

// ---- what a session wants done, in order ----

struct send {
  bytes frame;
  std::size_t weight = 0;  ///< of a message for a client's process: the node is to be told as that leaves
};
/// Ask the node, and give `answered` what it says. Without a number nobody wants to hear it.
struct ask {
  std::optional<request_number> id;
  node::operation what;
};
/// This call is to be given up, if it has not begun. It is answered all the same.
struct withdraw {
  request_number id;
};
/// The answer to this is not wanted any more.
struct abandon {
  request_number id;
};
struct tell_node {
  process::app_event what;
};
/// Once all that was sent is out. Nothing follows.
struct close {
  error why;
};
using output = std::variant<send, ask, withdraw, abandon, tell_node, close>;
using outputs = std::vector<output>;

/// One connection of a client: what it may say when, what it hears, and what of it the node must know. Pure: bytes,
/// time and the node's answers in, outputs out. Not thread-safe.
class session {
 public:
  static constexpr std::size_t requests_max = 1024;  ///< without an answer yet
  static constexpr std::size_t subscriptions_max = 16;
  static constexpr std::size_t registrations_max = 64;
  static constexpr duration keepalive = std::chrono::seconds{15};  ///< of silence; twice as long ends the connection
  static constexpr duration hello_timeout = std::chrono::seconds{5};
  static constexpr duration frame_timeout = std::chrono::seconds{30};  ///< from its first byte

  session(greeting from, process::app_id id, time_point now)
      : from_(std::move(from)), id_(id), born_(now), heard_(now) {}

  void received(time_point now, byte_view arrived);
  /// From a transport that keeps frames apart and says of what kind they are: the next piece of a frame without its
  /// length; `whole` with its last one. REQUIRES: a connection is given either these or `received`, and no piece while
  /// `next` has a frame.
  void received_piece(time_point now, byte_view piece, bool whole, encoding how, outputs& out);
  /// What follows from the next frame that has arrived whole. False: there is none. What it leads to is to be done
  /// before the one after it.
  bool next(time_point now, outputs& out);
  /// A sign of life that is no frame.
  void heard_from(time_point now);
  /// What it says is not read now, as too much waits for it to read: it is not silent, nor slow with its frames.
  void held_up(time_point now);
  /// What the node says to an `ask`. Nothing follows where it was abandoned.
  void answered(request_number id, const result<value>& answer, outputs& out);
  /// REQUIRES: it is for this connection.
  void told(const process::app_effect& what, outputs& out);
  void happened(std::string_view type, const value& data, outputs& out);
  /// At least once a second: silence and half frames end a connection.
  void tick(time_point now, outputs& out);
  /// From our side.
  void end(const error& why, outputs& out);
  /// The socket is gone.
  void closed(const std::string& why, outputs& out);

  [[nodiscard]] bool greeted() const noexcept { return greeted_; }
  [[nodiscard]] encoding speaks() const noexcept { return how_; }
  [[nodiscard]] bool follows_events() const noexcept { return !subscriptions_.empty(); }
  [[nodiscard]] const std::string& client() const noexcept { return client_; }
  [[nodiscard]] std::size_t works() const noexcept { return works_.size(); }

 private:
  enum class open_kind : std::uint8_t { called, asked, registering, draining, acting };
  [[nodiscard]] static bool is_for_node(open_kind what) noexcept {
    return what == open_kind::called || what == open_kind::asked;
  }
  struct subscription {
    std::set<std::string, std::less<>> types;
    std::uint32_t credit = 0;
    std::uint64_t dropped = 0;
  };

  struct draining {
    request_number id;
    std::optional<class_name> only;
    std::vector<class_name> classes;  ///< that were registered by then
  };

  void drop_taken();
  /// False where no frame may have so many bytes, and the session has ended over it.
  [[nodiscard]] bool may_have(std::size_t size, outputs& out);
  void take_frame(byte_view payload, outputs& out);
  void take(hello& said, outputs& out);
  void take(ping& said, outputs& out);
  void take(pong&, outputs&) {}
  void take(goodbye& said, outputs& out);
  void take(request& said, outputs& out);
  void take(cancel& said, outputs& out);
  void take(subscribe& said, outputs& out);
  void take(credit& said, outputs& out);
  void take(register_class& said, outputs& out);
  void take(drain& said, outputs& out);
  void take(act& said, outputs& out);
  void take(look_up& said, outputs& out);
  void take(process_credit& said, outputs& out);
  void take(done& said, outputs& out);
  void take(wrong& said, outputs& out);
  void take(unknown&, outputs&) {}
  /// A new request: false where it is refused, and its client has heard.
  [[nodiscard]] bool open(request_number id, open_kind what, outputs& out);
  void finish(request_number id, const result<value>& outcome, outputs& out);
  /// Its number for the node, which answers to it.
  [[nodiscard]] process::client_request begin_act(request_number id);
  void fatal(const error& why, outputs& out);
  void leave(const std::string& why, outputs& out);

  greeting from_;
  process::app_id id_;
  time_point born_;
  time_point heard_;
  std::optional<time_point> partial_since_;
  std::uint64_t pings_ = 0;
  std::optional<time_point> pinged_;
  bytes in_;
  std::size_t taken_ = 0;  ///< of it
  bool in_pieces_ = false;
  bool whole_ = false;  ///< in pieces: it is a frame
  encoding how_ = encoding::cbor;
  bool greeted_ = false;
  bool over_ = false;
  std::string client_;
  std::map<request_number, open_kind> open_;
  std::map<request_number, subscription> subscriptions_;
  std::map<class_name, std::optional<request_number>> registered_;  ///< the number until it is answered
  std::vector<draining> drains_;
  bool known_ = false;  ///< to the node, of this connection: it has hosted, or had processes
  std::map<process::client_request, request_number> acts_;  ///< that have no answer yet
  std::uint64_t acts_so_far_ = 0;
  std::map<process::work_id, process_name> works_;
};

}  // namespace orrery::sdk
