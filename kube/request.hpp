#pragma once
// Requests of the Kubernetes API as plain values: method, path and body. Pure: nothing here connects to anything.
#include "kube/resource.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::kube {

/// What a request does; the label of metrics.
enum class verb : std::uint8_t { get, list, watch, create, apply, patch, replace, remove, log, discovery };
[[nodiscard]] std::string_view to_string(verb what) noexcept;

struct request {
  verb what = verb::get;
  std::string method;  ///< "GET", "POST", "PUT", "PATCH", "DELETE"
  std::string path;    ///< path and query, percent-encoded, starting with '/'
  std::string content_type{};
  std::string body{};
  std::string_view plural{};  ///< which resource, for metrics; empty for discovery

  /// False for what only reads: a failure then has taken no effect.
  [[nodiscard]] bool mutates() const noexcept { return method != "GET"; }
  /// True where sending it twice is not the same as sending it once: the transport must never resend it by itself.
  bool send_once = false;

  friend bool operator==(const request&, const request&) = default;
};

/// A part of an object that is written on its own.
enum class subresource : std::uint8_t { none, status, scale };

struct list_options {
  std::string label_selector{};
  std::string field_selector{};
  std::int64_t limit = 0;        ///< objects per page; 0: the server's choice (all)
  std::string continue_token{};  ///< of the page before
  std::string resource_version{};
};

struct watch_options {
  std::string label_selector{};
  std::string field_selector{};
  std::string resource_version{};
  std::chrono::seconds timeout{300};  ///< the server ends the watch then
  bool bookmarks = true;
};

struct write_options {
  std::string field_manager{};
  bool dry_run = false;
  bool strict = false;  ///< refuse unknown fields (fieldValidation=Strict); servers before 1.25 do not look
  subresource part = subresource::none;
};

struct apply_options {
  std::string field_manager;  ///< REQUIRED by the server: who owns the fields
  bool force = true;          ///< take fields over from other managers, as controllers do
  bool dry_run = false;
  subresource part = subresource::none;
};

enum class propagation : std::uint8_t { server_default, background, foreground, orphan };

struct delete_options {
  std::string uid{};               ///< delete only the object with this uid
  std::string resource_version{};  ///< delete only if unchanged since
  std::optional<std::chrono::seconds> grace_period{};
  propagation dependents = propagation::server_default;
  bool dry_run = false;
};

struct log_options {
  std::string container{};
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
  std::optional<std::int64_t> tail_lines{};
  std::optional<std::int64_t> limit_bytes{};
};

/// Builders. Keys of namespaced resources need a namespace; where `ns` is empty, list and watch span all of them.
namespace requests {
[[nodiscard]] request get(const resource& kind, const object_key& key, subresource part = subresource::none);
[[nodiscard]] request list(const resource& kind, std::string_view ns, const list_options& options);
[[nodiscard]] request watch(const resource& kind, std::string_view ns, const watch_options& options);
/// Namespace from the object. send_once, unless it is a dry run.
[[nodiscard]] request create(const resource& kind, const json& object, const write_options& options);
/// Server-side apply: creates or changes. apiVersion and kind are filled in, managedFields removed.
[[nodiscard]] request apply(const resource& kind, const json& object, const apply_options& options);
[[nodiscard]] request merge_patch(const resource& kind, const object_key& key, const json& patch,
                                  const write_options& options);
/// `operations` is an array (RFC 6902). send_once.
[[nodiscard]] request json_patch(const resource& kind, const object_key& key, const json& operations,
                                 const write_options& options);
/// Key from the object; a resourceVersion in it makes the write conditional.
[[nodiscard]] request replace(const resource& kind, const json& object, const write_options& options);
[[nodiscard]] request remove(const resource& kind, const object_key& key, const delete_options& options);
[[nodiscard]] request scale(const resource& kind, const object_key& key, std::int64_t replicas);
[[nodiscard]] request logs(const object_key& pod, const log_options& options);
[[nodiscard]] request version();                                                          // GET /version
[[nodiscard]] request groups();                                                           // GET /apis
[[nodiscard]] request group_resources(std::string_view group, std::string_view version);  // GET /apis/G/V or /api/V
}  // namespace requests

/// Percent-encodes everything but unreserved characters (RFC 3986).
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace orrery::kube
