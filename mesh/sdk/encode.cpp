#include "mesh/base/assert.hpp"
#include "mesh/sdk/messages.hpp"
#include "mesh/sdk/session.hpp"
#include "mesh/wire/cbor.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace orrery::sdk {
namespace {

using cbor::major;
using process::app_callback;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr unsigned fields_written_max = 23;  ///< so that the map's head is one byte
constexpr std::size_t frame_guess = 256;     ///< bytes, to begin with

/// Writes one map: of a frame, behind the place of its length; or one to go into another.
class map_writer {
 public:
  map_writer() { out_.push_back(0xa0); }
  explicit map_writer(std::string_view type) : start_(length_bytes) {
    out_.reserve(frame_guess);
    out_.resize(length_bytes);
    out_.push_back(0xa0);
    text("type", type);
  }

  /// Texts for people may quote anything, and be cut anywhere; a client's decoder takes nothing but UTF-8.
  map_writer& text(std::string_view key, std::string_view content) {
    name(key);
    if (is_utf8(content)) {
      cbor::put_text(out_, content);
    } else {
      std::string plain{content};
      std::replace_if(
          plain.begin(), plain.end(), [](char c) { return static_cast<unsigned char>(c) > 0x7e; }, '?');
      cbor::put_text(out_, plain);
    }
    return *this;
  }
  map_writer& number(std::string_view key, std::uint64_t number) {
    name(key);
    cbor::put_head(out_, major::unsigned_integer, number);
    return *this;
  }
  map_writer& item(std::string_view key, const value& item) {
    name(key);
    cbor::put(out_, item.cbor());
    return *this;
  }
  map_writer& map(std::string_view key, const map_writer& inner) {
    name(key);
    cbor::put(out_, inner.content());
    return *this;
  }
  map_writer& texts(std::string_view key, std::initializer_list<std::string_view> all) {
    name(key);
    cbor::put_head(out_, major::array, all.size());
    for (const auto each : all)
      cbor::put_text(out_, each);
    return *this;
  }
  [[nodiscard]] byte_view content() const { return byte_view{out_}.subspan(start_); }

  [[nodiscard]] bytes frame(encoding how) && {
    if (how == encoding::json) {
      const auto document =
          nlohmann::json::from_cbor(content(), true, true, nlohmann::json::cbor_tag_handler_t::ignore);
      const auto text = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      out_.resize(start_);
      cbor::put(out_, as_bytes(text));
    }
    const auto size = out_.size() - start_;
    for (std::size_t i = 0; i < length_bytes; ++i)
      out_[i] = static_cast<std::uint8_t>(size >> (8 * (length_bytes - 1 - i)));
    return std::move(out_);
  }

 private:
  void name(std::string_view key) {
    ORRERY_ASSERT(out_[start_] < 0xa0 + fields_written_max);
    ++out_[start_];
    cbor::put_text(out_, key);
  }

  std::size_t start_ = 0;
  bytes out_;
};

map_writer error_map(const error& why) {
  map_writer out;
  out.text("code", to_string(why.code)).text("text", why.context).text("effect", to_string(why.effect));
  return out;
}

std::string_view name_of(app_callback what) {
  switch (what) {
    case app_callback::init:
      return "init";
    case app_callback::call:
      return "call";
    case app_callback::cast:
      return "cast";
    case app_callback::info:
      return "info";
    case app_callback::resume:
      return "continue";
    case app_callback::code_change:
      return "code_change";
    case app_callback::terminate:
      return "terminate";
    case app_callback::handoff:
      return "handoff";
  }
  return "call";
}

std::string_view name_of(process::app_class_state state) {
  switch (state) {
    case process::app_class_state::ready:
      return "ready";
    case process::app_class_state::undeclared:
      return "undeclared";
    case process::app_class_state::other:
      return "other";
  }
  return "undeclared";
}

std::string_view name_of(process::app_source source) {
  switch (source) {
    case process::app_source::none:
      return "";
    case process::app_source::timer:
      return "timer";
    case process::app_source::message:
      return "message";
    case process::app_source::reply:
      return "reply";
    case process::app_source::down:
      return "down";
  }
  return "";
}

std::string_view name_of(process::client_message::kind what) {
  switch (what) {
    case process::client_message::kind::plain:
      return "plain";
    case process::client_message::kind::cast:
      return "cast";
    case process::client_message::kind::down:
      return "down";
    case process::client_message::kind::exit:
      return "exit";
    case process::client_message::kind::dropped:
      return "dropped";
  }
  return "";
}

map_writer reason_map(const kernel::exit_reason& why) {
  map_writer out;
  out.text("kind", kernel::to_string(why.why)).text("text", why.detail);
  return out;
}

std::uint64_t in_ms(duration span) { return static_cast<std::uint64_t>(duration_cast<milliseconds>(span).count()); }

void put_registration(map_writer& out, const process::app_class& told) {
  out.text("state", name_of(told.state));
  if (told.state == process::app_class_state::ready) out.number("classVersion", told.version);
}

}  // namespace

bytes encode_welcome(encoding how, const greeting& from) {
  map_writer limits;
  limits.number("frameBytes", frame_bytes_max)
      .number("valueBytes", value_bytes_max)
      .number("requests", session::requests_max)
      .number("subscriptions", session::subscriptions_max)
      .number("registrations", session::registrations_max)
      .number("concurrency", process::app_concurrency_max)
      .number("processes", process::client_processes_max);
  map_writer out("welcome");
  out.number("version", version_newest)
      .texts("features", {"events", "host", "processes", "trace"})
      .text("sidecar", from.sidecar)
      .text("node", from.node)
      .text("mesh", from.mesh)
      .number("keepaliveMs", in_ms(session::keepalive))
      .map("limits", limits);
  return std::move(out).frame(how);
}

bytes encode_goodbye(encoding how, const error& why) {
  map_writer out("goodbye");
  out.text("code", to_string(why.code)).text("text", why.context);
  out.number("version", version_newest).number("minVersion", version_oldest);
  return std::move(out).frame(how);
}

bytes encode_ping(encoding how, std::uint64_t n) { return std::move(map_writer("ping").number("n", n)).frame(how); }
bytes encode_pong(encoding how, std::uint64_t n) { return std::move(map_writer("pong").number("n", n)).frame(how); }

bytes encode_result(encoding how, request_number id, const result<value>& outcome) {
  map_writer out("result");
  out.number("id", id.value);
  outcome ? out.item("ok", *outcome) : out.map("error", error_map(outcome.error()));
  return std::move(out).frame(how);
}

bytes encode_event(encoding how, request_number id, std::string_view type, const value& data) {
  map_writer out("event");
  out.number("id", id.value).text("event", type).item("data", data);
  return std::move(out).frame(how);
}

bytes encode_closed(encoding how, request_number id) {
  return std::move(map_writer("closed").number("id", id.value)).frame(how);
}

bytes encode_class(encoding how, const process::app_class& told) {
  map_writer out("class");
  out.text("class", told.klass.value);
  put_registration(out, told);
  return std::move(out).frame(how);
}

value registration_value(const process::app_class& told) {
  map_writer out;
  put_registration(out, told);
  return value::adopt(out.content());
}

bytes encode_work(encoding how, const process::app_work& work) {
  const bool changes = work.what == app_callback::code_change;
  map_writer out("work");
  out.number("work", work.id.value)
      .text("class", work.name.klass.value)
      .text("key", work.name.key.value)
      .text("pid", work.pid)
      .text("callback", name_of(work.what))
      .number("classVersion", work.class_version)
      .number("timeoutMs", in_ms(work.timeout));
  if (!work.method.empty()) out.text("method", work.method);
  const bool argued = work.what == app_callback::call || work.what == app_callback::cast ||
                      work.what == app_callback::info || work.what == app_callback::resume ||
                      (work.what == app_callback::init && !(work.argument == value{}));
  if (argued) out.item("argument", work.argument);
  if (work.state) out.item("state", *work.state).number(changes ? "fromVersion" : "stateVersion", work.state_version);
  if (work.caller != 0) out.number("caller", work.caller);
  if (!work.trace.empty()) out.text("trace", work.trace);
  if (work.source != process::app_source::none) out.text("source", name_of(work.source));
  if (work.reason) out.map("reason", reason_map(*work.reason));
  return std::move(out).frame(how);
}

bytes encode_message(encoding how, const process::client_message& what) {
  using kind = process::client_message::kind;
  map_writer out("message");
  out.number("process", what.process.value).text("kind", name_of(what.what));
  if (!what.from.empty()) out.text("from", what.from);
  if (what.what == kind::down) out.number("monitor", what.monitor);
  if (what.what == kind::down || what.what == kind::exit) {
    out.map("reason", reason_map(what.why));
  } else if (what.what == kind::dropped) {
    out.number("count", what.count);
  } else {
    out.text(what.what == kind::plain ? "word" : "method", what.word).item("argument", what.argument);
  }
  return std::move(out).frame(how);
}

bytes encode_ended(encoding how, const process::client_ended& what) {
  map_writer out("ended");
  out.number("process", what.process.value).map("reason", reason_map(what.why));
  return std::move(out).frame(how);
}

bytes encode_cancel(encoding how, process::work_id work, std::string_view why) {
  map_writer out("cancel");
  out.number("work", work.value).text("text", why);
  return std::move(out).frame(how);
}

bytes encode_refused(encoding how, process::work_id work, const error& why) {
  map_writer out("refused");
  out.number("work", work.value).map("error", error_map(why));
  return std::move(out).frame(how);
}

}  // namespace orrery::sdk
