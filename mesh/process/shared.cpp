// Groups and the registry, as processes of this node use them.
#include "mesh/process/runtime_impl.hpp"
#include "mesh/wire/cbor.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {
namespace {

value group_notice(std::string_view group, const std::string& who) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, 2);
  cbor::put_text(encoded, "group");
  cbor::put_text(encoded, group);
  cbor::put_text(encoded, "pids");
  cbor::put_head(encoded, cbor::major::array, 1);
  cbor::put_text(encoded, who);
  return value::adopt(encoded);
}

}  // namespace

result<void> runtime::impl::check_own(kernel::handle who) {
  // Its end is to be heard before anybody else hears of it.
  if (who.node == kernel::handle::here && core.alive(who) && core.announce(who)) return {};
  return fail(errc::not_found, text_of(who) + " is no process of this node");
}

void runtime::impl::forget_entries(kernel::handle who) {
  for (const auto& group : groups_.forget(who))
    group_changed(group, who, false);
  for (const auto& each : registry_.forget(who))
    key_changed(each.in, each.key, who, nullptr);
}

/// Tells those who watch, and other nodes.
void runtime::impl::group_changed(std::string_view group, kernel::handle who, bool joined) {
  tell_watchers(group, who, joined);
  out().emplace_back(
      fact_changed{{wire::fact::kind::member, std::string{group}, {who.slot, who.generation}, joined ? 1U : 0U, {}}});
}

void runtime::impl::key_changed(key_space in, std::string_view key, kernel::handle who, const value* held) {
  if (!is_of_mesh(in)) return;
  const auto kind = is_unique(in) ? wire::fact::kind::unique : wire::fact::kind::duplicate;
  out().emplace_back(fact_changed{{kind,
                                   std::string{key},
                                   {who.slot, who.generation},
                                   held != nullptr ? 1U : 0U,
                                   held != nullptr ? *held : value{}}});
}

void runtime::impl::tell_watchers(std::string_view group, kernel::handle who, bool joined) {
  const auto watchers = groups_.watchers(group);
  if (watchers.empty()) return;
  const value payload = group_notice(group, text_of(who));
  for (const auto& each : watchers)
    notices_.push_back({each, joined ? joined_word_ : left_word_, payload});
}

void runtime::impl::tell_key_lost(std::string_view key, kernel::handle who, const std::string& holder) {
  bytes encoded;
  cbor::put_head(encoded, cbor::major::map, 2);
  cbor::put_text(encoded, "key");
  cbor::put_text(encoded, key);
  cbor::put_text(encoded, "pid");
  cbor::put_text(encoded, holder);
  notices_.push_back({who, key_lost_word_, value::adopt(encoded)});
}

void runtime::impl::tell_what_waits() {
  while (!notices_.empty() || !answered_.empty() || !lost_.empty()) {
    // What is said may make processes end, and so more to say.
    for (auto& each : std::exchange(notices_, {}))
      core.send(now, each.to, each.word, std::move(each.payload));
    for (auto& each : std::exchange(answered_, {}))
      answer_through({stand_ins_.node(), kernel::no_slot, 0}, each.to, each.ref, std::move(each.answer));
    for (auto& each : std::exchange(lost_, {})) {
      const bool full = stand_ins_.find(each.to) != nullptr;
      core.refuse(now, std::move(each),
                  full ? exit_reason{exit_reason::kind::system_limit, "too much waits for this name; retry later"}
                       : exit_reason{exit_reason::kind::noproc, {}});
    }
  }
  stand_ins_.trim();
}

// ---- words ----

result<void> runtime::impl::check_word(std::string_view text, std::string_view what) {
  if (text.empty() || text.size() > wire::word_bytes_max) {
    return fail(errc::invalid_argument, std::string{what} + " has 1 to " + std::to_string(wire::word_bytes_max) +
                                            " bytes; this one has " + std::to_string(text.size()));
  }
  const auto met = core.atoms().find(text);
  if (met && (*met == joined_word_ || *met == left_word_ || *met == key_lost_word_)) {
    return fail(errc::invalid_argument,
                "the word '" + std::string{text} + "' is the system's: nobody else can send it");
  }
  return {};
}

result<kernel::atom> runtime::impl::word_of(std::string_view text, std::string_view what) {
  if (auto fine = check_word(text, what); !fine) return fail(std::move(fine.error()));
  const auto known = word_from(text, words_from_clients_, words_from_clients_max);
  if (!known) return fail(errc::overloaded, "this node has met as many words as it may");
  return *known;
}

// ---- groups ----

result<void> runtime::impl::join(std::string_view group, kernel::handle who) {
  if (auto own = check_own(who); !own) return own;
  const auto joins = groups_.join(group, who);
  if (!joins) return fail(joins.error());
  if (*joins == 1) group_changed(group, who, true);
  return {};
}

bool runtime::impl::leave(std::string_view group, kernel::handle who) {
  if (who.node != kernel::handle::here) return false;
  const auto joins = groups_.leave(group, who);
  if (!joins) return false;
  if (*joins == 0) group_changed(group, who, false);
  return true;
}

std::vector<kernel::handle> runtime::impl::members(std::string_view group, reach among) const {
  return groups_.members(group, among);
}

std::vector<std::string> runtime::impl::groups(std::string_view prefix, std::size_t limit) const {
  return groups_.names(prefix, limit);
}

std::size_t runtime::impl::publish(kernel::context& self, std::string_view group, kernel::atom word,
                                   const value& payload, reach among) {
  const auto all = groups_.members(group, among);
  for (const auto& each : all) {
    if (each.node == kernel::handle::here) self.send(each, word, payload);
  }
  const auto sender = self.self();
  publish_elsewhere(all, {wire::place{sender.slot, sender.generation}, std::string{group},
                          std::string{core.atoms().text(word)}, payload});
  return all.size();
}

/// One message for each node, which knows best who its members are.
void runtime::impl::publish_elsewhere(const std::vector<kernel::handle>& members, wire::publish what) {
  std::vector<node_id> nodes;
  std::uint32_t last = kernel::handle::here;
  for (const auto& each : members) {  // in order of nodes
    if (each.node != last) nodes.push_back(lives_[each.node].id);
    last = each.node;
  }
  if (!nodes.empty()) out().emplace_back(published{std::move(nodes), std::move(what)});
}

result<std::size_t> runtime::publish(time_point now, std::string_view group, std::string_view word,
                                     const value& payload, effects& out) {
  const impl::sink into(*impl_, now, out);
  if (auto fine = check_group_name(group); !fine) return fail(std::move(fine.error()));
  if (auto fine = impl_->check_word(word, "a word"); !fine) return fail(std::move(fine.error()));
  const auto all = impl_->groups_.members(group, reach::mesh);
  const auto is_here = [](const kernel::handle& each) { return each.node == kernel::handle::here; };
  if (std::any_of(all.begin(), all.end(), is_here)) {  // words are never forgotten: none is learnt for nobody
    const auto known = impl_->word_of(word, "a word");
    if (!known) return fail(known.error());
    for (const auto& each : all) {
      if (is_here(each)) impl_->core.send(now, each, *known, payload);
    }
  }
  impl_->publish_elsewhere(all, {{}, std::string{group}, std::string{word}, payload});
  return all.size();
}

result<std::vector<kernel::handle>> runtime::impl::monitor_group(std::string_view group, kernel::handle watcher) {
  if (auto own = check_own(watcher); !own) return fail(own.error());
  if (auto watches = groups_.watch(group, watcher); !watches) return fail(watches.error());
  return groups_.members(group, reach::mesh);
}

void runtime::impl::demonitor_group(std::string_view group, kernel::handle watcher) { groups_.unwatch(group, watcher); }

}  // namespace orrery::process
