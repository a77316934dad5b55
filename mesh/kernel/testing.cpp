#include "mesh/kernel/testing.hpp"

namespace orrery::kernel::testing {

std::string describe(core& of, const message& arrived) {
  const auto payload = [&] { return arrived.payload == value{} ? std::string{} : " " + arrived.payload.json_text(); };
  const auto word = [&] { return std::string{of.atoms().text(arrived.word)}; };
  switch (arrived.what) {
    case message::kind::plain:
      return word() + payload();
    case message::kind::cast:
      return "cast " + word() + payload();
    case message::kind::call:
      return "call " + word() + payload();
    case message::kind::reply: {
      const auto outcome = outcome_of(arrived);
      if (outcome) return "reply" + payload();
      return "failed " + to_string(outcome.error()) + " (" + std::string{to_string(outcome.error().effect)} + ")";
    }
    case message::kind::exit:
      return "exit " + to_string(reason_of(arrived));
    case message::kind::down:
      return "down " + to_string(reason_of(arrived));
    case message::kind::timer:
      return "timer " + word() + payload();
    case message::kind::timeout:
      return "timeout";
    case message::kind::resume:
      return "resume" + payload();
  }
  return "?";
}

handle world::spawn_witness(std::vector<std::string>& into, scripted::on_start start, const spawn_options& how) {
  const auto write_down = [&into, this](context&, message& arrived) { into.push_back(testing::describe(of, arrived)); };
  const auto who = spawn(write_down, std::move(start), how);
  run();
  return who;
}

cluster::cluster(std::size_t nodes, core::options chosen) {
  for (std::size_t i = 0; i < nodes; ++i) {
    worlds_.push_back(std::make_unique<world>(chosen));
    for (std::size_t other = 0; other < nodes; ++other)
      static_cast<void>(worlds_.back()->of.add_node());  // node i is number i + 1 to all
  }
}

handle cluster::seen(std::size_t viewer, std::size_t owner, handle who) const {
  if (viewer != owner) who.node = static_cast<std::uint32_t>(owner + 1);
  return who;
}

void cluster::carry(std::size_t from, std::size_t count) {
  auto& sent = worlds_[from]->sent;
  for (; count > 0 && !sent.empty(); --count) {
    signal next = std::move(sent.front());
    sent.erase(sent.begin());
    auto& to = *worlds_[next.to.node - 1];
    const bool says_errc = next.what == signal::kind::reply;
    if (across) {
      next = across(worlds_[from]->of, to.of, std::move(next));
    } else if (!says_errc) {
      next.word = to.word(worlds_[from]->of.atoms().text(next.word));
    }
    next.to.node = handle::here;
    next.from.node = static_cast<std::uint32_t>(from + 1);
    to.of.receive(to.now, std::move(next));
  }
}

void cluster::run() {
  for (bool busy = true; busy;) {
    busy = false;
    for (std::size_t i = 0; i < worlds_.size(); ++i) {
      worlds_[i]->run();
      busy |= !worlds_[i]->sent.empty();
      carry(i);
    }
  }
}

void cluster::cut(std::size_t a, std::size_t b) {
  const auto lose = [&](std::size_t from, std::size_t to) {
    std::erase_if(worlds_[from]->sent, [&](const signal& each) { return each.to.node == to + 1; });
    worlds_[from]->of.node_down(worlds_[from]->now, static_cast<std::uint32_t>(to + 1));
  };
  lose(a, b);
  lose(b, a);
}

void cluster::mend(std::size_t a, std::size_t b) {
  worlds_[a]->of.node_up(static_cast<std::uint32_t>(b + 1));
  worlds_[b]->of.node_up(static_cast<std::uint32_t>(a + 1));
}

void cluster::pass(duration length) {
  for (auto& each : worlds_)
    each->now += length;
  run();
}

}  // namespace orrery::kernel::testing
