#include "mesh/process/builtin/kinds.hpp"

#include "mesh/process/behaviour.hpp"
#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::HasSubstr;

std::vector<builtin_kind> all_kinds() {
  std::vector<builtin_kind> all;
  for (std::size_t i = 0; i < builtin_names.size(); ++i)
    all.push_back(static_cast<builtin_kind>(i));
  return all;
}

TEST(builtin_behaviours, of_every_name_start_answer_move_and_name_their_methods) {
  for (const auto kind : all_kinds()) {
    world w;
    world other;
    ASSERT_TRUE(w.rt.define(builtin_class(kind)));
    ASSERT_TRUE(other.rt.define(builtin_class(kind)));
    const auto name = std::string{to_string(kind)} + "/a";
    const auto said = w.ask(name, "nonsense");
    EXPECT_THAT(said, HasSubstr("has no method 'nonsense' for a call; it has: ")) << name;
    const auto methods = said.substr(said.find("it has: ") + 8);
    EXPECT_FALSE(methods.empty());
    w.ask(name, methods.substr(0, methods.find(',')));  // whatever it says: it runs now
    w.move(name, other);
    EXPECT_TRUE(other.rt.find(named(name)));
    EXPECT_EQ(w.rt.next_deadline(), never) << name;
  }
}

TEST(builtin_behaviours, of_every_name_know_the_methods_that_they_say_they_have) {
  for (const auto kind : all_kinds()) {
    world w;
    const auto spec = builtin_class(kind);
    ASSERT_TRUE(w.rt.define(spec));
    const auto type = make_builtin_type(kind, spec).value();
    for (const auto which : {message_kind::call, message_kind::cast}) {
      const auto held = type->methods(which);
      EXPECT_FALSE(held.empty());
      std::string before;
      for (std::size_t at = 0; at < held.size();) {
        const auto end = std::min(held.find(", ", at), held.size());
        const auto method = held.substr(at, end - at);
        EXPECT_LT(before, method) << "in order";
        EXPECT_TRUE(type->answers(which, method)) << method;
        EXPECT_TRUE(type->answers(message_kind::call, method)) << "what can be cast can be called: " << method;
        const auto said = w.ask(std::string{to_string(kind)} + "/a", method);
        EXPECT_EQ(said.find("has no method"), std::string::npos) << said;
        before = method;
        at = end + 2;
      }
    }
    EXPECT_EQ(w.rt.find(named(std::string{to_string(kind)} + "/a"))->restarts, 0U);
  }
}

TEST(builtin_behaviours, of_every_name_take_no_options_that_they_do_not_know) {
  for (const auto kind : all_kinds()) {
    EXPECT_TRUE(check_options(kind, {}));
    EXPECT_TRUE(check_options(kind, json("{}")));
    const auto refused = check_options(kind, json(R"({"nonsense":1})"));
    ASSERT_FALSE(refused) << to_string(kind);
    EXPECT_EQ(refused.error().code, errc::invalid_argument);
    EXPECT_THAT(refused.error().context, HasSubstr("behaviour.options takes "));
    EXPECT_THAT(refused.error().context, HasSubstr("not an object with the field 'nonsense'"));
  }
}

TEST(builtin_behaviours, keep_the_options_of_a_class_whose_new_ones_are_refused) {
  world w;
  ASSERT_TRUE(w.rt.define(builtin_class(builtin_kind::limiter, R"({"burst":3})")));
  EXPECT_THAT(w.ask("limiter/a", "get"), HasSubstr(R"("burst":3)"));
  for (const auto* wrong : {R"({"burst":0})", R"({"burst":"3"})", R"({"rate":1e9})", "[]", "5"}) {
    const auto refused = w.rt.define(builtin_class(builtin_kind::limiter, wrong));
    ASSERT_FALSE(refused) << wrong;
    EXPECT_THAT(refused.error().context, HasSubstr("behaviour.options takes {\"rate\": 10"));
  }
  EXPECT_THAT(w.ask("limiter/a", "get"), HasSubstr(R"("burst":3)"));
}

}  // namespace
}  // namespace orrery::process
