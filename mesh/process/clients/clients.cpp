// Clients that are processes: what they do, each as one of its processes.
#include "mesh/base/overloaded.hpp"
#include "mesh/process/runtime_impl.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::size_t list_overhead = 64;  ///< bytes of a list beside its items

value text_map(std::string_view key, std::string_view text) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, 1);
  cbor::put_text(encoded, key);
  cbor::put_text(encoded, text);
  return value::adopt(encoded);
}
value number_map(std::string_view key, std::uint64_t number) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, 1);
  cbor::put_text(encoded, key);
  cbor::put_head(encoded, cbor::major::unsigned_integer, number);
  return value::adopt(encoded);
}
value flag_map(std::string_view key, bool flag) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, 1);
  cbor::put_text(encoded, key);
  cbor::put_bool(encoded, flag);
  return value::adopt(encoded);
}
value spawned_map(std::string_view pid, std::optional<std::uint64_t> monitor) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, monitor ? 2 : 1);
  cbor::put_text(encoded, "pid");
  cbor::put_text(encoded, pid);
  if (monitor) {
    cbor::put_text(encoded, "monitor");
    cbor::put_head(encoded, cbor::major::unsigned_integer, *monitor);
  }
  return value::adopt(encoded);
}

/// {KEY: [ITEM...]} of encoded items, and `truncated` where not all of them may be in one value.
template <class Items, class Put>
value list_map(std::string_view key, const Items& items, const Put& put) {
  bytes listed;
  std::size_t count = 0;
  for (const auto& each : items) {
    const auto before = listed.size();
    put(listed, each);
    if (listed.size() + list_overhead > value_bytes_max) {
      listed.resize(before);
      break;
    }
    ++count;
  }
  const bool all = count == items.size();
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, all ? 1 : 2);
  cbor::put_text(encoded, key);
  cbor::put_head(encoded, cbor::major::array, count);
  encoded.insert(encoded.end(), listed.begin(), listed.end());
  if (!all) {
    cbor::put_text(encoded, "truncated");
    cbor::put_bool(encoded, true);
  }
  return value::adopt(encoded);
}

auto too_many_links() {
  return fail(errc::overloaded, std::to_string(client_ties_max) + " links are as many as a client's process may hold");
}
auto too_many_monitors() {
  return fail(errc::overloaded, std::to_string(client_ties_max) +
                                    " monitors are as many as a client's process may hold, and a part of " +
                                    std::to_string(client_watches_max) + " all processes of all clients");
}

}  // namespace

client_load runtime::clients() const noexcept { return impl_->flow.load(); }

// ---- what a client's process does, in its name ----

struct runtime::impl::client_acts {
  /// What came of it; nothing where the answer is still to come.
  using answer = std::optional<result<value>>;

  impl& of;
  client_process& as;
  kernel::context& self;
  client_request asked;

  [[nodiscard]] result<kernel::atom> word(std::string_view text, std::string_view what) const {
    if (of.core.queued_bytes() >= of.settings.queued_bytes_max) {
      return fail(errc::overloaded, "what waits in this node's mailboxes holds as much as it may; retry later");
    }
    return of.word_of(text, what);
  }
  [[nodiscard]] answer open(kernel::reference waits, bool claims) const {
    if (waits == kernel::no_reference) return fail(errc::overloaded, "this node waits for as many answers as it may");
    as.expect(waits, asked, claims);
    return {};
  }
  [[nodiscard]] value watched(kernel::reference monitor) const { return number_map("monitor", as.watch(monitor)); }

  [[nodiscard]] duration timeout_of(std::string_view target) const {
    const auto name = parse_process_name(target);
    const auto* klass = name ? of.find_class(name->klass) : nullptr;
    return klass == nullptr ? client_call_timeout : klass->spec.call_timeout;
  }
  /// A pid of a node that is not known any more, or never was: OTP's monitors and links find noconnection there.
  [[nodiscard]] static bool is_of_a_lost_node(std::string_view target) { return parse_pid(target).has_value(); }

  answer operator()(client_calls& what) const {
    const auto method = word(what.method, "a method");
    if (!method) return fail(method.error());
    const auto to = of.find(what.to);
    if (!to) return fail(to.error());
    const auto timeout = what.timeout ? *what.timeout : timeout_of(what.to);
    return open(self.call(*to, *method, std::move(what.argument), timeout), false);
  }
  answer operator()(client_casts& what) const {
    const auto method = word(what.method, "a method");
    if (!method) return fail(method.error());
    const auto to = of.find(what.to);
    if (!to) return fail(to.error());
    self.cast(*to, *method, std::move(what.argument));
    return cbor::empty_map();
  }
  answer operator()(client_sends& what) const {
    const auto as_word = word(what.word, "a word");
    if (!as_word) return fail(as_word.error());
    const auto to = of.find(what.to);
    if (!to) return fail(to.error());
    self.send(*to, *as_word, std::move(what.argument));
    return cbor::empty_map();
  }
  answer operator()(client_spawns& what) const {
    if (what.monitor && !as.may_watch()) return too_many_monitors();
    if (what.link && !as.add_link(self)) return too_many_links();
    const auto made = of.spawn(self, {what.klass.value, std::move(what.argument), what.link, what.monitor});
    if (!made) return fail(made.error());
    return spawned_map(of.text_of(made->who),
                       what.monitor ? std::optional{as.watch(made->monitor)} : std::optional<std::uint64_t>{});
  }
  answer operator()(client_monitors& what) const {
    if (!as.may_watch()) return too_many_monitors();
    const auto to = of.find(what.to);
    if (!to && is_of_a_lost_node(what.to)) return number_map("monitor", as.watch_in_vain(what.to));
    if (!to) return fail(to.error());
    return watched(self.monitor(*to));
  }
  answer operator()(client_demonitors& what) const {
    if (const auto monitor = as.unwatch(what.monitor)) {
      self.demonitor(*monitor);
    } else {
      as.forget_down(what.monitor);
    }
    return cbor::empty_map();
  }
  answer operator()(client_links& what) const {
    const auto to = of.find(what.to);
    if (!to && is_of_a_lost_node(what.to)) {
      if (what.on && !as.link_in_vain(what.to)) return fail(errc::overloaded, "too much waits for this client to read");
      return cbor::empty_map();
    }
    if (!to) return fail(to.error());
    if (what.on && !as.add_link(self)) return too_many_links();
    what.on ? self.link(*to) : self.unlink(*to);
    return cbor::empty_map();
  }
  answer operator()(client_exits& what) const {
    const auto to = of.find(what.to);
    if (!to) return fail(to.error());
    self.exit(*to, std::move(what.why));
    return cbor::empty_map();
  }
  answer operator()(client_groups& what) const {
    switch (what.what) {
      case client_groups::kind::join: {
        auto done = of.join(what.group, self.self());
        return done ? result<value>{cbor::empty_map()} : fail(std::move(done.error()));
      }
      case client_groups::kind::leave:
        return flag_map("member", of.leave(what.group, self.self()));
      case client_groups::kind::watch: {
        const auto members = of.monitor_group(what.group, self.self());
        if (!members) return fail(members.error());
        return list_map("pids", *members,
                        [&](bytes& out, kernel::handle each) { cbor::put_text(out, of.text_of(each)); });
      }
      case client_groups::kind::unwatch:
        of.demonitor_group(what.group, self.self());
        return cbor::empty_map();
    }
    return cbor::empty_map();
  }
  answer operator()(client_publishes& what) const {
    if (auto fine = check_group_name(what.group); !fine) return fail(std::move(fine.error()));
    const auto as_word = word(what.word, "a word");
    if (!as_word) return fail(as_word.error());
    return number_map("members", of.publish(self, what.group, *as_word, what.argument, reach::mesh));
  }
  answer operator()(client_claims& what) const {
    if (what.in == key_space::mesh_unique) {
      return open(of.claim_key(self, what.key, std::move(what.held), what.timeout), true);
    }
    auto done = of.register_key(what.in, what.key, self.self(), std::move(what.held));
    return done ? result<value>{cbor::empty_map()} : fail(std::move(done.error()));
  }
  answer operator()(client_updates& what) const {
    auto done = of.update_value(what.in, what.key, self.self(), std::move(what.held));
    return done ? result<value>{cbor::empty_map()} : fail(std::move(done.error()));
  }
  answer operator()(client_releases& what) const {
    return flag_map("held", of.unregister_key(what.in, what.key, self.self()));
  }
  answer operator()(client_open&) const { return {}; }
  answer operator()(client_close&) const { return {}; }
};

// ---- what clients say ----

void runtime::impl::take(client_act& said) {
  const auto answer = [&](result<value> with) {
    apps.outbox.emplace_back(client_answer{said.client, said.request, std::move(with)});
  };
  if (const auto* open = std::get_if<client_open>(&said.what))
    return answer(open_client(said, open->credit, open->as_json));
  const auto found = clients.find({said.client, said.process});
  if (found == clients.end()) {
    return answer(fail(errc::not_found, "process " + std::to_string(said.process.value) +
                                            " is not open on this connection: it was closed, or has ended"));
  }
  const auto who = found->second;
  if (const auto* close = std::get_if<client_close>(&said.what)) {
    end_client(who, close->why);
    return answer(cbor::empty_map());
  }
  client_acts::answer came;
  core.enter(now, who, [&](kernel::body& body, kernel::context& self) {
    const client_acts acts{*this, static_cast<client_process&>(body), self, said.request};
    came = std::visit([&](auto& what) { return acts(what); }, said.what);
  });
  if (came) answer(std::move(*came));
  if (auto* const still = find_client(said.client, said.process)) still->tell_waiting();
}

result<value> runtime::impl::open_client(const client_act& said, std::uint32_t credit, bool as_json) {
  if (clients.contains({said.client, said.process})) {
    return fail(errc::already_exists, "process " + std::to_string(said.process.value) + " is open already");
  }
  std::size_t open = 0;
  for (auto at = clients.lower_bound({said.client, client_process_id{0}});
       at != clients.end() && at->first.first == said.client; ++at)
    ++open;
  if (open >= client_processes_max) {
    return fail(errc::overloaded,
                std::to_string(client_processes_max) + " processes are as many as a connection may have open");
  }
  const auto made = core.spawn(now, std::make_unique<client_process>(client_shared, said.client, said.process, credit),
                               {.trap_exits = true, .announced = true, .tag = client_tag});
  if (!made) return fail(made.error());
  clients.emplace(std::pair{said.client, said.process}, *made);
  client_of.emplace(*made, std::pair{said.client, said.process});
  flow.open(said.client, as_json);
  return text_map("pid", text_of(*made));
}

void runtime::impl::take(client_credit& said) {
  if (auto* const process = find_client(said.client, said.process)) process->add_credit(said.add);
}

void runtime::impl::take(client_written& said) {
  auto* const window = flow.find(said.client);
  if (window == nullptr) return;
  const bool was_full = flow.is_full();
  flow.written(*window, said.bytes);
  // Where there is room again for all, it has its turn among them: it would take that room else, again and again.
  was_full && !flow.is_full() ? tell_all_clients() : tell_client(said.client, *window);
}

/// What waits for its processes, one after the other.
void runtime::impl::tell_client(app_id client, client_window& window) {
  for (auto left = window.ready.size(); left > 0 && !window.ready.empty() && flow.is_open(window); --left) {
    auto turn = window.ready.lower_bound(window.next);
    if (turn == window.ready.end()) turn = window.ready.begin();
    window.next = client_process_id{turn->value + 1};
    if (auto* const process = find_client(client, *turn)) {
      process->tell_waiting();
    } else {
      window.ready.erase(turn);  // it is just ending
    }
  }
}

/// There is room again for all together: first for those to whom nothing much is on its way, as they read, and what
/// others do not read would soon be all again.
void runtime::impl::tell_all_clients() {
  for (const bool others : {false, true}) {
    for (auto left = flow.all().size(); left > 0 && !flow.is_full(); --left) {
      const auto turn = flow.take_turn();
      if (others || flow.keeps_up(turn->second)) tell_client(turn->first, turn->second);
    }
  }
}

client_process* runtime::impl::find_client(app_id client, client_process_id process) {
  const auto found = clients.find({client, process});
  return found == clients.end() ? nullptr : static_cast<client_process*>(core.body_of(found->second));
}

void runtime::impl::take(client_cancels& said) {
  bool found = false;
  for (auto at = clients.lower_bound({said.client, client_process_id{0}});
       !found && at != clients.end() && at->first.first == said.client;) {
    const auto who = (at++)->second;  // it may end
    core.enter(now, who, [&](kernel::body& body, kernel::context& self) {
      found = static_cast<client_process&>(body).cancel(self, said.request);
    });
  }
}

void runtime::impl::take(client_looks_up& said) {
  const auto put = [&](bytes& out, const registration& each) {
    cbor::put_head(out, cbor::major::map, 3);
    cbor::put_text(out, "key");
    cbor::put_text(out, each.key);
    cbor::put_text(out, "pid");
    cbor::put_text(out, text_of(each.who));
    cbor::put_text(out, "value");
    cbor::put(out, each.held.cbor());
  };
  apps.outbox.emplace_back(
      client_answer{said.client, said.request, list_map("entries", lookup(said.in, said.key), put)});
}

void runtime::impl::end_client(kernel::handle who, const exit_reason& why) {
  clients.erase(client_of.at(who));
  client_of.erase(who);
  core.stop(now, who, why);
}

void runtime::impl::client_gone(app_id client, const std::string& why) {
  // First, so that not each of them is told of the end of each other one: a room that is full would take long to leave.
  for (auto at = clients.lower_bound({client, client_process_id{0}}); at != clients.end() && at->first.first == client;
       ++at)
    groups_.unwatch_all(at->second);
  while (true) {
    const auto next = clients.lower_bound({client, client_process_id{0}});
    if (next == clients.end() || next->first.first != client) break;
    end_client(next->second, {exit_reason::kind::noconnection, "its client went away: " + why});
  }
  const bool was_full = flow.is_full();
  flow.close(client);
  if (was_full && !flow.is_full()) tell_all_clients();
}

/// Where as much is on its way to all as may be, and has been for a while, and somebody waits for that alone.
void runtime::impl::end_slow_clients() {
  if (flow.next_look() > now) return;
  const bool held_up = std::any_of(flow.all().begin(), flow.all().end(), [&](const auto& each) {
    return std::any_of(each.second.ready.begin(), each.second.ready.end(), [&](client_process_id number) {
      const auto* const process = find_client(each.first, number);
      return process != nullptr && process->is_held_up();
    });
  });
  held_up ? flow.end_the_slowest() : flow.look_later();
}

void runtime::impl::client_ended(kernel::handle who, const exit_reason& why) {
  const auto found = client_of.find(who);
  if (found == client_of.end()) return;  // by its client
  const auto [client, id] = found->second;
  client_of.erase(found);
  clients.erase({client, id});
  apps.outbox.emplace_back(process::client_ended{client, id, why});
}

}  // namespace orrery::process
