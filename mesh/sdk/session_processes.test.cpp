// Client processes on a connection: what of them the node hears, and what it tells them.
#include "mesh/sdk/session.hpp"
#include "mesh/sdk/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::sdk {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct processes : ::testing::Test {
  processes() {
    say({{"type", "hello"}, {"version", 1}});
    out.clear();
  }
  void say(const json& document) { receive(of, now, frame_of(document), out); }
  std::vector<json> heard() {
    std::vector<json> all;
    for (const auto& each : out) {
      if (const auto* sent = std::get_if<send>(&each)) all.push_back(document_of(sent->frame));
    }
    std::erase_if(out, [](const output& each) { return std::holds_alternative<send>(each); });
    return all;
  }
  template <class Event>
  Event told_node() {
    Event found{};
    const auto count = std::erase_if(out, [&](output& each) {
      auto* told = std::get_if<tell_node>(&each);
      auto* one = told == nullptr ? nullptr : std::get_if<Event>(&told->what);
      if (one != nullptr) found = std::move(*one);
      return one != nullptr;
    });
    EXPECT_EQ(count, 1U);
    return found;
  }
  template <class Deed>
  Deed act(json document) {
    document["id"] = ++ids;
    document["process"] = 3;
    say(document);
    auto told = told_node<process::client_act>();
    EXPECT_EQ(told.client.value, 9U);
    EXPECT_EQ(told.process.value, 3U);
    request = told.request;
    auto* one = std::get_if<Deed>(&told.what);
    EXPECT_NE(one, nullptr) << document;
    return one == nullptr ? Deed{} : std::move(*one);
  }
  std::string refused(json document) {
    document["id"] = ++ids;
    say(document);
    const auto all = heard();
    EXPECT_EQ(all.size(), 1U);
    EXPECT_THAT(out, IsEmpty());
    return all.empty() ? ""
                       : all[0].at("error").at("code").get<std::string>() + " " +
                             all[0].at("error").at("text").get<std::string>();
  }
  void answer(const result<value>& with) { of.told(process::client_answer{process::app_id{9}, request, with}, out); }

  time_point now{100s};
  session of{{"0.1", "demo-1", "demo"}, process::app_id{9}, now};
  outputs out;
  int ids = 0;
  process::client_request request{};
};

value number(int n) { return value::from_document(n).value(); }

TEST_F(processes, are_opened_and_answered_by_number) {
  EXPECT_EQ(act<process::client_open>({{"type", "open"}, {"credit", 7}}).credit, 7U);
  answer(value::from_document({{"pid", "p"}}).value());
  EXPECT_THAT(heard(), ElementsAre(json{{"type", "result"}, {"id", 1}, {"ok", {{"pid", "p"}}}}));
}

TEST_F(processes, do_what_their_client_says) {
  const auto call = act<process::client_calls>(
      {{"type", "call"}, {"to", "a/b"}, {"method", "m"}, {"argument", 1}, {"timeoutMs", 250}});
  EXPECT_EQ(call.to + call.method, "a/bm");
  EXPECT_EQ(call.argument, number(1));
  EXPECT_EQ(call.timeout, 250ms);
  EXPECT_FALSE(act<process::client_calls>({{"type", "call"}, {"to", "a/b"}, {"method", "m"}}).timeout);
  EXPECT_EQ(act<process::client_casts>({{"type", "cast"}, {"to", "p"}, {"method", "m"}}).to, "p");
  EXPECT_EQ(act<process::client_sends>({{"type", "send"}, {"to", "p"}, {"word", "w"}}).word, "w");
  const auto spawned = act<process::client_spawns>({{"type", "spawn"}, {"class", "c"}, {"link", true}});
  EXPECT_TRUE(spawned.klass.value == "c" && spawned.link && !spawned.monitor);
  EXPECT_EQ(act<process::client_monitors>({{"type", "monitor"}, {"to", "a/b"}}).to, "a/b");
  EXPECT_EQ(act<process::client_demonitors>({{"type", "demonitor"}, {"monitor", 4}}).monitor, 4U);
  EXPECT_TRUE(act<process::client_links>({{"type", "link"}, {"to", "a/b"}}).on);
  EXPECT_FALSE(act<process::client_links>({{"type", "unlink"}, {"to", "a/b"}}).on);
  const auto signal = act<process::client_exits>({{"type", "exit"}, {"to", "a/b"}, {"reason", {{"kind", "kill"}}}});
  EXPECT_EQ(signal.why.why, kernel::exit_reason::kind::kill);
  EXPECT_EQ(act<process::client_groups>({{"type", "watch"}, {"group", "g"}}).what, process::client_groups::kind::watch);
  EXPECT_EQ(act<process::client_publishes>({{"type", "publish"}, {"group", "g"}, {"word", "w"}}).group, "g");
  const auto claim = act<process::client_claims>({{"type", "claim"}, {"key", "k"}, {"in", "node_unique"}});
  EXPECT_EQ(claim.in, process::key_space::node_unique);
  EXPECT_EQ(act<process::client_updates>({{"type", "update"}, {"key", "k"}, {"value", 1}}).held, number(1));
  EXPECT_EQ(act<process::client_releases>({{"type", "release"}, {"key", "k"}}).in, process::key_space::mesh_unique);
  const auto close =
      act<process::client_close>({{"type", "close"}, {"reason", {{"kind", "error"}, {"text", "failed"}}}});
  EXPECT_EQ(to_string(close.why), "error: failed");
}

TEST_F(processes, end_with_a_reason_that_is_cut_where_it_is_too_long) {
  std::string text;
  while (text.size() < 2000)
    text += "\u00e9";
  const auto closed = act<process::client_close>({{"type", "close"}, {"reason", {{"kind", "error"}, {"text", text}}}});
  EXPECT_EQ(closed.why.why, kernel::exit_reason::kind::error);
  EXPECT_THAT(closed.why.detail,
              ::testing::AllOf(::testing::StartsWith("\u00e9\u00e9"), ::testing::EndsWith("\u2026")));
  EXPECT_LE(closed.why.detail.size(), 1024U);
}

TEST_F(processes, are_not_needed_to_call_by_name_to_publish_or_to_look) {
  say({{"type", "publish"}, {"id", 1}, {"group", "g"}, {"word", "w"}});
  EXPECT_TRUE(std::holds_alternative<node::publish_op>(std::get<ask>(out.at(0)).what));
  say({{"type", "start"}, {"id", 2}, {"class", "a"}, {"key", "b"}});
  EXPECT_TRUE(std::holds_alternative<node::start_op>(std::get<ask>(out.at(1)).what));
  say({{"type", "registry"}, {"id", 3}, {"prefix", "p"}});
  EXPECT_EQ(std::get<node::list_registry_op>(std::get<ask>(out.at(2)).what).prefix, "p");
  out.clear();
  say({{"type", "lookup"}, {"id", 4}, {"key", "k"}});
  EXPECT_EQ(told_node<process::client_looks_up>().key, "k");
}

TEST_F(processes, are_told_messages_and_their_end) {
  using kind = process::client_message::kind;
  const process::app_id me{9};
  const process::client_process_id three{3};
  of.told(process::client_message{me, three, kind::plain, "said", number(1), "p", 0, {}}, out);
  of.told(process::client_message{me, three, kind::cast, "note", number(2), "", 0, {}}, out);
  of.told(process::client_message{me, three, kind::down, "", {}, "p", 5, {kernel::exit_reason::kind::noproc, {}}}, out);
  of.told(process::client_message{me, three, kind::exit, "", {}, "p", 0, {kernel::exit_reason::kind::error, "boom"}},
          out);
  of.told(process::client_ended{me, three, {kernel::exit_reason::kind::killed, {}}}, out);
  EXPECT_THAT(
      heard(),
      ElementsAre(
          json{
              {"type", "message"}, {"process", 3}, {"kind", "plain"}, {"word", "said"}, {"argument", 1}, {"from", "p"}},
          json{{"type", "message"}, {"process", 3}, {"kind", "cast"}, {"method", "note"}, {"argument", 2}},
          json{{"type", "message"},
               {"process", 3},
               {"kind", "down"},
               {"monitor", 5},
               {"from", "p"},
               {"reason", {{"kind", "noproc"}, {"text", ""}}}},
          json{{"type", "message"},
               {"process", 3},
               {"kind", "exit"},
               {"from", "p"},
               {"reason", {{"kind", "error"}, {"text", "boom"}}}},
          json{{"type", "ended"}, {"process", 3}, {"reason", {{"kind", "killed"}, {"text", ""}}}}));
}

TEST_F(processes, get_credit_without_a_request) {
  say({{"type", "credit"}, {"process", 3}, {"add", 10}});
  const auto told = told_node<process::client_credit>();
  EXPECT_EQ(told.process.value, 3U);
  EXPECT_EQ(told.add, 10U);
}

TEST_F(processes, tell_the_node_which_act_is_cancelled) {
  (void)act<process::client_calls>({{"type", "call"}, {"to", "a/b"}, {"method", "m"}});
  say({{"type", "cancel"}, {"id", ids}});
  EXPECT_EQ(told_node<process::client_cancels>().request, request);
  EXPECT_THAT(heard(), IsEmpty());
  answer(fail(errc::cancelled, "cancelled by the client"));
  EXPECT_EQ(heard().at(0).at("error").at("code"), "cancelled");
  say({{"type", "cancel"}, {"id", ids}});
  EXPECT_THAT(out, IsEmpty());
}

TEST_F(processes, make_their_connection_known_to_the_node_which_hears_of_its_end) {
  (void)act<process::client_open>({{"type", "open"}, {"credit", 7}});
  of.closed("reset", out);
  EXPECT_EQ(told_node<process::app_gone>().why, "reset");
}

TEST_F(processes, are_refused_what_makes_no_sense_with_what_is_taken) {
  EXPECT_THAT(refused({{"type", "open"}, {"credit", 1}}), HasSubstr("open: field 'process' is missing"));
  EXPECT_THAT(refused({{"type", "open"}, {"process", 1}}), HasSubstr("field 'credit' is missing"));
  EXPECT_THAT(refused({{"type", "monitor"}, {"process", 1}}), HasSubstr("field 'to' is missing"));
  EXPECT_THAT(refused({{"type", "claim"}, {"process", 1}, {"key", "k"}, {"in", "here"}}),
              HasSubstr("must be mesh_unique, mesh_duplicate, node_unique or node_duplicate, not 'here'"));
  EXPECT_THAT(refused({{"type", "exit"}, {"process", 1}, {"to", "p"}}), HasSubstr("field 'reason' is missing"));
  EXPECT_THAT(refused({{"type", "exit"}, {"process", 1}, {"to", "p"}, {"reason", {{"kind", "boom"}}}}),
              HasSubstr("must be one of normal, shutdown, error, kill, not 'boom'"));
  EXPECT_THAT(refused({{"type", "close"}, {"process", 1}, {"reason", {{"kind", "kill"}}}}),
              HasSubstr("must be one of normal, shutdown, error, not 'kill'"));
  EXPECT_THAT(refused({{"type", "spawn"}, {"process", 1}, {"class", "Not One"}}), HasSubstr("is no class name"));
  EXPECT_THAT(refused({{"type", "join"}, {"process", 1}, {"group", std::string(300, 'g')}}),
              HasSubstr("field 'group'"));
  EXPECT_THAT(refused({{"type", "call"}, {"to", "a/b"}, {"method", "m"}}), HasSubstr("field 'class' is missing"));
  EXPECT_THAT(refused({{"type", "dance"}}), HasSubstr("open, close, send, spawn"));
}

}  // namespace
}  // namespace orrery::sdk
