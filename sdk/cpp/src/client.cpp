#include "orrery/app/client.hpp"

#include "session.hpp"
#include "values.hpp"
#include <utility>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;

constexpr auto query_timeout = 10s;  ///< of everything but calls, whose class has one

request a_question(json message) {
  return {.message = std::move(message), .done = {}, .effect_if_lost = "not_executed", .timeout = query_timeout};
}

json of_process(const char* type, std::string_view name) {
  auto message = name_fields(name);
  message["type"] = type;
  return message;
}

json to_process(const session& through, const char* type, std::string_view name, std::string_view method, json argument,
                const std::string& trace) {
  auto message = of_process(type, name);
  check_method(method);
  check_value(argument, "argument", through.value_bytes());
  message["method"] = method;
  message["argument"] = std::move(argument);
  if (is_traceparent(trace)) message["trace"] = trace;
  return message;
}

request a_call(const session& through, std::string_view name, std::string_view method, json argument,
               const call_options& how) {
  if (how.timeout.count() != 0) check_timeout(how.timeout);
  return {.message = to_process(through, "call", name, method, std::move(argument), how.trace),
          .done = {},
          .timeout = how.timeout};
}

request a_listing(session& through, const char* type, const client::listing_options& which) {
  json message{{"type", type}, {"limit", which.limit}};
  if (!which.prefix.empty()) {
    check_text("prefix", which.prefix);
    message["prefix"] = which.prefix;
  }
  through.require_processes();
  return a_question(std::move(message));
}

template <typename Entry, typename Read>
std::vector<Entry> all_of(const json& answer, const char* field, const Read& read) {
  std::vector<Entry> out;
  const auto found = answer.find(field);
  if (found == answer.end()) return out;
  for (const auto& each : *found)
    out.push_back(read(each));
  return out;
}

}  // namespace

struct client::impl : session {
  using session::session;
};

client::client(client_options options) : impl_(std::make_unique<impl>(std::move(options))) {}
client::~client() = default;

sidecar_info client::open() { return impl_->open(); }

json client::call(std::string_view name, std::string_view method, json argument, const call_options& how) {
  return impl_->ask_again(a_call(*impl_, name, method, std::move(argument), how), how.stop);
}

void client::call_async(std::string_view name, std::string_view method, json argument, const call_options& how,
                        std::function<void(outcome)> done) {
  auto what = a_call(*impl_, name, method, std::move(argument), how);
  using on_stop = std::stop_callback<std::function<void()>>;
  const auto give_up = std::make_shared<std::unique_ptr<on_stop>>();
  const auto both = std::make_shared<std::mutex>();
  const auto ended = std::make_shared<bool>(false);
  what.done = [through = impl_.get(), give_up, both, ended, done = std::move(done)](std::uint64_t, json result) {
    std::unique_ptr<on_stop> unused;
    {
      const std::lock_guard lock(*both);
      *ended = true;
      unused = std::move(*give_up);
    }
    unused.reset();
    try {
      done(outcome_of(result));
    } catch (const std::exception& thrown) {
      through->log(std::string("what a call was to end with threw: ") + thrown.what());
    } catch (...) {
      through->log("what a call was to end with threw what is no std::exception");
    }
  };
  const auto number = impl_->begin(std::move(what));
  if (!how.stop.stop_possible()) return;
  auto callback = std::make_unique<on_stop>(how.stop, [this, number] { impl_->cancel(number); });
  const std::lock_guard lock(*both);
  if (!*ended) *give_up = std::move(callback);
}

void client::cast(std::string_view name, std::string_view method, json argument, const std::string& trace) {
  auto what = a_question(to_process(*impl_, "cast", name, method, std::move(argument), trace));
  what.effect_if_lost = "unknown";
  impl_->ask_again(what);
}

void client::cast_nowait(std::string_view name, std::string_view method, json argument, const std::string& trace) {
  impl_->tell(to_process(*impl_, "cast", name, method, std::move(argument), trace));
}

std::string client::start(std::string_view name, std::chrono::milliseconds timeout) {
  if (timeout.count() != 0) check_timeout(timeout);
  auto message = of_process("start", name);
  impl_->require_processes();
  return impl_->ask_again({.message = std::move(message), .done = {}, .timeout = timeout}).at("pid");
}

json client::inspect(std::string_view name) { return impl_->ask_again(a_question(of_process("inspect", name))); }

void client::stop(std::string_view name) {
  auto what = a_question(of_process("stop", name));
  what.effect_if_lost = "unknown";
  impl_->ask_again(what);
}

void client::kill(std::string_view name, std::string_view reason) {
  auto what = a_question(of_process("kill", name));
  what.effect_if_lost = "unknown";
  if (!reason.empty()) what.message["reason"] = reason;
  impl_->ask_again(what);
}

json client::nodes() { return impl_->ask_again(a_question({{"type", "nodes"}})).at("nodes"); }
json client::classes() { return impl_->ask_again(a_question({{"type", "classes"}})).at("classes"); }
json client::tree(bool local) { return impl_->ask_again(a_question({{"type", "tree"}, {"local", local}})); }

json client::processes(const processes_options& which) {
  json message{{"type", "processes"}, {"limit", which.limit}, {"local", which.local}};
  if (!which.of_class.empty()) message["class"] = which.of_class;
  return impl_->ask_again(a_question(std::move(message)));
}

std::size_t client::publish(std::string_view group, std::string_view word, json argument) {
  auto what = a_question(publish_request(impl_->value_bytes(), group, word, std::move(argument)));
  what.effect_if_lost = "unknown";
  impl_->require_processes();
  return impl_->ask_again(what).value("members", std::size_t{0});
}

group_list client::groups(const listing_options& which) {
  const auto found = impl_->ask_again(a_listing(*impl_, "groups", which));
  return {.groups = all_of<group_size>(found, "groups",
                                       [](const json& each) {
                                         return group_size{.name = text_in(each, "name"),
                                                           .members = each.value("members", std::size_t{0}),
                                                           .here = each.value("here", std::size_t{0})};
                                       }),
          .truncated = found.value("truncated", false)};
}

key_list client::registry(const listing_options& which) {
  const auto found = impl_->ask_again(a_listing(*impl_, "registry", which));
  return {.entries = all_of<registered_key>(found, "entries",
                                            [](const json& each) {
                                              return registered_key{.key = text_in(each, "key"),
                                                                    .unique = each.value("unique", false),
                                                                    .pid = text_in(each, "pid"),
                                                                    .node = text_in(each, "node"),
                                                                    .value = each.value("value", json())};
                                            }),
          .truncated = found.value("truncated", false)};
}

group_members client::group(std::string_view name) {
  check_group(name);
  impl_->require_processes();
  const auto found = impl_->ask_again(a_question({{"type", "group"}, {"group", name}}));
  return {
      .group = found.value("group", std::string(name)),
      .members = all_of<group_member>(
          found, "members",
          [](const json& each) { return group_member{.pid = text_in(each, "pid"), .node = text_in(each, "node")}; }),
      .truncated = found.value("truncated", false)};
}

std::vector<holder> client::lookup(std::string_view key, key_scope in) {
  auto message = lookup_request(key, in);
  impl_->require_processes();
  return all_of<holder>(impl_->ask_again(a_question(std::move(message))), "entries", [](const json& each) {
    return holder{.key = text_in(each, "key"), .pid = text_in(each, "pid"), .value = each.value("value", json())};
  });
}

client_process client::process() { return client_process(*impl_); }
process_monitor client::monitor(std::string_view to) { return impl_->monitor(to); }

linked_task client::link(std::string_view to, linked_task::function task) {
  return linked_task(*impl_, to, std::move(task));
}

bool client::stand_for(std::string_view key, const std::function<void(std::stop_token)>& work,
                       const std::stop_token& stop) {
  return orrery::app::stand_for(*impl_, std::string(key), work, stop);
}

subscription client::subscribe(std::vector<std::string> types, std::function<void(const event&)> seen) {
  return impl_->subscribe(std::move(types), std::move(seen));
}

class_state client::host(process_class what, const host_options& how) { return impl_->host(std::move(what), how); }
std::optional<class_state> client::hosted(std::string_view class_name) const { return impl_->hosted(class_name); }

bool client::drain(std::chrono::milliseconds timeout) { return impl_->drain(timeout); }

}  // namespace orrery::app
