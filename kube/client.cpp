#include "kube/client.hpp"

#include "kube/cpprest_transport.hpp"
#include "kube/line_splitter.hpp"
#include "kube/pause.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace orrery::kube {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

int leading_number(std::string_view text) {  // minor versions read "20+" at some providers
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

error malformed(const request& what, const std::string& problem) {
  return {errc::protocol, std::string{to_string(what.what)} + " " + what.path + ": the answer " + problem,
          what.mutates() ? took_effect::executed : took_effect::not_executed};
}

}  // namespace

client::client(std::unique_ptr<transport> carrier, client_options options)
    : transport_(std::move(carrier)), options_(std::move(options)) {}
client::~client() = default;

result<response> client::send_raw(const request& what, const call_options& call) {
  const auto deadline = clock::now() + call.timeout;
  bool refreshed = false;
  bool reconnected = false;
  for (std::size_t retries = 0;;) {
    const auto started = clock::now();
    const auto left = std::max(std::chrono::ceil<milliseconds>(deadline - started), milliseconds{1});
    auto answer = transport_->send(what, {.timeout = left, .stop = call.stop});
    if (options_.observer) {
      options_.observer->on_request(what.what, what.plural, answer ? answer->status : 0, clock::now() - started);
    }
    if (!answer) {
      // A kept connection that broke under a read says nothing about the server.
      const bool again = answer.error().code == errc::unavailable && !what.mutates() && !reconnected;
      if (!again) return answer;
      reconnected = true;
      continue;
    }
    if (answer->status == 401 && !refreshed) {
      refreshed = true;
      transport_->refresh_credentials();
      continue;
    }
    // 429 was not executed. A 5xx may have been, so what must be sent once is not sent again.
    const auto status = parse_status(*answer);
    const bool asked_to_wait = status.retry_after && (status.code == 429 || (status.retriable() && !what.send_once));
    if (!asked_to_wait || retries++ >= options_.retries_max) return answer;
    const auto wait = std::max(*status.retry_after, std::chrono::seconds{1});
    if (wait > options_.retry_after_max || clock::now() + wait >= deadline) return answer;
    if (!pause_for(wait, call.stop)) return fail(errc::cancelled, "given up while waiting to retry");
  }
}

result<json> client::send(const request& what, const call_options& call) { return send_noting(what, call, nullptr); }

result<json> client::send_noting(const request& what, const call_options& call, api_status* refused) {
  auto answer = send_raw(what, call);
  if (!answer) return fail(answer.error());
  if (answer->status < 200 || answer->status > 299) {
    const auto status = parse_status(*answer);
    if (refused != nullptr) *refused = status;
    return fail(to_error(status, what));
  }
  auto parsed = json::parse(answer->body, nullptr, false);
  if (parsed.is_discarded()) return fail(malformed(what, "is not JSON"));
  return parsed;
}

result<json> client::get(const resource& kind, const object_key& key, const call_options& call) {
  return send(requests::get(kind, key), call);
}

result<object_list> client::list_all(const resource& kind, std::string_view ns, list_options options,
                                     const call_options& call, api_status* refused) {
  if (options.limit == 0) options.limit = options_.page_size;
  bool restarted = false;
  object_list all;
  for (;;) {
    const auto what = requests::list(kind, ns, options);
    auto page = send_noting(what, call, refused);
    if (!page && page.error().code == errc::gone && !options.continue_token.empty() && !restarted) {
      restarted = true;  // the snapshot that the pages were cut from is gone
      options.continue_token.clear();
      all = {};
      continue;
    }
    if (!page) return fail(page.error());
    const auto items = page->find("items");
    if (items == page->end() || !(items->is_array() || items->is_null())) {
      return fail(malformed(what, "is no list: it has no items"));  // never mistaken for an empty one
    }
    if (items->is_array()) {
      for (auto& item : *items) {
        all.items.push_back(std::move(item));
      }
    }
    all.resource_version = resource_version_of(*page);
    options.continue_token = text_at(*page, {"metadata", "continue"});
    options.resource_version.clear();  // pages after the first are of the first's version
    if (options.continue_token.empty()) return all;
  }
}

result<json> client::create(const resource& kind, const json& object, const write_options& options,
                            const call_options& call) {
  return send(requests::create(kind, object, options), call);
}

result<json> client::apply(const resource& kind, const json& object, const apply_options& options,
                           const call_options& call) {
  return send(requests::apply(kind, object, options), call);
}

result<json> client::merge_patch(const resource& kind, const object_key& key, const json& patch,
                                 const write_options& options, const call_options& call) {
  return send(requests::merge_patch(kind, key, patch, options), call);
}

result<json> client::json_patch(const resource& kind, const object_key& key, const json& operations,
                                const write_options& options, const call_options& call) {
  return send(requests::json_patch(kind, key, operations, options), call);
}

result<json> client::replace(const resource& kind, const json& object, const write_options& options,
                             const call_options& call) {
  return send(requests::replace(kind, object, options), call);
}

result<json> client::patch_status(const resource& kind, const object_key& key, const json& status,
                                  const call_options& call) {
  return merge_patch(kind, key, {{"status", status}}, {.part = subresource::status}, call);
}

result<void> client::remove(const resource& kind, const object_key& key, const delete_options& options,
                            const call_options& call) {
  auto done = send(requests::remove(kind, key, options), call);
  if (!done) return fail(done.error());
  return {};
}

result<json> client::scale(const resource& kind, const object_key& key, std::int64_t replicas,
                           const call_options& call) {
  return send(requests::scale(kind, key, replicas), call);
}

result<std::string> client::logs(const object_key& pod, const log_options& options, const call_options& call) {
  auto bounded = options;
  bounded.follow = false;
  const auto what = requests::logs(pod, bounded);
  auto answer = send_raw(what, call);
  if (!answer) return fail(answer.error());
  if (answer->status != 200) return fail(to_error(parse_status(*answer), what));
  return std::move(answer->body);
}

result<void> client::follow_logs(const object_key& pod, const log_options& options,
                                 const transport::chunk_handler& on_bytes, const stream_options& stream) {
  auto following = options;
  following.follow = true;
  const auto what = requests::logs(pod, following);
  auto answer =
      transport_->stream(what, stream, [&](std::string_view bytes) { return bytes.empty() || on_bytes(bytes); });
  if (!answer) return fail(answer.error());
  if (answer->status != 200) return fail(to_error(parse_status(*answer), what));
  return {};
}

result<server_version> client::version(const call_options& call) {
  auto answer = send(requests::version(), call);
  if (!answer) return fail(answer.error());
  return server_version{.major = leading_number(text_at(*answer, {"major"})),
                        .minor = leading_number(text_at(*answer, {"minor"})),
                        .git = std::string{text_at(*answer, {"gitVersion"})}};
}

result<bool> client::has_resource(std::string_view group, std::string_view version, std::string_view plural,
                                  const call_options& call) {
  const auto what = requests::group_resources(group, version);
  auto answer = send(what, call);
  if (!answer && answer.error().code == errc::not_found) return false;
  if (!answer) return fail(answer.error());
  const auto* served = find(*answer, {"resources"});
  if (!served || !served->is_array()) return fail(malformed(what, "is no list of resources"));
  return std::any_of(served->begin(), served->end(),
                     [plural](const json& each) { return text_at(each, {"name"}) == plural; });
}

result<bool> client::has_resource(const resource& kind, const call_options& call) {
  return has_resource(kind.group, kind.version, kind.plural, call);
}

result<client::watch_end> client::watch(const resource& kind, std::string_view ns, const watch_options& options,
                                        const stream_options& stream, const line_handler& on_line) {
  const auto what = requests::watch(kind, ns, options);
  const auto started = clock::now();
  line_splitter lines{watch_line_bytes_max};
  bool too_long = false;
  auto answer = transport_->stream(what, stream, [&](std::string_view bytes) {
    if (bytes.empty()) return on_line({});
    const auto outcome = lines.feed(bytes, on_line);
    too_long = outcome == line_splitter::outcome::too_long;
    return outcome == line_splitter::outcome::more;
  });
  if (options_.observer) {
    options_.observer->on_request(what.what, what.plural, answer ? answer->status : 0, clock::now() - started);
  }
  if (too_long) return fail(errc::too_large, "watch " + what.path + ": a line over 8 MiB");
  if (!answer) return fail(answer.error());
  if (answer->status == 401) transport_->refresh_credentials();
  if (answer->status != 200) return watch_end{.refused = true, .status = parse_status(*answer)};
  return watch_end{};
}

result<std::unique_ptr<client>> make_client(const cluster_config& config, client_options options) {
  auto carrier = make_cpprest_transport(config, options.user_agent);
  if (!carrier) return fail(carrier.error());
  return std::make_unique<client>(std::move(*carrier), std::move(options));
}

}  // namespace orrery::kube
