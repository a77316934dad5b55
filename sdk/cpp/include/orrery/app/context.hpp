#pragma once
#include <nlohmann/json.hpp>

#include "orrery/app/messages.hpp"
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace orrery::app {

struct call_options {
  std::chrono::milliseconds timeout{0};  ///< 1 ms to 1 h; 0: the class' call timeout
  std::string trace = {};                ///< W3C traceparent; what is none is not sent
  /// Gives the call up. It ends with the reply after all, or with `cancelled`: `not_executed` where its process had not
  /// begun it.
  std::stop_token stop = {};
};

/// What an info is.
enum class info_source { timer, message, reply, down };

/// What a callback reaches beside its own process. The client brings it; a test may leave it out, or bring its own.
struct surroundings {
  std::stop_token abandoned;
  std::function<json(std::string_view name, std::string_view method, json argument, const call_options&)> call;
  std::function<void(const std::string& line)> log = {};  ///< told of a refusal that nobody waits for
  bool* refused = nullptr;                                ///< set where the handler refused
};

class process_class;

/// A callback's process and its hands: valid during the callback only, and used by its thread alone. What is done
/// through it happens when the callback returns, all of it or, where that throws, nothing; except `call`, which happens
/// at once. What cannot be, as a timer that is due yesterday or that no handler of the class would hear of, throws.
class context {
 public:
  /// `work` outlives it.
  explicit context(const json& work, surroundings around = {});

  /// "class/key".
  [[nodiscard]] std::string name() const { return class_ + "/" + key_; }
  [[nodiscard]] const std::string& process_class() const { return class_; }
  /// The pid, where it was spawned without a name.
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] const std::string& pid() const { return pid_; }
  /// The method, the timer's, request's or monitor's name, or the message's word; empty in other callbacks.
  [[nodiscard]] const std::string& message() const { return message_; }
  /// Of an info; nothing in other callbacks.
  [[nodiscard]] std::optional<info_source> source() const { return source_; }
  /// The W3C traceparent of who sent the message; empty: none.
  [[nodiscard]] const std::string& trace() const { return trace_; }
  /// Nobody waits for this callback any more: the process was killed, ran over its time, or the connection ended.
  [[nodiscard]] bool abandoned() const { return around_.abandoned.stop_requested(); }
  /// The same to wait with, as std::condition_variable_any takes it.
  [[nodiscard]] const std::stop_token& abandoned_token() const { return around_.abandoned; }

  /// The argument of this call, cast or info as a T. What is none is refused (`refusal`): the caller hears
  /// `invalid_argument` with the method and what is wrong, not executed, and the process lives on. A json exception, as
  /// of `at` and `get`, is a crash: nothing says whether it was the argument or the state that it did not understand.
  template <typename T>
  [[nodiscard]] T argument() const {
    return read<T>(*argument_, "");
  }
  /// The same of the argument's field `name`, which must be there.
  template <typename T>
  [[nodiscard]] T argument(std::string_view name) const {
    return read<T>(field(name, true), name);
  }
  /// The same, or `otherwise` where it is not there, or null.
  template <typename T>
  [[nodiscard]] T argument(std::string_view name, T otherwise) const {
    const auto& found = field(name, false);
    return found.is_null() ? std::move(otherwise) : read<T>(found, name);
  }

  /// What it is now. Read with `at` or `value` what may be missing: `[]` of const json must not miss.
  [[nodiscard]] const json& state() const { return changed_ ? *changed_ : *before_; }
  /// The same, to change it.
  [[nodiscard]] json& change();

  /// Asks another process, and waits for its answer; asking oneself is refused. Throws `error`.
  json call(std::string_view name, std::string_view method, json argument = nullptr, call_options how = {});
  void cast(std::string_view name, std::string_view method, json argument = nullptr);
  /// Fires as an info with this name, which the class has an `on_info` for; setting it again replaces it. 1 ms to 400
  /// days.
  void set_timer(std::string_view name, std::chrono::milliseconds after, json argument = nullptr);
  void cancel_timer(std::string_view name);
  /// A plain message to a pid or "class/key", which may find nobody.
  void send(std::string_view to, std::string_view word, json argument = nullptr);
  /// A plain message to every member of the group, this process as well where it is one.
  void publish(std::string_view group, std::string_view word, json argument = nullptr);
  /// What is published there comes as an info. It is a member until it has left as often as it joined, or has ended.
  void join_group(std::string_view group);
  void leave_group(std::string_view group);
  /// Asks a pid or "class/key" without waiting: the answer comes to `on_reply` of this name, which the class has.
  /// Another request of the name takes its place. `timeout` is 1 ms to 1 h; 0: 5 s.
  void request(std::string_view name, std::string_view to, std::string_view method, json argument = nullptr,
               std::chrono::milliseconds timeout = {});
  /// `on_down` of this name, which the class has, hears when a pid or "class/key" ends, at once where there is none.
  /// Another monitor of the name takes its place. A process has at most 1000 requests and monitors.
  void monitor(std::string_view name, std::string_view to);
  void demonitor(std::string_view name);
  /// The next message is a `continue` with this, before any that waits.
  void go_on(json with);
  /// Ends the process after this callback. `kind`: normal, shutdown or error.
  void stop(std::string_view kind = "normal", std::string_view text = {});
  /// In a call: what the handler returns, which must be null, is not sent; a later callback replies, with this number.
  [[nodiscard]] std::uint64_t reply_later();
  void reply(std::uint64_t caller, json answer);
  void refuse(std::uint64_t caller, const refusal& why);

 private:
  friend class orrery::app::process_class;
  void add(json effect);
  /// Throws where the class has no handler for what comes of it.
  void check_heard(info_source as, std::string_view name) const;
  [[nodiscard]] const json& field(std::string_view name, bool must_be) const;
  [[noreturn]] void refuse_argument(std::string_view name, const std::string& problem) const;

  template <typename T>
  T read(const json& value, std::string_view name) const {
    if constexpr (std::is_same_v<T, bool>) {
      if (!value.is_boolean()) refuse_argument(name, "it must be true or false");
    } else if constexpr (std::is_integral_v<T>) {
      const bool fits = value.is_number_unsigned()  ? std::in_range<T>(value.template get<std::uint64_t>())
                        : value.is_number_integer() ? std::in_range<T>(value.template get<std::int64_t>())
                                                    : false;
      if (!fits) refuse_argument(name, value.is_number_integer() ? "it is out of range" : "it must be a whole number");
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!value.is_number()) refuse_argument(name, "it must be a number");
    }
    try {
      return value.template get<T>();
    } catch (const json::exception& why) {
      refuse_argument(name, why.what());
    }
  }

  const orrery::app::process_class* handled_by_ = nullptr;  ///< null: in a test without a class
  std::string class_, key_, pid_, message_, trace_;
  std::optional<info_source> source_;
  std::uint64_t caller_;
  const json* argument_;
  const json* before_;
  std::optional<json> changed_;
  json effects_ = json::array();
  std::optional<json> next_, stop_;
  bool later_ = false;
  surroundings around_;
};

}  // namespace orrery::app
