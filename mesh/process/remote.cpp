// Signals to and from processes of other nodes, and what goes through a name.
#include "mesh/process/runtime_impl.hpp"
#include "mesh/process/signals.hpp"

#include <algorithm>
#include <utility>

namespace orrery::process {

// ---- nodes ----

std::optional<std::uint32_t> runtime::impl::number_of(const node_id& node) const {
  const auto found = numbers_.find(node);
  return found == numbers_.end() ? std::nullopt : std::optional{found->second};
}

pid runtime::impl::pid_of(kernel::handle who) const { return {lives_.at(who.node).id, who.slot, who.generation}; }

std::optional<kernel::handle> runtime::impl::handle_of(const pid& who) const {
  if (who.node == settings.node) return kernel::handle{kernel::handle::here, who.slot, who.generation};
  const auto number = number_of(who.node);
  if (!number) return {};
  return kernel::handle{*number, who.slot, who.generation};
}

result<void> runtime::node_up(const node_id& node) {
  auto& of = *impl_;
  auto number = of.number_of(node);
  if (!number && of.lives_.size() >= lives_known_max) {
    return fail(errc::overloaded, "this node has met " + std::to_string(lives_known_max) +
                                      " lives of nodes, as many as it may; it must start again to meet more");
  }
  if (!number) {
    number = of.core.add_node();
    of.lives_.push_back({node, false, 0});
    of.numbers_.emplace(node, *number);
  }
  of.lives_[*number].up = true;
  of.lives_[*number].heard = 0;
  of.core.node_up(*number);
  return {};
}

void runtime::node_down(time_point now, const node_id& node, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto number = impl_->number_of(node);
  if (!number || !impl_->lives_[*number].up) return;
  impl_->lives_[*number].up = false;
  impl_->forget_node(*number);
  impl_->core.node_down(now, *number);
}

// ---- signals ----

void runtime::impl::transmit(kernel::signal what) {
  if (what.to.node == stand_ins_.node()) return to_name(std::move(what));
  const node_id to = lives_[what.to.node].id;
  out().emplace_back(signal_sent{to, to_wire(std::move(what), core.atoms())});
}

std::optional<kernel::atom> runtime::impl::word_from_elsewhere(std::string_view text) {
  return word_from(text, words_from_elsewhere_, words_from_elsewhere_max);
}

/// `learnt` of `most` words that nobody here had known.
std::optional<kernel::atom> runtime::impl::word_from(std::string_view text, std::size_t& learnt, std::size_t most) {
  if (const auto known = core.atoms().find(text)) return known;
  // What a script here has a callback for is bounded by what operators deploy, and is not to be kept out by the rest.
  const bool heard = std::any_of(classes.begin(), classes.end(), [&](const auto& each) {
    return each.second->type != nullptr && each.second->type->of->hears(text);
  });
  if (heard) return core.atoms().intern(text);
  if (learnt >= most) return {};
  ++learnt;
  return core.atoms().intern(text);
}

void runtime::receive(time_point now, const node_id& from, wire::signal what, effects& out) {
  const impl::sink into(*impl_, now, out);
  const auto number = impl_->number_of(from);
  if (number && impl_->lives_[*number].up) impl_->take_signal(*number, std::move(what));
}

void runtime::impl::take_signal(std::uint32_t from, wire::signal what) {
  const std::string word = std::move(what.word);
  kernel::signal in = from_wire(std::move(what), from);
  if (has_message(in.what)) {
    const auto known = word_from_elsewhere(word);
    const bool full = core.queued_bytes() >= settings.queued_bytes_max;
    if (!known || full) {
      ++counted.casts_dropped;
      if (in.what != kernel::signal::kind::call) return;
      kernel::signal refused{.what = kernel::signal::kind::reply, .from = in.to, .to = in.from, .ref = in.ref};
      kernel::put_outcome(refused, fail(errc::overloaded, full ? "what waits in the node's mailboxes holds as much as "
                                                                 "it may; retry later"
                                                               : "the node has met as many words as it may"));
      return transmit(std::move(refused));
    }
    in.word = *known;
  }
  core.receive(now, std::move(in));
}

// ---- names ----

// A call or a cast goes to whoever owns the name, and starts the process there. All else is for the process that runs
// now: it waits until that is known, and so does what comes after it, in order.
void runtime::impl::to_name(kernel::signal what) {
  if (what.to.slot == kernel::no_slot) return;  // of a claim: its answer comes as if from there
  stand_ins::entry* to = stand_ins_.find(what.to);
  if (what.what == kernel::signal::kind::demonitor && to != nullptr) return;  // it ties nothing any more
  const bool unties = what.what == kernel::signal::kind::unlink && what.ref != kernel::no_reference;
  const bool ends = unties || what.what == kernel::signal::kind::link_broke;
  if (to == nullptr || (stand_ins_.full(*to) && !ends)) return lost_.push_back(std::move(what));
  stand_ins_.touch(what.to);
  const bool asks = what.what == kernel::signal::kind::call || what.what == kernel::signal::kind::cast;
  const auto deadline = after(now, std::min(what.timeout, named_call_max));
  if (asks && to->queue.empty()) return pass_on(*to, std::move(what), deadline);
  const kernel::handle stand_in = what.to;
  to->queue.push_back({std::move(what), deadline});
  seek(stand_in, *to);
}

void runtime::impl::seek(kernel::handle stand_in, stand_ins::entry& of) {
  if (of.sought) return;
  of.sought = true;
  out().emplace_back(name_sought{stand_in, of.name});
}

void runtime::impl::pass_on(stand_ins::entry& to, kernel::signal what, time_point deadline) {
  std::string method{core.atoms().text(what.word)};
  if (what.what == kernel::signal::kind::cast) {
    out().emplace_back(cast_sent{to.name, std::move(method), std::move(what.payload)});
    return;
  }
  ++to.calls;
  out().emplace_back(
      name_called{{what.from, what.ref, what.to}, to.name, std::move(method), std::move(what.payload), deadline});
}

void runtime::name_found(time_point now, kernel::handle stand_in, const result<pid>& found, effects& out) {
  const impl::sink into(*impl_, now, out);
  impl_->release_queue(stand_in, found);
}

void runtime::impl::release_queue(kernel::handle stand_in, const result<pid>& found) {
  stand_ins::entry* of = stand_ins_.find(stand_in);
  if (of == nullptr || !of->sought) return;
  of->sought = false;
  const auto who = found ? handle_of(*found) : std::nullopt;
  const bool none = !found && found.error().code == errc::not_found;
  bool known = true;
  while (!of->queue.empty()) {
    auto& next = of->queue.front();
    const bool asks = next.what.what == kernel::signal::kind::call || next.what.what == kernel::signal::kind::cast;
    if (!asks && !known) return seek(stand_in, *of);  // what was asked may have started it, or ended it
    auto taken = std::move(next);
    of->queue.pop_front();
    if (asks) {
      pass_on(*of, std::move(taken.what), taken.deadline);
      known = false;
    } else if (who) {
      core.redirect(now, std::move(taken.what), *who);
    } else if (none) {
      core.refuse(now, std::move(taken.what), {exit_reason::kind::noproc, {}});
    } else {
      core.refuse(now, std::move(taken.what),
                  {exit_reason::kind::noconnection, found ? std::string{} : found.error().context});
    }
  }
}

void runtime::name_answered(time_point now, const asker& by, result<value> answer, effects& out) {
  const impl::sink into(*impl_, now, out);
  if (auto* of = impl_->stand_ins_.find(by.through); of != nullptr) {
    ORRERY_ASSERT(of->calls > 0);
    --of->calls;
    impl_->stand_ins_.touch(by.through);
  }
  impl_->answer_through(by.through, by.who, by.ref, std::move(answer));
}

void runtime::impl::answer_through(kernel::handle stand_in, kernel::handle to, kernel::reference ref,
                                   result<value> answer) {
  kernel::signal back{.what = kernel::signal::kind::reply, .from = stand_in, .to = to, .ref = ref};
  kernel::put_outcome(back, std::move(answer));
  core.receive(now, std::move(back));
}

std::optional<pid> runtime::whereis(const process_name& name) const {
  const auto slot = impl_->find(name);
  if (slot == kernel::no_slot || !impl_->core.alive(impl_->names[slot].who)) return {};
  return impl_->pid_of(impl_->names[slot].who);
}

}  // namespace orrery::process
