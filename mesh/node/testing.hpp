#pragma once
// For tests of the core: one node, "b", whose transport and whose peers are the test itself.
#include "mesh/membership/placement.hpp"
#include "mesh/node/node.hpp"
#include "mesh/wire/messages.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace orrery::node::testing {

inline process_name named(std::string key) { return {class_name{"counter"}, process_key{std::move(key)}}; }
inline const time_point start{std::chrono::seconds{50}};

/// Peers have names that begin with "a", so that they dial; peer number N is on connection 2N - 1.
class core_b : public ::testing::Test {
 protected:
  core_b() : b(chosen()) {
    process::class_spec counter;
    counter.name = class_name{"counter"};
    step(classes_changed{{counter}});
  }
  static settings chosen() {
    settings out;
    out.name_space = "ns";
    out.mesh = "demo";
    out.mesh_id = "id";
    out.self = {node_name{"b"}, boot_number{1}};
    out.uid = "uid-b";
    out.address = "10.0.0.2:3601";
    return out;
  }
  void step(event happened) { b.step(now, std::move(happened), done); }
  void receive(const wire::message& message, std::uint64_t connection = 1) {
    wire::frame_decoder decoder;
    decoder.feed(wire::encode(message));
    wire::frame frame;
    ASSERT_TRUE(decoder.next(frame).value());
    step(frame_received{connection_id{connection}, frame});
  }
  void expect(const std::vector<std::string>& names) {
    members_changed seen;
    for (const auto& name : names)
      seen.members.push_back({node_name{name}, "uid-" + name, "10.0.0.9:3601", false});
    step(seen);
  }
  void expect_both() { expect({"a", "b"}); }
  void connect(const std::string& name = "a", std::uint64_t connection = 1, std::uint64_t attempt = 2) {
    step(connection_opened{connection_id{connection}, {"ns", "demo", name}, false});
    receive(wire::hello{.features = features,
                        .mesh_id = "id",
                        .node = {node_name{name}, boot_number{1}},
                        .uid = "uid-" + name,
                        .address = "10.0.0.9:3601",
                        .software = "test",
                        .attempt = attempt},
            connection);
    receive(wire::welcome{}, connection);
  }
  /// b and these peers, all up, everything handed over. Peers count from connection 1, in this order.
  void form(const std::vector<std::string>& peers) {
    std::vector<std::string> all = peers;
    all.emplace_back("b");
    expect(all);
    for (std::size_t i = 0; i < peers.size(); ++i)
      connect(peers[i], 2 * i + 1);
    for (std::size_t i = 0; i < peers.size(); ++i) {
      const auto said = sent<wire::unhosted>(2 * i + 1);
      receive(wire::handoff_done{.heard = said.empty() ? 0 : said.back().number}, 2 * i + 1);
    }
    done.clear();
  }
  /// Time goes by with every peer heard.
  void pass(duration span, const std::vector<std::uint64_t>& connections = {1}) {
    constexpr duration tick = std::chrono::milliseconds{100};
    for (const time_point end = now + span; now < end;) {
      now += tick;
      for (const auto each : connections)
        receive(wire::heartbeat{}, each);
      step(woken{});
    }
  }
  /// A name that `owner` owns among `nodes`, all in their first life.
  static process_name owned_by(const std::string& owner, const std::vector<std::string>& nodes, int skip = 0) {
    std::vector<node_id> ids;
    for (const auto& each : nodes)
      ids.push_back({node_name{each}, boot_number{1}});
    const membership::placement placement(ids);
    for (int i = 0;; ++i) {
      auto name = named("n" + std::to_string(i));
      if (placement.owner(name)->name.value == owner && skip-- == 0) return name;
    }
  }
  template <class Effect>
  std::vector<Effect> all() {
    std::vector<Effect> out;
    for (const auto& each : done) {
      if (const auto* found = std::get_if<Effect>(&each)) out.push_back(*found);
    }
    return out;
  }
  /// What b sent, to one connection or (0) to any.
  template <class Message>
  std::vector<Message> sent(std::uint64_t connection = 0) {
    std::vector<Message> out;
    for (const auto& each : all<transmit>()) {
      if (connection != 0 && each.id.value != connection) continue;
      wire::frame_decoder decoder;
      decoder.feed(each.encoded);
      wire::frame frame;
      EXPECT_TRUE(decoder.next(frame).value());
      auto message = wire::decode(frame).value();
      if (auto* found = std::get_if<Message>(&message)) out.push_back(std::move(*found));
    }
    return out;
  }
  std::string notified(std::string_view type) {
    for (const auto& each : all<notify>()) {
      if (each.type == type) return each.document.json_text();
    }
    return "";
  }

  core b;
  std::uint64_t features = 0;  ///< of peers that connect
  time_point now = start;
  effects done;
};

}  // namespace orrery::node::testing
