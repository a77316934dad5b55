#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Each row: a body that would hurt the node, and the limit that ends it. Afterwards the process is back, its sibling
/// never noticed, and the class works.
struct abuse {
  const char* name;
  const char* body;
  const char* limit;
};
void PrintTo(const abuse& row, std::ostream* out) { *out << row.name; }

constexpr const char* instructions = "instructions in one callback";
constexpr const char* memory = "bytes allocated in one callback";
constexpr const char* keys = "a table of more than 32768 keys beside its sequence";

class lua_limit : public ::testing::TestWithParam<abuse> {};

TEST_P(lua_limit, ends_that_process_alone_with_the_line) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(std::string{"return { call = {\n"
                                                "add = function(s) s.n = (s.n or 0) + 1 return s.n end,\n"
                                                "hurt = function(state, argument) "} +
                                    GetParam().body + "\nend } }")));
  EXPECT_EQ(w.ask("lua/sibling", "add"), "1");
  EXPECT_EQ(w.ask("lua/victim", "add"), "1");
  const auto reply = w.call("lua/victim", "hurt");
  ASSERT_FALSE(reply) << reply->json_text();
  EXPECT_EQ(reply.error().code, errc::limit_exceeded);
  EXPECT_EQ(reply.error().effect, took_effect::unknown);
  EXPECT_THAT(reply.error().context, AllOf(HasSubstr("lua/victim exited, limit: line "), HasSubstr(GetParam().limit)));
  EXPECT_EQ(w.rt.find(named("lua/victim"))->last->reason.why, exit_reason::kind::limit);
  EXPECT_EQ(w.ask("lua/victim", "add"), "1");
  EXPECT_EQ(w.ask("lua/sibling", "add"), "2");
  EXPECT_TRUE(w.escalations.empty());
}

constexpr abuse abuses[] = {
    {"endless_loop", "while true do end", instructions},
    {"endless_goto", "::again:: goto again", instructions},
    {"loop_in_pcall", "while true do pcall(function() while true do end end) end", instructions},
    {"loop_in_nested_pcall", "local function f() while true do pcall(f) end end f()", instructions},
    {"loop_in_xpcall_handler", "xpcall(error, function() while true do end end)", instructions},
    {"loop_after_caught_limit", "pcall(function() while true do end end) while true do end", instructions},
    {"loop_in_metamethod", "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
     instructions},
    {"loop_in_close", "local x <close> = setmetatable({}, { __close = function() while true do end end })",
     instructions},
    {"loop_in_close_after_limit",
     "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
     instructions},
    {"loop_in_tostring_of_error",
     "error(setmetatable({}, { __tostring = function() while true do end end })) while true do end", nullptr},
    {"loop_in_sort_comparison", "table.sort({ 1, 2, 3 }, function() while true do end end)", instructions},
    {"loop_in_gsub_function", "('aaa'):gsub('a', function() while true do end end)", instructions},
    {"pairs_of_a_long_sequence", "local t = {} for i = 1, 20000 do t[i] = i end for i = 1, 20000 do pairs(t) end",
     instructions},
    {"deep_recursion", "local function f() return 1 + f() end return f()", memory},
    {"deep_recursion_in_pcall", "local function f() return 1 + f() end while true do pcall(f) end", memory},
    {"endless_tail_call", "local function f() return f() end return f()", instructions},
    {"table_bomb", "local t = {} for i = 1, 1e9 do t[i] = { i } end", memory},
    {"table_bomb_in_pcall", "while true do pcall(function() local t = {} for i = 1, 1e9 do t[i] = { i } end end) end",
     memory},
    {"string_doubling", "local s = 'x' while true do s = s .. s end", memory},
    {"closure_bomb", "local t = {} for i = 1, 1e9 do t[#t + 1] = function() return i end end", memory},
    {"huge_rep", "return string.rep('x', 1e12 // 1 | 0)", memory},
    {"huge_rep_of_separators", "return string.rep('', 1 << 40, 'xx')", memory},
    {"rep_in_pcall", "while true do pcall(string.rep, 'x', 1 << 40) end", memory},
    {"repeated_rep", "while true do local s = string.rep('x', 100000) end", memory},
    {"hostile_pattern", "return (('a'):rep(40)):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')", instructions},
    {"polynomial_pattern", "return (('a'):rep(5000)):match('.-.-.-.-b')", instructions},
    {"polynomial_gsub", "return (('a'):rep(20000)):gsub('a-b', '')", instructions},
    {"polynomial_gmatch", "for w in (('a'):rep(20000)):gmatch('a-b') do end", instructions},
    {"arithmetic_on_long_texts", "local s = (' '):rep(2000000) .. '1' for i = 1, 50 do local x = s + 1 end",
     instructions},
    {"math_of_long_texts", "local s = ('0'):rep(2000000) .. '1' for i = 1, 50 do local x = math.tointeger(s) end",
     instructions},
    {"quadratic_plain_find",
     "local h, n = ('a'):rep(300000), ('a'):rep(100000) .. 'b' while true do h:find(n, 1, true) end", instructions},
    {"huge_concat_range", "return table.concat({}, '', 1, 1 << 60) .. table.unpack({}, 1, 1 << 60)", nullptr},
    {"huge_unpack", "return table.unpack({}, 1, 1 << 60)", instructions},
    {"extra_arguments_handed_on_again_and_again",
     "local t = {} for i = 1, 60000 do t[i] = i end local function f(...) for i = 1, 100000 do select('#', ...) end "
     "end "
     "f(table.unpack(t))",
     instructions},
    {"huge_move", "return table.move({}, 1, 1 << 60, 2)", instructions},
    {"repeated_insert_at_front", "local t = {} while true do table.insert(t, 1, 0) end", instructions},
    {"repeated_concat", "local t = {} for i = 1, 10000 do t[i] = '' end while true do table.concat(t) end",
     instructions},
    {"repeated_sort", "local t = {} for i = 1, 10000 do t[i] = i end while true do table.sort(t) end", instructions},
    {"repeated_pairs", "local t = {} for i = 1, 10000 do t['k' .. i] = i end while true do pairs(t) end", memory},
    {"too_many_keys", "local t = {} for i = 1, 40000 do t[i * 3] = i end", keys},
    {"too_many_keys_in_pcall",
     "while true do pcall(function() local t = {} for i = 1, 40000 do t['k' .. i] = i end end) end", keys},
    {"colliding_keys", "local t = {} for i = 1, 66000 do t[i * 131071] = i end", keys},
    {"repeated_next", "local t = {} for i = 1, 10000 do t[i] = i end while true do next(t, 5000) end", instructions},
    {"comparing_long_strings",
     "local a, b = ('x'):rep(1000000) .. 'a', ('x'):rep(1000000) .. 'a' while true do local _ = a == b end",
     instructions},
    {"repeated_tonumber", "local s = (' '):rep(500000) while true do tonumber(s) end", instructions},
    {"repeated_utf8_len", "local s = ('x'):rep(500000) while true do utf8.len(s) end", instructions},
    {"repeated_upper", "local s = ('x'):rep(500000) while true do s:upper() end", memory},
    {"repeated_byte", "local s = ('x'):rep(5000) while true do local _ = s:byte(1, -1) end", instructions},
    {"cast_flood", "while true do orrery.cast('a/b', 'm') end", instructions},
    {"cast_bytes", "local s = ('x'):rep(500000) while true do orrery.cast('a/b', 'm', s) end", memory},
    {"errors_deep_in_the_stack",
     "local function g(n) if n > 0 then return 1 + g(n - 1) end while true do pcall(error) end end g(40000)",
     instructions},
    {"caught_refusals", "while true do pcall(orrery.call, 'none/x', 'f') end", instructions},
    {"calls_in_pcalls", "while true do pcall(orrery.call, 'lua/sibling', 'nothing') end", instructions},
    {"send_flood", "while true do orrery.send('lua/sibling', 'x') end", instructions},
    {"word_flood", "local i = 0 while true do i = i + 1 orrery.send('lua/sibling', 'w' .. i) end", instructions},
    {"ask_flood", "while true do orrery.ask('lua/sibling', 'add') end", nullptr},
    {"link_flood", "while true do orrery.link('lua/victim') end", instructions},
    {"spawn_flood", "while true do orrery.spawn('lua') end", instructions},
    {"continue_bytes", "local s = ('x'):rep(500000) while true do orrery.continue(s) end", nullptr},
    {"table_with_len", "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 0)", nullptr},
};

INSTANTIATE_TEST_SUITE_P(each, lua_limit, ::testing::ValuesIn([] {
                           std::vector<abuse> rows;
                           for (const auto& row : abuses) {
                             if (row.limit != nullptr) rows.push_back(row);
                           }
                           return rows;
                         }()),
                         [](const auto& row) { return std::string{row.param.name}; });

TEST(lua_limits, abuses_that_are_plain_errors_end_as_such) {
  for (const auto& row : abuses) {
    if (row.limit != nullptr) continue;
    world w;
    ASSERT_TRUE(w.rt.define(lua_class(std::string{"return { call = { f = function() "} + row.body + " end } }")));
    EXPECT_EQ(w.call("lua/a", "f").error().code, errc::process_exited) << row.name;
  }
}

TEST(lua_limits, long_work_ends_a_run_before_its_number_of_messages) {
  world w;
  ASSERT_TRUE(
      w.rt.define(lua_class("return { cast = { long = function() for i = 1, 400000 do local _ = i end end,\n"
                            "short = function() end } }")));
  const auto handled_in_a_run = [&](const char* method) {
    for (int i = 0; i < 100; ++i)
      (void)w.rt.cast(w.now, named("lua/" + std::to_string(i)), method, {}, w.out);
    const auto before = w.rt.counted().casts_handled;
    w.rt.run(w.now, 256, w.out);
    const auto handled = w.rt.counted().casts_handled - before;
    while (w.rt.run(w.now, 256, w.out)) {
    }
    return handled;
  };
  EXPECT_EQ(handled_in_a_run("short"), 100U);
  EXPECT_GE(handled_in_a_run("long"), 1U);
  EXPECT_LE(handled_in_a_run("long"), 4U);
  EXPECT_EQ(w.rt.counted().casts_handled, 300U);
}

TEST(lua_limits, of_the_class_are_the_ones_that_count) {
  world w;
  auto spec = lua_class("return { call = { f = function(s, n) for i = 1, n do end return n end } }");
  spec.limits.instructions_max = 50'000;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "f", "40000"), "40000");
  EXPECT_THAT(w.ask("lua/a", "f", "60000"), HasSubstr("more than 50000 instructions"));
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(w.ask("lua/a", "f", "40000"), "40000") << "each callback has the whole allowance";
  spec.version = 2;
  spec.limits.instructions_max = 100'000;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "f", "60000"), "60000");
}

TEST(lua_limits, memory_counts_what_one_callback_allocates_and_not_what_the_class_holds) {
  world w;
  auto spec = lua_class("return { call = { fill = function(s, n) s.text = string.rep('x', n) return #s.text end } }");
  spec.limits.memory_bytes_max = 1U << 20U;
  ASSERT_TRUE(w.rt.define(spec));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(w.ask("lua/" + std::to_string(i), "fill", "300000"), "300000");
  EXPECT_THAT(w.ask("lua/big", "fill", "2000000"), HasSubstr("more than 1048576 bytes allocated"));
}

TEST(lua_limits, of_one_process_do_not_depend_on_how_many_siblings_it_has) {
  world w;
  auto spec =
      lua_class("return { init = function(key) return { key } end, call = { f = function(s) return s[1] end } }");
  spec.limits.memory_bytes_max = 8U << 10U;  // far less than the class' own tables grow by at once
  ASSERT_TRUE(w.rt.define(spec));
  for (int i = 0; i < 20'000; ++i) {
    const auto name = "lua/the-key-" + std::to_string(i);
    ASSERT_TRUE(w.call(name, "f")) << name;
  }
  spec.version = 2;
  spec.limits.memory_bytes_max = 9U << 10U;
  EXPECT_TRUE(w.rt.define(spec));
}

TEST(lua_limits, a_state_over_its_limit_is_an_exit_that_names_the_method) {
  world w;
  auto spec = lua_class(
      "return { call = { grow = function(s) s[#s + 1] = string.rep('x', 100) return #s end,\n"
      "share = function(s) local big = string.rep('x', 900) for i = 1, 1000 do s[i] = big end return 1 end,\n"
      "laugh = function(s) local t = {} for i = 1, 60 do t = { t, t } end s.t = t return 1 end } }");
  spec.limits.state_bytes_max = 10'000;
  ASSERT_TRUE(w.rt.define(spec));
  int grown = 0;
  while (w.call("lua/a", "grow"))
    ASSERT_LT(++grown, 200);
  EXPECT_GT(grown, 90);
  EXPECT_EQ(w.rt.find(named("lua/a"))->last->reason.why, exit_reason::kind::limit);
  EXPECT_EQ(to_string(w.rt.find(named("lua/a"))->last->reason),
            "limit: the state after 'grow' has more than 10000 bytes");
  EXPECT_THAT(w.ask("lua/a", "share"), HasSubstr("limit_exceeded"));
  EXPECT_THAT(w.ask("lua/a", "laugh"), HasSubstr("limit_exceeded"));
}

TEST(lua_limits, in_init_are_the_callers_error) {
  world w;
  ASSERT_TRUE(
      w.rt.define(lua_class("return { init = function() while true do end end, call = { f = function() end } }")));
  const auto reply = w.call("lua/a", "f");
  EXPECT_EQ(reply.error().effect, took_effect::not_executed);
  EXPECT_THAT(reply.error().context, HasSubstr("limit: line 1: more than 1000000 instructions"));
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST(lua_limits, in_terminate_do_not_keep_the_process_alive) {
  world w;
  ASSERT_TRUE(w.rt.define(
      lua_class("return { terminate = function() while true do end end, call = { f = function() return 1 end } }")));
  EXPECT_EQ(w.ask("lua/a", "f"), "1");
  EXPECT_TRUE(w.stop("lua/a"));
  EXPECT_EQ(w.rt.count(), 0U);
}

TEST(lua_limits, a_class_that_hits_them_a_thousand_times_stays_usable) {
  world w;
  auto spec = lua_class(
      "return { call = { f = function() local t = {} while true do t[#t + 1] = { #t } end end,\n"
      "g = function() return 1 end } }");
  spec.supervision.intensity = 100'000;
  spec.limits.memory_bytes_max = 100'000;
  ASSERT_TRUE(w.rt.define(spec));
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(w.call("lua/a", "f").error().code, errc::limit_exceeded);
  EXPECT_EQ(w.ask("lua/a", "g"), "1");
  EXPECT_EQ(w.rt.find(named("lua/a"))->restarts, 1000U);
}

TEST(lua_limits, refuse_an_argument_that_goes_over_them_and_the_process_lives_on) {
  world w;
  ASSERT_TRUE(
      w.rt.define(lua_class("return { init = function() return {n = 7} end,\n"
                            "call = { get = function(s) return s.n end, set = function(s, n) s.n = n end } }")));
  EXPECT_EQ(w.ask("lua/a", "set", "8"), "null");
  std::string keyed = R"({"0":0)";
  for (int i = 1; i < 33'000; ++i)
    keyed += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(w.ask("lua/a", "get", keyed + "}"),
            "limit_exceeded: the argument is too much: a table of more than 32768 keys beside its sequence");
  std::string many = "[0";
  for (int i = 1; i < 1'000'000; ++i)
    many += ",0";
  EXPECT_THAT(w.ask("lua/a", "get", many + "]"), HasSubstr("the argument is too much: more than 8388608 bytes"));
  EXPECT_EQ(w.ask("lua/a", "get"), "8");
}

/// Every reading is a tenth of a second after the one before.
duration slow_clock() {
  static duration read{};
  return read += std::chrono::milliseconds{100};
}

TEST(lua_limits, leave_sequences_and_texts_of_any_length_alone) {
  world w;
  ASSERT_TRUE(
      w.rt.define(lua_class("return { call = {\n"
                            "fill = function(_, n) local t = {} for i = 1, n do t[#t + 1] = 0 end return #t end,\n"
                            "back = function(_, n) local t = {} for i = n, 1, -1 do t[i] = 0 end return #t end,\n"
                            "count = function(_, t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end,\n"
                            "text = function(_, n) return #string.rep('x', n) end } }")));
  EXPECT_EQ(w.ask("lua/a", "text", "1572864"), "1572864");
  EXPECT_EQ(w.ask("lua/a", "fill", "98304"), "98304");
  EXPECT_EQ(w.ask("lua/a", "back", "60000"), "60000");
  std::string many = "[0";
  for (int i = 1; i < 98304; ++i)
    many += ",0";
  EXPECT_EQ(w.ask("lua/a", "count", many + "]"), "98304");
  std::string keyed = R"({"0":0)";
  for (int i = 1; i < 32768; ++i)
    keyed += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(w.ask("lua/a", "count", keyed + "}"), "32768");
  EXPECT_THAT(w.ask("lua/a", "count", keyed + R"(,"32768":0})"),
              HasSubstr("a table of more than 32768 keys beside its sequence"));
}

TEST(lua_time, ends_a_callback_whose_instructions_take_very_long) {
  world w;
  w.rt = runtime{{.node = {node_name{"n"}, boot_number{1}}, .seed = 1, .processor_time = slow_clock}};
  ASSERT_TRUE(
      w.rt.define(lua_class("return { call = {\n"
                            "few = function() for _ = 1, 1000 do end return 1 end,\n"
                            "many = function() for _ = 1, 100000 do end return 1 end } }")));
  EXPECT_EQ(w.ask("lua/a", "few"), "1");
  EXPECT_THAT(w.ask("lua/a", "many"), AllOf(HasSubstr("limit: line 3: more than 250 ms of processor time")));
  EXPECT_EQ(w.ask("lua/a", "few"), "1");
}

}  // namespace
}  // namespace orrery::process
