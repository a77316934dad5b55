// Classes whose processes run in apps, on nodes that have none for them: placed on those that have.
//
// Each node tells its peers for which classes no app is to be had at it: one that has been away for the class'
// waitForApp, so that an app's restart moves nothing, or that was never there in this life of the node. One that comes
// back counts when it has stayed as long. Where nodes differ for a moment in what they have heard, requests find their
// way as they do where they differ in who is there (see routing.cpp).
//
// That no name runs twice rests on handoff_done, as always: whoever gains names of a class starts none afresh until
// those that may run them have said it, having placed by what the gainer had said last (handoff_done::heard). It says
// too by which words of others they placed (words): where a peer has handed names to one that the gainer takes for a
// node without an app, the gainer hears first that there is one now.
#include "mesh/node/impl.hpp"

#include <algorithm>

namespace orrery::node {

bool core::impl::see_apps() {
  if (!runtime_.apps_came_or_went(now_)) return false;
  auto without = runtime_.unhosted();
  const auto& before = members_.own_unhosted().classes;
  if (without == before) return false;
  const auto tell = [&](const char* type, const auto& some, const auto& others) {
    for (const auto& each : some) {
      if (std::find(others.begin(), others.end(), each) == others.end()) emit(type, {{"class", each.value}});
    }
  };
  tell("class_unhosted", without, before);
  tell("class_hosted", before, without);
  members_.set_unhosted(std::move(without), todo_);
  placement_stale_ = true;
  return true;
}

/// With a peer that knows nothing of this, every class is placed everywhere.
membership::placement core::impl::placement_among(std::vector<node_id> nodes) const {
  membership::placement::by_class unhosted;
  for (const auto& klass : members_.own_unhosted().classes)
    unhosted[klass].push_back(settings_.self);
  for (const auto& peer : members_.live()) {
    if ((peer.features & wire::feature_unhosted) == 0) return membership::placement(std::move(nodes));
    for (const auto& klass : members_.unhosted_of(peer.link).classes)
      unhosted[klass].push_back(peer.node);
  }
  return membership::placement(std::move(nodes), unhosted);
}

void core::impl::classes_placed_anew(const membership::placement& before) {
  const auto live = members_.live();
  std::set<class_name> changed;
  const auto note = [&](const auto& some, const auto& others) {
    for (const auto& [klass, nodes] : some) {
      const auto other = others.find(klass);
      if (other == others.end() || other->second != nodes) changed.insert(klass);
    }
  };
  note(before.restricted(), placement_.restricted());
  note(placement_.restricted(), before.restricted());
  std::set<class_name> elsewhere;
  for (const auto& [klass, nodes] : placement_.restricted()) {
    if (!placement_.takes(settings_.self, klass)) elsewhere.insert(klass);
  }
  runtime_.set_hosted_elsewhere(elsewhere);
  const auto& own = members_.own_unhosted().classes;
  for (const auto& klass : changed) {
    // Whoever has names of it now waits for us. (Those that a peer gains by its own word: see apply(peer_unhosted).)
    const bool no_more_here = before.takes(settings_.self, klass) && !placement_.takes(settings_.self, klass);
    const bool nowhere =
        !placement_.restricted().contains(klass) && std::find(own.begin(), own.end(), klass) != own.end();
    if (no_more_here || nowhere) {
      for (const auto& peer : live)
        moves_.owe_done(peer.link);
    }
    if (!placement_.takes(settings_.self, klass)) continue;
    const bool new_here = !before.takes(settings_.self, klass);
    for (const auto& peer : live) {
      const bool no_more_there = before.takes(peer.node, klass) && !placement_.takes(peer.node, klass);
      if (new_here || no_more_there) takeover_.awaits(now_, peer.link, peer.node, klass, to_be_heard(peer));
    }
  }
}

std::vector<std::uint64_t> core::impl::words_of(const std::vector<node_id>& nodes) const {
  std::vector<std::uint64_t> words;
  for (const auto& node : nodes) {
    const auto peer = members_.find(node);
    words.push_back(peer                     ? members_.unhosted_of(peer->link).number
                    : node == settings_.self ? members_.own_unhosted().number
                                             : 0);
  }
  return words;
}

bool core::impl::waits_for_a_word(const class_name& klass) const {
  if (!takeover_.any_unheard()) return false;
  const auto* spec = runtime_.find_class(klass);
  return spec != nullptr && std::holds_alternative<process::app_hosted>(spec->behaviour);
}

/// A peer that has not handed over yet says that it has no app: by that the placement that counts it in no longer says
/// which names it runs. App and sidecar of a pod that ends are told alike, so an app often goes first.
void core::impl::still_drains_without(link_id link) {
  const auto peer = members_.find(link);
  if (!peer || !takeover_.drains_still(link)) return;
  for (const auto& klass : members_.unhosted_of(link).classes)
    takeover_.awaits(now_, link, peer->node, klass, to_be_heard(*peer));
}

}  // namespace orrery::node
