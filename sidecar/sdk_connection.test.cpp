// A connection whose carrier writes when the test says so, and a node that only remembers what it was told.
#include "sidecar/sdk_connection.hpp"

#include "mesh/sdk/testing.hpp"

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>

#include <functional>
#include <optional>

namespace orrery::sidecar {
namespace {

using namespace sdk::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class fake_node final : public node_access {
 public:
  void deliver(node::event happened) override {
    const auto* said = std::get_if<node::from_app>(&happened);
    ASSERT_NE(said, nullptr);
    if (const auto* left = std::get_if<process::client_written>(&said->said)) {
      written += left->bytes;
      ++reports;
      if (on_report) on_report();
    }
    if (std::holds_alternative<process::app_gone>(said->said)) ++gone;
  }
  node::request_id ask(node::operation, answer_handler told) override {
    asked.push_back(std::move(told));
    return node::request_id{asked.size()};
  }
  void abandon(node::request_id id) override { abandoned.push_back(id.value); }
  void cancel(node::request_id) override {}
  [[nodiscard]] bool waits(node::request_id) const override { return true; }

  std::size_t written = 0;
  int reports = 0;
  int gone = 0;
  std::function<void()> on_report;
  std::vector<answer_handler> asked;
  std::vector<std::uint64_t> abandoned;
};

class fake_carrier final : public sdk_connection {
 public:
  using sdk_connection::lost;
  explicit fake_carrier(sdk_place at) : sdk_connection(std::move(at)) {}

  void begin_read() override { ++reads; }
  void begin_write() override {
    ASSERT_FALSE(under_way) << "two writes at once";
    ASSERT_FALSE(to_write().empty());
    under_way = true;
  }
  void begin_farewell(errc why) override { farewell = why; }
  void close_socket() override { closed = true; }

  /// What is left of the first frame leaves.
  void leave() {
    ASSERT_TRUE(under_way);
    leave_some(to_write().first().size());
  }
  void leave_some(std::size_t count) {
    ASSERT_TRUE(under_way);
    const auto rest = to_write().first();
    ASSERT_LE(count, rest.size());
    part.insert(part.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(count));
    if (count == rest.size()) sent.push_back(document_of(std::exchange(part, {})));
    under_way = false;
    has_written(count);
  }
  void leave_all() {
    while (under_way)
      leave();
  }
  void say(const json& document) {
    const auto frame = frame_of(document);
    has_read([&](sdk::session& to, time_point now, sdk::outputs&) { to.received(now, frame); });
  }

  std::vector<json> sent;
  bytes part;
  int reads = 0;
  bool under_way = false;
  bool closed = false;
  std::optional<errc> farewell;
};

class sdk_connection_of : public ::testing::Test, protected sdk_owner {
 protected:
  void SetUp() override {
    of->start();
    of->say({{"type", "hello"}, {"version", 1}});
    of->say({{"type", "open"}, {"id", 1}, {"process", 1}, {"credit", 1000}});
    of->leave_all();
    of->sent.clear();
  }
  void closing(process::app_id) override { ++closings; }
  void ended_it(const error& why) override { ended.push_back(to_string(why)); }
  void bound_unwritten() override { ++bounded; }
  sdk_turns& turns() override { return *line; }

  /// The node tells it a message of so many bytes, and counts it as the node would.
  void tell(int number, std::size_t size = 10) {
    process::client_message message{.app = me, .process = process::client_process_id{1}};
    message.word = std::to_string(number);
    const auto made = value::from_json('"' + std::string(size, 'x') + '"');
    ASSERT_TRUE(made);
    message.argument = *made;
    message.weight = process::bytes_of(message);
    told += message.weight;
    of->told(message);
  }
  [[nodiscard]] std::vector<std::string> words() const {
    std::vector<std::string> all;
    for (const auto& each : of->sent)
      all.push_back(each.at(each.at("type") == "message" ? "word" : "type").get<std::string>());
    return all;
  }

  void pass(std::chrono::seconds span) {
    for (int i = 0; i < span.count() && !of->closed; ++i) {
      now += std::chrono::seconds{1};
      of->tick();
    }
  }

  static constexpr std::size_t much = 100'000;  ///< more than is reported at once

  std::chrono::steady_clock::time_point now{std::chrono::hours{1}};
  process::app_id me{7};
  boost::asio::io_context io;
  std::shared_ptr<sdk_turns> line = std::make_shared<sdk_turns>(io, [this] { return now; });
  fake_node node;
  metrics counted;
  std::shared_ptr<fake_carrier> of =
      std::make_shared<fake_carrier>(sdk_place{*this, node, counted, sdk::greeting{}, me, [this] { return now; }});
  std::size_t told = 0;
  int closings = 0;
  int bounded = 0;
  std::vector<std::string> ended;
};

TEST_F(sdk_connection_of, tells_the_node_of_all_bytes_that_left_while_more_came) {
  for (int i = 0; i < 50; ++i) {
    tell(i, much);
    tell(i, much);  // behind the one that is being written
    of->leave();
  }
  of->leave_all();
  EXPECT_EQ(node.written, told);
  EXPECT_EQ(of->sent.size(), 100U);
}

TEST_F(sdk_connection_of, tells_the_node_of_a_large_message_in_parts_as_it_leaves) {
  tell(1, 10 * much);
  for (int i = 1; i <= 9; ++i) {
    of->leave_some(much);
    EXPECT_EQ(node.written, i * much);
  }
  of->leave();
  EXPECT_EQ(node.written, told);
  EXPECT_EQ(of->sent.size(), 1U);
}

TEST_F(sdk_connection_of, does_not_tell_the_node_of_each_little_message) {
  for (int i = 0; i < 2000; ++i) {
    tell(i);
    of->leave();
  }
  EXPECT_LT(told - node.written, sdk_connection::reported_at);
  EXPECT_LE(static_cast<std::size_t>(node.reports), told / sdk_connection::reported_at);
}

TEST_F(sdk_connection_of, takes_what_follows_from_its_own_report) {
  // Room that a report opens is used from within it: the node tells the next message before the report returns.
  int next = 0;
  node.on_report = [&] {
    if (next < 20) tell(next++, much);
  };
  tell(next++, much);
  of->leave_all();
  EXPECT_EQ(of->sent.size(), 20U);
  EXPECT_EQ(of->sent.back().at("word"), "19");
  EXPECT_EQ(node.written, told);
}

TEST_F(sdk_connection_of, may_be_ended_by_what_follows_from_its_own_report) {
  node.on_report = [&] { of->give_up({errc::overloaded, "it is the worst of all"}); };
  tell(1, much);
  tell(2, much);
  of->leave();
  EXPECT_TRUE(of->closed);
  EXPECT_EQ(closings, 1);
  EXPECT_EQ(node.gone, 1);
  EXPECT_THAT(ended, ElementsAre(HasSubstr("the worst of all")));
  tell(3);      // nobody hears it
  of->leave();  // what was under way
  EXPECT_FALSE(of->under_way);
  EXPECT_EQ(node.reports, 1);
}

TEST_F(sdk_connection_of, says_goodbye_behind_all_that_waits_and_closes_when_that_is_out) {
  tell(1);
  tell(2);
  of->end({errc::draining, "the pod ends"});
  tell(3);  // too late
  of->leave();
  of->leave();
  EXPECT_FALSE(of->farewell);
  of->leave();
  EXPECT_EQ(of->farewell, errc::draining);
  EXPECT_THAT(words(), ElementsAre("1", "2", "goodbye"));
  EXPECT_FALSE(of->under_way);
  EXPECT_EQ(node.gone, 1);
}

TEST_F(sdk_connection_of, says_goodbye_at_once_where_nothing_waits) {
  of->say({{"type", "nonsense"}, {"id", "seven"}});
  ASSERT_TRUE(of->under_way);
  EXPECT_FALSE(of->farewell);
  of->leave();
  EXPECT_THAT(words(), ElementsAre("goodbye"));
  EXPECT_EQ(of->farewell, errc::protocol);
  EXPECT_EQ(ended.size(), 1U);
}

TEST_F(sdk_connection_of, reads_no_more_while_much_waits_and_goes_on_when_it_has_left) {
  const auto before = of->reads;
  for (int i = 0; i <= 45; ++i)
    tell(i, much);
  ASSERT_GT(of->unwritten(), sdk_connection::unread_max);
  of->say({{"type", "call"}, {"id", 2}, {"class", "cart"}, {"key", "k"}, {"method", "get"}});
  EXPECT_EQ(of->reads, before);
  EXPECT_THAT(node.asked, IsEmpty());
  of->leave_all();
  EXPECT_EQ(of->reads, before + 1);
  EXPECT_EQ(node.asked.size(), 1U);
}

TEST_F(sdk_connection_of, is_looked_at_among_others_once_much_waits) {
  tell(1, sdk_connection::watched_from / 2);
  EXPECT_EQ(bounded, 0);
  tell(2, sdk_connection::watched_from);
  EXPECT_EQ(bounded, 1);
}

TEST_F(sdk_connection_of, ends_where_more_waits_than_may) {
  for (std::size_t i = 0; i <= sdk_connection::unwritten_max / 1'000'000; ++i)
    tell(static_cast<int>(i), 1'000'000);
  EXPECT_TRUE(of->closed);
  EXPECT_THAT(ended, ElementsAre(HasSubstr("bytes wait for it to read")));
  EXPECT_EQ(closings, 1);
  EXPECT_EQ(node.gone, 1);
}

TEST_F(sdk_connection_of, ends_where_nothing_of_what_is_written_is_taken_for_long) {
  tell(1, much);
  pass(sdk_connection::stall_max - std::chrono::seconds{1});
  EXPECT_FALSE(of->closed);
  of->leave_some(1);
  pass(sdk_connection::stall_max - std::chrono::seconds{1});
  EXPECT_FALSE(of->closed) << "nor is it silent: it takes what is sent";
  pass(std::chrono::seconds{2});
  EXPECT_TRUE(of->closed);
  EXPECT_THAT(ended, ElementsAre(HasSubstr("nothing was taken of what is sent to it for 30 s")));
}

TEST_F(sdk_connection_of, ends_where_the_client_is_silent) {
  for (int i = 0; i < 3 * sdk::session::keepalive / std::chrono::seconds{1} && !of->farewell; ++i) {
    pass(std::chrono::seconds{1});
    of->leave_all();  // pings, and it answers none
  }
  EXPECT_EQ(words().back(), "goodbye");
  EXPECT_TRUE(of->farewell);
}

TEST_F(sdk_connection_of, closes_in_the_end_where_the_other_side_does_not) {
  of->end({errc::draining, "the pod ends"});
  of->leave();
  EXPECT_EQ(of->farewell, errc::draining);
  EXPECT_FALSE(of->closed);
  pass(sdk_connection::farewell_max);
  EXPECT_TRUE(of->closed);
  EXPECT_EQ(closings, 1);
}

TEST_F(sdk_connection_of, is_ended_with_a_goodbye_where_others_wait_for_it_to_read) {
  tell(1);
  of->told(process::client_too_slow{me, "others wait"});
  EXPECT_EQ(node.gone, 1) << "the node need not wait for what is on its way";
  of->leave_all();
  EXPECT_THAT(words(), ElementsAre("1", "goodbye"));
  EXPECT_EQ(of->sent.back().at("code"), "overloaded");
  EXPECT_EQ(of->farewell, errc::overloaded);
  EXPECT_EQ(ended.size(), 1U);
}

TEST_F(sdk_connection_of, that_is_lost_wants_no_answers_and_takes_none) {
  of->say({{"type", "call"}, {"id", 2}, {"class", "cart"}, {"key", "k"}, {"method", "get"}});
  ASSERT_EQ(node.asked.size(), 1U);
  of->lost("closed by the client");
  of->lost("the write, too");
  EXPECT_EQ(closings, 1);
  EXPECT_EQ(node.gone, 1);
  EXPECT_THAT(node.abandoned, ElementsAre(1U));
  node.asked[0](value{});  // was on its way
  EXPECT_FALSE(of->under_way);
  EXPECT_EQ(of->unwritten(), 0U);
  EXPECT_THAT(ended, IsEmpty());
}

}  // namespace
}  // namespace orrery::sidecar
