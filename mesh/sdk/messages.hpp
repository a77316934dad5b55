#pragma once
#include "mesh/base/bytes.hpp"
#include "mesh/base/strong.hpp"
#include "mesh/node/node.hpp"
#include "mesh/process/apps/app.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace orrery::sdk {

inline constexpr std::uint32_t version_newest = 1;
inline constexpr std::uint32_t version_oldest = 1;
inline constexpr std::size_t frame_bytes_max = 4U << 20U;  ///< without the four bytes of its length
inline constexpr std::size_t hello_bytes_max = 4096;
inline constexpr std::size_t length_bytes = 4;
inline constexpr std::int64_t number_max = (std::int64_t{1} << 53U) - 1;  ///< what every language can count to
inline constexpr std::int64_t credit_max = 1'000'000;
inline constexpr std::size_t event_types_max = 64;  ///< that one subscription names

enum class encoding : std::uint8_t { cbor, json };

/// A client's number for one of its requests.
using request_number = strong<struct request_number_tag, std::uint64_t>;

// ---- from a client ----

struct hello {
  std::uint32_t version = 1;
  std::uint32_t oldest = 1;
  std::string client;
};
struct ping {
  std::uint64_t n = 0;
};
struct pong {
  std::uint64_t n = 0;
};
struct goodbye {
  std::string code;
  std::string text;
};
/// What HTTP could ask too. A cast without a number is answered by nothing.
struct request {
  std::optional<request_number> id;
  node::operation asked;
  std::optional<process::work_id> on_behalf_of{};
};
struct cancel {
  request_number id;
};
struct subscribe {
  request_number id;
  std::uint32_t credit = 0;
  std::vector<std::string> events;  ///< none: all
};
struct credit {
  request_number id;
  std::uint32_t add = 0;
};
/// `offer.app` is the session's to set.
struct register_class {
  request_number id;
  process::app_offer offer;
};
struct drain {
  request_number id;
  std::optional<class_name> only;
};
/// What one of the client's processes does.
struct act {
  request_number id;
  process::client_process_id process;
  process::client_deed what;
};
struct look_up {
  request_number id;
  process::key_space in = process::key_space::mesh_unique;
  std::string key;
};
/// More messages may come to a process.
struct process_credit {
  process::client_process_id process;
  std::uint32_t add = 0;
};
struct done {
  process::work_id work;
  result<process::app_answer> answer;
};
/// Well-formed, and wrong: whoever asked is told.
struct wrong {
  request_number id;
  error why;
};
/// Of a type that this version does not know, with nobody to tell.
struct unknown {};
using incoming = std::variant<hello, ping, pong, goodbye, request, cancel, subscribe, credit, register_class, drain,
                              act, look_up, process_credit, done, wrong, unknown>;

/// One frame's map. Errors end the connection: protocol where it is no such map, or has no place for an answer.
[[nodiscard]] result<incoming> decode(byte_view payload, encoding how);

// ---- to a client: whole frames, with their length ----

struct greeting {
  std::string sidecar;  ///< version
  std::string node;
  std::string mesh;
};
[[nodiscard]] bytes encode_welcome(encoding how, const greeting& from);
[[nodiscard]] bytes encode_goodbye(encoding how, const error& why);
[[nodiscard]] bytes encode_ping(encoding how, std::uint64_t n);
[[nodiscard]] bytes encode_pong(encoding how, std::uint64_t n);
[[nodiscard]] bytes encode_result(encoding how, request_number id, const result<value>& outcome);
[[nodiscard]] bytes encode_event(encoding how, request_number id, std::string_view type, const value& data);
[[nodiscard]] bytes encode_closed(encoding how, request_number id);
[[nodiscard]] bytes encode_class(encoding how, const process::app_class& told);
[[nodiscard]] bytes encode_work(encoding how, const process::app_work& work);
[[nodiscard]] bytes encode_message(encoding how, const process::client_message& what);
[[nodiscard]] bytes encode_ended(encoding how, const process::client_ended& what);
[[nodiscard]] bytes encode_cancel(encoding how, process::work_id work, std::string_view why);
[[nodiscard]] bytes encode_refused(encoding how, process::work_id work, const error& why);

/// What a registration has come to, as a value: of the result, and with more fields of `class`.
[[nodiscard]] value registration_value(const process::app_class& told);

}  // namespace orrery::sdk
