#pragma once
// One connection of an SDK client: carries the bytes of its session, and decides nothing but when to stop reading.
#include "mesh/sdk/session.hpp"
#include "sidecar/handlers.hpp"

#include <boost/asio/generic/stream_protocol.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery::sidecar {

namespace asio = boost::asio;

/// Who has the connections; outlives them, or `abandon`s them.
class sdk_owner {
 public:
  sdk_owner() = default;
  sdk_owner(const sdk_owner&) = delete;
  sdk_owner& operator=(const sdk_owner&) = delete;
  virtual ~sdk_owner() = default;
  virtual void closing(process::app_id which) = 0;
  /// It broke the rules, or did not read or answer.
  virtual void ended_it(const error& why) = 0;
};

/// Lives as long as one of its operations is under way. Used on the io_context's thread.
class sdk_connection : public std::enable_shared_from_this<sdk_connection> {
 public:
  using socket_type = asio::generic::stream_protocol::socket;
  static constexpr std::size_t unread_max = 4U << 20U;      ///< waiting to be written: no more is read
  static constexpr std::size_t unwritten_max = 32U << 20U;  ///< waiting to be written: the connection ends
  static constexpr std::chrono::seconds stall_max{30};      ///< nothing of it is taken for so long
  static constexpr std::chrono::seconds farewell_max{1};    ///< for the last bytes to leave

  sdk_connection(socket_type socket, sdk_owner& owner, const serving& with, sdk::greeting from, process::app_id id);

  void start();
  void told(const process::app_effect& what);
  void happened(std::string_view type, const value& data);
  void tick();
  /// Says goodbye, and closes when that is out.
  void end(const error& why);
  /// Closes at once; nobody is told.
  void abandon();
  [[nodiscard]] bool follows_events() const noexcept { return session_.follows_events(); }

 private:
  using clock = std::chrono::steady_clock;

  void read();
  void write();
  void perform(sdk::outputs& todo);
  void perform(sdk::send& todo);
  void perform(sdk::ask& todo);
  void perform(sdk::abandon& todo);
  void perform(sdk::tell_node& todo);
  void perform(sdk::close& todo);
  void lost(const std::string& why);
  void shut();
  [[nodiscard]] std::size_t unwritten() const noexcept { return waiting_bytes_ + writing_bytes_; }

  socket_type socket_;
  sdk_owner* owner_;  ///< null once it is shut
  const serving& with_;
  process::app_id id_;
  sdk::session session_;
  std::array<std::uint8_t, 64U << 10U> chunk_;
  bool reading_ = false;
  std::vector<bytes> waiting_;
  std::vector<bytes> writing_;
  std::size_t waiting_bytes_ = 0;
  std::size_t writing_bytes_ = 0;
  clock::time_point progress_ = clock::now();
  std::optional<clock::time_point> closing_since_;
  std::unordered_map<std::uint64_t, node::request_id> asked_;  ///< by the client's numbers. Never iterated
};

}  // namespace orrery::sidecar
