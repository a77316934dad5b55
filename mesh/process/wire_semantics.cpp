// Makes the kernel's semantics suite send signals between nodes as they travel: as frames.
#include "mesh/kernel/testing.hpp"
#include "mesh/process/signals.hpp"
#include "mesh/wire/messages.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace orrery::process {
namespace {

kernel::signal as_frame(kernel::core& from, kernel::core& to, kernel::signal what) {
  wire::frame_decoder decoder;
  decoder.feed(wire::encode(to_wire(std::move(what), from.atoms())));
  wire::frame frame;
  EXPECT_TRUE(decoder.next(frame).value());
  auto received = std::get<wire::signal>(wire::decode(frame).value());
  const auto word = to.atoms().intern(received.word);
  kernel::signal in = from_wire(std::move(received), 1);
  if (has_message(in.what)) in.word = *word;
  return in;
}

const bool travels = [] {
  kernel::testing::cluster::across = as_frame;
  return true;
}();

TEST(semantics, are_those_of_signals_that_travel_as_frames) {
  ASSERT_TRUE(travels);
  kernel::testing::cluster mesh(2);
  std::vector<std::string> seen;
  const auto near = mesh.node(0).spawn(nullptr);
  const auto far = mesh.node(1).spawn_witness(seen);
  mesh.node(0).as(near, [&](kernel::context& self) { self.send(mesh.seen(0, 1, far), mesh.node(0).word("hello")); });
  mesh.run();
  EXPECT_EQ(seen, std::vector<std::string>{"hello"});
}

}  // namespace
}  // namespace orrery::process
