#pragma once
#include "kube/config.hpp"
#include "kube/request.hpp"
#include "kube/resource.hpp"
#include "kube/status.hpp"
#include "kube/transport.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::kube {

/// Told of each finished request, on the thread that made it. `code` is the HTTP status, 0 if there was none.
/// Must outlive the client, be thread-safe, and return quickly.
class request_observer {
 public:
  virtual ~request_observer() = default;
  virtual void on_request(verb what, std::string_view plural, int code, std::chrono::duration<double> took) = 0;
};

struct client_options {
  request_observer* observer = nullptr;
  std::int64_t page_size = 500;              ///< objects per page of list_all
  std::size_t retries_max = 5;               ///< of one call whose answer says to retry later
  std::chrono::seconds retry_after_max{30};  ///< longer waits are the caller's to decide
  std::string user_agent{"orrery"};
};

struct object_list {
  std::vector<json> items;
  std::string resource_version;
};

struct server_version {
  int major = 0;
  int minor = 0;
  std::string git;  ///< "v1.20.2"
};

/// One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, not yet parsed. Called first with an empty line,
/// when the server has accepted the watch. False ends the watch.
using line_handler = std::function<bool(std::string_view line)>;

/// A blocking client of one API server. Thread-safe. No call takes longer than its call_options say.
///
/// Errors are those of transport and of to_error(); `effect` is honest: `unknown` means that a write may have happened,
/// so read again before deciding. 429, and 5xx but for creates, with a time to retry after are retried within
/// the timeout (bounded by client_options); a 401 is retried once with fresh credentials. A context reads
/// "create pods default/demo-x: pods "demo-x" already exists".
class client {
 public:
  explicit client(std::unique_ptr<transport> carrier, client_options options = {});
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  [[nodiscard]] result<json> get(const resource& kind, const object_key& key, const call_options& call = {});
  /// All pages. The timeout is for each page. A list that expires half-way (410) starts over once. Where the server
  /// refused a page, what it said is put into `refused`, so that the time to retry after can be kept.
  [[nodiscard]] result<object_list> list_all(const resource& kind, std::string_view ns, list_options options = {},
                                             const call_options& call = {}, api_status* refused = nullptr);
  /// Never sent twice by the layers below, so already_exists means that somebody else, or an earlier call, made it.
  [[nodiscard]] result<json> create(const resource& kind, const json& object, const write_options& options = {},
                                    const call_options& call = {});
  [[nodiscard]] result<json> apply(const resource& kind, const json& object, const apply_options& options,
                                   const call_options& call = {});
  [[nodiscard]] result<json> merge_patch(const resource& kind, const object_key& key, const json& patch,
                                         const write_options& options = {}, const call_options& call = {});
  [[nodiscard]] result<json> json_patch(const resource& kind, const object_key& key, const json& operations,
                                        const write_options& options = {}, const call_options& call = {});
  [[nodiscard]] result<json> replace(const resource& kind, const json& object, const write_options& options = {},
                                     const call_options& call = {});
  /// merge_patch of {"status": status} on the status subresource.
  [[nodiscard]] result<json> patch_status(const resource& kind, const object_key& key, const json& status,
                                          const call_options& call = {});
  /// Deletion was accepted; finalizers and grace periods may still hold the object.
  [[nodiscard]] result<void> remove(const resource& kind, const object_key& key, const delete_options& options = {},
                                    const call_options& call = {});
  [[nodiscard]] result<json> scale(const resource& kind, const object_key& key, std::int64_t replicas,
                                   const call_options& call = {});

  /// The log so far (options.follow is ignored). At most body_bytes_max.
  [[nodiscard]] result<std::string> logs(const object_key& pod, const log_options& options = {},
                                         const call_options& call = {});
  /// The log as it grows, until the container ends, the handler says false, or it is stopped.
  [[nodiscard]] result<void> follow_logs(const object_key& pod, const log_options& options,
                                         const transport::chunk_handler& on_bytes, const stream_options& stream = {});

  [[nodiscard]] result<server_version> version(const call_options& call = {});
  /// Whether the server serves this. Not cached. "Cannot tell" is an error, never false.
  [[nodiscard]] result<bool> has_resource(std::string_view group, std::string_view version, std::string_view plural,
                                          const call_options& call = {});
  [[nodiscard]] result<bool> has_resource(const resource& kind, const call_options& call = {});

  /// One watch, from its options' resource version until it ends; informers are built on it. Lines over
  /// watch_line_bytes_max end it with too_large. Not retried. A refusal is an api_status, so that 410 and 429 can be
  /// told apart.
  struct watch_end {
    bool refused = false;  ///< the answer was not 200: `status` says why
    api_status status{};
  };
  [[nodiscard]] result<watch_end> watch(const resource& kind, std::string_view ns, const watch_options& options,
                                        const stream_options& stream, const line_handler& on_line);

  /// Any request, answered as JSON.
  [[nodiscard]] result<json> send(const request& what, const call_options& call = {});
  /// Any request, with the answer as it came, whatever its status. Still retried as described above.
  [[nodiscard]] result<response> send_raw(const request& what, const call_options& call = {});

 private:
  [[nodiscard]] result<json> send_noting(const request& what, const call_options& call, api_status* refused);

  std::unique_ptr<transport> transport_;
  client_options options_;
};

inline constexpr std::size_t watch_line_bytes_max = std::size_t{8} << 20;  ///< objects are at most about 1.5 MiB

/// A client of the cluster that `config` names, over HTTP by cpprestsdk. Nothing is connected yet.
/// Call initialize() first thing in main: see cpprest_transport.hpp. Errors: invalid_argument, what is wrong with
/// `config`.
[[nodiscard]] result<std::unique_ptr<client>> make_client(const cluster_config& config, client_options options = {});

/// Must be called once, at the start of main, before any other thread: sets up the HTTP library's thread pool and its
/// environment. make_client() calls it too, for tests and small tools.
void initialize();

}  // namespace orrery::kube
