#include "mesh/process/testing.hpp"

#include <gmock/gmock.h>

namespace orrery::process {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A class `lua` whose only call, `f`, has this body; `state` and `argument` are its parameters.
class_spec with_body(const std::string& body) {
  return lua_class("return { call = { f = function(state, argument) " + body + " end } }");
}
std::string answer(const std::string& body, std::string_view argument = "null") {
  world w;
  const auto defined = w.rt.define(with_body(body));
  return defined ? w.ask("lua/a", "f", argument) : to_string(defined.error());
}

constexpr const char* cart = R"(
local function total(items)
  local sum = 0
  for _, price in pairs(items) do sum = sum + price end
  return sum
end
return {
  init = function(key) return { owner = key, items = {} } end,
  call = {
    add = function(state, item)
      if type(item) ~= 'table' or not item.name then orrery.fail('invalid_argument', 'an item has a name') end
      state.items[item.name] = item.price
      return total(state.items)
    end,
    owner = function(state) return state.owner end,
    clear = function(state) return true, { owner = state.owner, items = {} } end,
    all = function(state) return state.items end,
    explode = function(state)
      state.items.broken = true
      error('out of stock')
    end,
  },
  cast = {
    rename = function(state, name) state.owner = name end,
    replace = function(state, new) return new end,
  },
}
)";

TEST(lua, keeps_state_between_calls_and_casts) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(cart)));
  EXPECT_EQ(w.ask("lua/anna", "owner"), R"("anna")");
  EXPECT_EQ(w.ask("lua/anna", "add", R"({"name":"book","price":10})"), "10");
  EXPECT_EQ(w.ask("lua/anna", "add", R"({"name":"pen","price":2.5})"), "12.5");
  w.cast("lua/anna", "rename", R"("berta")");
  EXPECT_EQ(w.ask("lua/anna", "owner"), R"("berta")");
  EXPECT_EQ(w.ask("lua/anna", "all"), R"({"book":10,"pen":2.5})");
  EXPECT_EQ(w.ask("lua/other", "all"), "{}");
}

TEST(lua, takes_a_second_result_of_a_call_and_the_result_of_a_cast_as_new_state) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(cart)));
  EXPECT_EQ(w.ask("lua/a", "add", R"({"name":"book","price":10})"), "10");
  EXPECT_EQ(w.ask("lua/a", "clear"), "true");
  EXPECT_EQ(w.ask("lua/a", "all"), "{}");
  w.cast("lua/a", "replace", R"({"owner":"x","items":{"y":1}})");
  EXPECT_EQ(w.ask("lua/a", "all"), R"({"y":1})");
}

TEST(lua, fail_answers_the_caller_and_the_process_lives_on) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(cart)));
  EXPECT_EQ(w.ask("lua/a", "add", R"({"name":"book","price":10})"), "10");
  const auto refusal = w.call("lua/a", "add", "5");
  EXPECT_EQ(to_string(refusal.error()), "invalid_argument: an item has a name");
  EXPECT_EQ(refusal.error().effect, took_effect::executed);
  EXPECT_EQ(w.ask("lua/a", "all"), R"({"book":10})");
  EXPECT_EQ(w.rt.find(named("lua/a"))->restarts, 0U);
}

TEST(lua, error_is_a_crash_with_the_line_and_the_next_call_finds_a_fresh_state) {
  world w;
  ASSERT_TRUE(w.rt.define(lua_class(cart)));
  EXPECT_EQ(w.ask("lua/a", "add", R"({"name":"book","price":10})"), "10");
  const auto waiting = w.send("lua/a", "explode");
  const auto behind = w.send("lua/a", "all");
  w.run();
  EXPECT_EQ(to_string(w.reply_to(waiting).error()), "process_exited: lua/a exited, error: line 20: out of stock");
  EXPECT_EQ(w.reply_to(waiting).error().effect, took_effect::unknown);
  EXPECT_EQ(w.reply_to(behind).error().effect, took_effect::not_executed);
  EXPECT_EQ(w.ask("lua/a", "all"), "{}");
  EXPECT_EQ(w.rt.find(named("lua/a"))->last->reason.detail, "line 20: out of stock");
}

TEST(lua, runtime_errors_have_the_line_whatever_raised_them) {
  EXPECT_THAT(answer("\nlocal x = nil\nreturn x.y"), HasSubstr("line 3: attempt to index a nil value (local 'x')"));
  EXPECT_THAT(answer("\nerror('no place', 0)"), HasSubstr("line 2: no place"));
  EXPECT_THAT(answer("\nerror({})"), HasSubstr("line 2: error object is a table"));
  EXPECT_THAT(answer("\nerror()"), HasSubstr("line 2: error object is a nil"));
  EXPECT_THAT(answer("\nstring.rep()"), HasSubstr("line 2: bad argument #1 to 'rep'"));
  EXPECT_THAT(answer("\nprint('x')"), HasSubstr("line 2: attempt to call a nil value (global 'print')"));
}

TEST(lua, a_class_without_init_starts_with_an_empty_table) {
  EXPECT_EQ(answer("state.n = (state.n or 0) + 1 return state"), R"({"n":1})");
}

TEST(lua, a_first_start_that_fails_is_the_callers_error_and_leaves_no_process) {
  world w;
  ASSERT_TRUE(
      w.rt.define(lua_class("return { init = function(key) if key == 'bad' then error('no') end return {} end,\n"
                            "call = { f = function() return 1 end } }")));
  EXPECT_EQ(w.ask("lua/good", "f"), "1");
  const auto reply = w.call("lua/bad", "f");
  EXPECT_EQ(to_string(reply.error()), "process_exited: lua/bad exited, error: line 1: no (while it started)");
  EXPECT_EQ(reply.error().effect, took_effect::not_executed);
  EXPECT_EQ(w.rt.count(), 1U);
  EXPECT_TRUE(w.escalations.empty());
}

TEST(lua, a_restart_whose_init_fails_counts_until_the_supervisor_gives_up) {
  world w;
  auto spec = lua_class(
      "return { init = function() if orrery.now() > 1.5 then error('cannot') end return {} end,\n"
      "call = { f = function() return 1 end } }");
  spec.supervision.intensity = 4;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "f"), "1");
  w.now += 1s;
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_EQ(w.rt.count(), 0U);
  ASSERT_EQ(w.escalations.size(), 1U);
  EXPECT_THAT(w.escalations[0].why, HasSubstr("line 1: cannot"));
  EXPECT_EQ(w.rt.supervisors()[0].restarts, 0U);
}

TEST(lua, terminate_runs_on_stop_and_after_an_error_and_not_when_killed) {
  world w;
  ASSERT_TRUE(
      w.rt.define(lua_class("return { call = { f = function() return 1 end, crash = function() error('x') end },\n"
                            "terminate = function(state, reason) orrery.cast('log/l', 'bye', reason) end }")));
  EXPECT_EQ(w.ask("lua/a", "f"), "1");
  EXPECT_TRUE(w.kill("lua/a"));
  EXPECT_TRUE(w.casts.empty());
  EXPECT_THAT(w.ask("lua/a", "crash"), HasSubstr("process_exited"));
  EXPECT_TRUE(w.stop("lua/a"));
  ASSERT_EQ(w.casts.size(), 2U);
  EXPECT_EQ(w.casts[0].argument.json_text(), R"("error: line 1: x")");
  EXPECT_EQ(w.casts[1].argument.json_text(), R"("normal")");
}

// ---- values ----

TEST(lua_values, come_back_as_they_went_in) {
  for (const auto* text : {"1", "-1", "9223372036854775807", "-9223372036854775808", "1.5", "1e300", "0.1", "true",
                           "false", "null", R"("")", R"("ünïcödé \u0000 x")", "[]", "{}", "[[]]", "[{}]", R"({"a":[]})",
                           R"([1,"x",null,{"b":null,"c":[1.25,true]}])"}) {
    EXPECT_EQ(answer("return argument", text), json(text).json_text()) << text;
  }
  EXPECT_EQ(answer("return argument", "1.0"), "1.0");
  EXPECT_EQ(answer("return math.type(argument)", "1.0"), R"("float")");
  EXPECT_EQ(answer("return math.type(argument)", "1"), R"("integer")");
  EXPECT_EQ(answer("return 3 / 1"), "3.0");
  EXPECT_EQ(answer("return 3 // 1"), "3");
}

TEST(lua_values, are_encoded_to_the_same_bytes_as_json) {
  const auto given = json(R"({"zz":1,"a":[1.5,0.1,-300,70000,5000000000],"bb":{"y":null,"x":"t"},"":true})");
  world w;
  ASSERT_TRUE(w.rt.define(with_body("return argument")));
  const auto token = w.send("lua/a", "f", given);
  w.run();
  EXPECT_EQ(*w.reply_to(token), given);
}

TEST(lua_values, an_argument_beyond_64_bits_is_refused_and_nothing_crashes) {
  EXPECT_EQ(answer("return 1", "[18446744073709551615]"),
            "invalid_argument: the argument has an integer of more than 64 bits");
}

TEST(lua_values, null_is_nil_alone_and_orrery_null_inside) {
  EXPECT_EQ(answer("return argument == nil"), "true");
  EXPECT_EQ(answer("return argument.x == orrery.null", R"({"x":null})"), "true");
  EXPECT_EQ(answer("return { x = orrery.null }"), R"({"x":null})");
  EXPECT_EQ(answer("return tostring(orrery.null)"), R"("null")");
}

TEST(lua_values, an_array_stays_one_when_it_is_emptied_and_can_be_made) {
  EXPECT_EQ(answer("table.remove(argument) return argument", "[1]"), "[]");
  EXPECT_EQ(answer("return orrery.array()"), "[]");
  EXPECT_EQ(answer("return orrery.array({})"), "[]");
  EXPECT_EQ(answer("return {}"), "{}");
  EXPECT_EQ(answer("return {1, 2}"), "[1,2]");
}

TEST(lua_values, of_several_that_are_no_data_the_first_by_key_is_named) {
  const std::string many = "local t = {deep = {}} for i = 10, 40 do t['k' .. i], t.deep['k' .. i] = pairs, pairs end ";
  EXPECT_THAT(answer(many + "return t"), HasSubstr("has a function, which is no data, at .deep.k10"));
  EXPECT_THAT(answer(many + "t.deep = nil return {t, t}"), HasSubstr("has a function, which is no data, at [1].k10"));
  EXPECT_THAT(answer(many + "t.big = string.rep('x', 2000000) return t"),
              HasSubstr("has a function, which is no data, at .deep.k10"));
}

TEST(lua_values, that_hold_themselves_or_too_much_to_look_at_are_refused_the_same_way_every_time) {
  EXPECT_THAT(answer("local t = {} t.a = t return t"), HasSubstr("nests deeper than 64 levels or holds itself"));
  const std::string wide = "local good, bad = {x = 1}, {f = pairs} for i = 1, 60 do good = {a = good, b = good} ";
  for (const char* order : {"bad = {a = good, b = bad} end return bad", "bad = {b = good, a = bad} end return bad"}) {
    EXPECT_THAT(answer(wide + order), HasSubstr("has more than 1048576 bytes, or more than 100000 values")) << order;
  }
}

TEST(lua_sandbox, a_table_whose_length_is_the_greatest_integer_cannot_grow) {
  const std::string longest =
      "local t = {[math.maxinteger] = 1} for i = 0, 62 do t[1 << i], t[(1 << i) + 1] = i, i end "
      "if #t < math.maxinteger then return #t end ";
  EXPECT_THAT(answer(longest + "table.insert(t, 1)"), HasSubstr("array too big"));
  EXPECT_THAT(answer(longest + "table.insert(t, 5, 1)"), HasSubstr("array too big"));
  EXPECT_EQ(answer(longest + "return table.remove(t)"), "1");
  EXPECT_THAT(answer(longest + "return table.remove(t, math.mininteger)"), HasSubstr("position out of bounds"));
}

TEST(lua_values, bytes_that_are_not_utf8_travel_as_bytes) {
  EXPECT_EQ(answer("return #argument", R"("\u00ff")"), "2");
  world w;
  ASSERT_TRUE(w.rt.define(with_body("return argument or string.char(255, 0)")));
  const auto bytes_value = w.call("lua/a", "f");
  ASSERT_TRUE(bytes_value);
  const auto token = w.send("lua/a", "f", *bytes_value);
  w.run();
  EXPECT_EQ(*w.reply_to(token), *bytes_value);
}

TEST(lua_values, a_reply_that_is_no_data_fails_the_call_alone_and_says_where) {
  EXPECT_EQ(answer("return { a = { b = { 1, print or function() end } } }"),
            "handler_failed: the reply of 'f' has a function, which is no data, at .a.b[2]");
  EXPECT_THAT(answer("return { 1, x = 2 }"), HasSubstr("both indices and named fields"));
  EXPECT_THAT(answer("return { [1] = 1, [3] = 3 }"), HasSubstr("gaps in its indices"));
  EXPECT_THAT(answer("return { [1.5] = 1 }"), HasSubstr("keys that are neither"));
  EXPECT_THAT(answer("return setmetatable({}, {})"), HasSubstr("a table with a metatable"));
  EXPECT_THAT(answer("return { [string.char(255)] = 1 }"), HasSubstr("a key that is not UTF-8"));
  EXPECT_THAT(answer("local t = {} t.t = t return t"), HasSubstr("nests deeper than 64 levels or holds itself"));
  EXPECT_THAT(answer("return string.rep('x', 2000000)"), HasSubstr("has more than 1048576 bytes"));
}

TEST(lua_values, a_state_that_is_no_data_is_a_crash_that_names_the_method_and_the_place) {
  EXPECT_THAT(answer("state.f = function() end return 1"),
              HasSubstr("error: the state after 'f' cannot be kept: it has a function, which is no data, at .f"));
  EXPECT_THAT(answer("return 1, setmetatable({}, { __index = {} })"), HasSubstr("cannot be kept"));
}

// ---- the module, the sandbox ----

TEST(lua_module, tells_time_self_and_random_numbers_that_are_the_same_on_every_run) {
  EXPECT_EQ(answer("return orrery.now()"), "1.0");
  EXPECT_EQ(answer("local s = orrery.self() return s.class .. ':' .. s.key"), R"("lua:a")");
  const auto* body = "return { orrery.random(), orrery.random(10), math.random(5, 6), math.random() }";
  EXPECT_EQ(answer(body), answer(body));
  EXPECT_EQ(answer("for i = 1, 1000 do local r = orrery.random(3) if r < 1 or r > 3 then return i end end return 0"),
            "0");
  EXPECT_THAT(answer("return orrery.random(2, 1)"), HasSubstr("interval is empty"));
  world w;
  ASSERT_TRUE(w.rt.define(with_body("return orrery.random(1000000000)")));
  EXPECT_NE(w.ask("lua/a", "f"), w.ask("lua/b", "f"));
}

TEST(lua_module, casts_to_names_and_refuses_what_is_none) {
  world w;
  ASSERT_TRUE(w.rt.define(with_body("orrery.cast('counter/x', 'add', { n = 1 }) return 1")));
  EXPECT_EQ(w.ask("lua/a", "f"), "1");
  ASSERT_EQ(w.casts.size(), 1U);
  EXPECT_EQ(w.casts[0].to, named("counter/x"));
  EXPECT_EQ(w.casts[0].method, "add");
  EXPECT_EQ(w.casts[0].argument.json_text(), R"({"n":1})");
  EXPECT_THAT(answer("\norrery.cast('noslash', 'm')"), HasSubstr("line 2: orrery.cast: 'noslash' has no slash"));
  EXPECT_THAT(answer("orrery.cast('a/b', 'm', print or pairs)"), HasSubstr("the argument has a function"));
  EXPECT_THAT(answer("orrery.cast('a/b', '')"), HasSubstr("1 to 256 bytes"));
}

TEST(lua_module, fail_knows_the_codes) {
  EXPECT_EQ(answer("orrery.fail('not_found', 'no such thing')"), "not_found: no such thing");
  EXPECT_THAT(answer("orrery.fail('nope', 'x')"), HasSubstr("'nope' is no code; use invalid_argument"));
  EXPECT_EQ(answer("local ok, e = pcall(orrery.fail, 'conflict', 'late') return { ok, tostring(e) }"),
            R"([false,"late"])");
}

TEST(lua_module, is_for_callbacks_only) {
  EXPECT_THAT(to_string(check_script({"local t = orrery.now() return { call = { f = function() end } }"}, {}).error()),
              HasSubstr("line 1: orrery.now is for callbacks"));
}

TEST(lua_sandbox, has_no_way_to_files_code_time_or_the_machine) {
  for (const auto* name :
       {"io", "os", "load", "loadstring", "loadfile", "dofile", "require", "package", "debug", "coroutine",
        "collectgarbage", "rawset", "_G", "print", "warn", "string.dump", "string.pack", "math.randomseed"}) {
    EXPECT_EQ(answer(std::string{"return "} + name + " == nil"), "true") << name;
  }
}

TEST(lua_sandbox, globals_and_libraries_cannot_be_written_to) {
  EXPECT_THAT(answer("\ncount = 1"),
              HasSubstr("line 2: assignment to global 'count': state belongs in the state table"));
  EXPECT_THAT(answer("string.len = nil"), HasSubstr("assignment to 'string.len': libraries cannot be changed"));
  EXPECT_THAT(answer("orrery.null = 1"), HasSubstr("assignment to 'orrery.null'"));
  EXPECT_THAT(answer("setmetatable(string, {})"), HasSubstr("cannot change a protected metatable"));
  EXPECT_THAT(answer("setmetatable(_ENV, {})"), HasSubstr("cannot change a protected metatable"));
  EXPECT_THAT(answer("table.insert(string, 1)"), HasSubstr("has a metatable"));
  EXPECT_EQ(answer("return getmetatable('')"), "false");
  EXPECT_EQ(answer("return getmetatable(_ENV)"), "false");
}

TEST(lua_sandbox, has_no_finalizers_and_no_weak_tables) {
  EXPECT_THAT(answer("setmetatable({}, { __gc = function() end })"), HasSubstr("metatables cannot have '__gc' here"));
  EXPECT_THAT(answer("setmetatable({}, { __mode = 'k' })"), HasSubstr("metatables cannot have '__mode' here"));
  EXPECT_EQ(answer("local o = setmetatable({}, { __index = { x = 5 } }) return o.x"), "5");
}

TEST(lua_sandbox, takes_no_bytecode) {
  EXPECT_THAT(to_string(check_script({"\x1bLua"}, {}).error()), HasSubstr("invalid_argument"));
}

TEST(lua_sandbox, shows_no_addresses_and_walks_tables_in_the_order_of_keys) {
  EXPECT_EQ(answer("return tostring({})"), R"("table")");
  EXPECT_EQ(answer("return string.format('%s %s %d', {}, pairs, 5)"), R"("table function 5")");
  EXPECT_THAT(answer("return string.format('%p', {})"), HasSubstr("'%p' is not available"));
  EXPECT_EQ(answer("local s = {} for k in pairs({ b = 1, a = 2, [3] = 1, [1] = 1, [2.5] = 1, [true] = 0 }) do "
                   "s[#s + 1] = tostring(k) end return table.concat(s, ' ')"),
            R"("1 2.5 3 a b true")");
  EXPECT_EQ(
      answer("local s, t = {}, { c = 1, a = 1, b = 1 } local k = next(t) while k do s[#s + 1] = k k = next(t, k) end "
             "return s"),
      R"(["a","b","c"])");
  EXPECT_EQ(answer("return next({}) == nil"), "true");
  EXPECT_EQ(
      answer("local t = { a = 1, b = 2, c = 3 } local n = 0 for k in pairs(t) do t.b = nil n = n + 1 end return n"),
      "2");
  EXPECT_EQ(answer("local n = 0 for i, v in pairs({ 5, 6, 7 }) do n = n * 10 + i * v end return n"), "641");
}

TEST(lua_libraries, strings_and_tables_work_as_in_the_manual) {
  EXPECT_EQ(answer("return ('x'):rep(3, ',')"), R"("x,x,x")");
  EXPECT_EQ(answer("return { ('hello'):find('l') }"), "[3,3]");
  EXPECT_EQ(answer("return { ('hello'):find('(l)(l)') }"), R"([3,4,"l","l"])");
  EXPECT_EQ(answer("return { ('a.b'):find('.', 2, true) }"), "[2,2]");
  EXPECT_EQ(answer("return ('hello'):find('xyz') == nil"), "true");
  EXPECT_EQ(answer("return { ('key=val'):match('(%w+)=(%w+)') }"), R"(["key","val"])");
  EXPECT_EQ(answer("return { ('hello'):match('()ll()') }"), "[3,5]");
  EXPECT_EQ(answer("local s = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do s[#s+1] = k .. v end return s"),
            R"(["a1","b2"])");
  EXPECT_EQ(answer("return { ('hello world'):gsub('o', '0') }"), R"(["hell0 w0rld",2])");
  EXPECT_EQ(answer("return { ('hello'):gsub('', '-') }"), R"(["-h-e-l-l-o-",6])");
  EXPECT_EQ(answer("return (('abc'):gsub('%w', '%0%0'))"), R"("aabbcc")");
  EXPECT_EQ(answer("return (('abc'):gsub('%w', { a = 1, b = true and 'x' }))"), R"("1xc")");
  EXPECT_EQ(answer("return (('abc'):gsub('b', function(c) return c:upper() end))"), R"("aBc")");
  EXPECT_EQ(answer("return (('abc abc'):gsub('^a', 'x'))"), R"("xbc abc")");
  EXPECT_THAT(answer("('x'):find('[')"), HasSubstr("malformed pattern"));
  EXPECT_EQ(answer("return { ('abc'):byte(1, -1) }"), "[97,98,99]");
  EXPECT_EQ(answer("return { ('abc'):byte(-1) }"), "[99]");
  EXPECT_EQ(answer("return { ('abc'):byte(10) }"), "{}");
  EXPECT_EQ(answer("return string.format('%5.1f|%q|%s|%%', 3.14159, 'a', 'b')"), R"("  3.1|\"a\"|b|%")");
  EXPECT_EQ(answer("local t = { 3, 1, 2 } table.sort(t) return t"), "[1,2,3]");
  EXPECT_EQ(answer("local t = { 3, 1, 2, 5, 4 } table.sort(t, function(a, b) return a > b end) return t"),
            "[5,4,3,2,1]");
  EXPECT_EQ(answer("local t = { 1, 2, 3 } table.insert(t, 2, 9) table.insert(t, 4) return t"), "[1,9,2,3,4]");
  EXPECT_EQ(answer("local t = { 1, 2, 3 } local r = table.remove(t, 1) return { r, #t, table.remove(t), #t }"),
            "[1,2,3,1]");
  EXPECT_EQ(answer("return table.remove({}) == nil"), "true");
  EXPECT_EQ(answer("return table.concat({ 1, 'x', 2.5 }, '-')"), R"("1-x-2.5")");
  EXPECT_EQ(answer("return { table.unpack({ 1, 2, 3 }, 2) }"), "[2,3]");
  EXPECT_EQ(answer("return table.move({ 1, 2, 3 }, 1, 3, 2)"), "[1,1,2,3]");
  EXPECT_EQ(answer("return table.pack(1, 2).n"), "2");
  EXPECT_EQ(answer("return { utf8.len('äö'), utf8.char(228), tonumber('0x10'), tonumber('z', 36) }"),
            R"([2,"ä",16,35])");
  EXPECT_EQ(answer("return { pcall(error, 'x') }"), R"([false,"x"])");
  EXPECT_EQ(answer("return { xpcall(function(a) error(a, 0) end, function(e) return e .. '!' end, 'x') }"),
            R"([false,"x!"])");
  EXPECT_EQ(answer("return { xpcall(function(a) return a end, print or error, 7) }"), "[true,7]");
}

// ---- the script as a whole ----

TEST(check_script, says_the_line_and_what_a_behaviour_needs) {
  const auto verdict = [](std::string script) {
    const auto checked = check_script({std::move(script)}, {});
    return checked ? std::string{"fine"} : to_string(checked.error());
  };
  EXPECT_EQ(verdict(cart), "fine");
  EXPECT_THAT(verdict("\n\nreturn {"), HasSubstr("invalid_argument: line 3: "));
  EXPECT_THAT(verdict(""), HasSubstr("the script must return a table"));
  EXPECT_THAT(verdict("return 5"), HasSubstr("the script must return a table"));
  EXPECT_THAT(verdict("return {}"), HasSubstr("without methods"));
  EXPECT_THAT(verdict("return { calls = {} }"), HasSubstr("the field 'calls'; a behaviour has init, call, cast"));
  EXPECT_THAT(verdict("return { call = 5 }"), HasSubstr("field 'call' is a number"));
  EXPECT_THAT(verdict("return { call = { 5 } }"), HasSubstr("holds a number under a number"));
  EXPECT_THAT(verdict("return { d = 1, c = 1, b = 1, a = 1, e = 1, f = 1 }"), HasSubstr("the field 'a';"));
  EXPECT_THAT(verdict("return { call = { 5, a = 'x', b = {}, c = true, [true] = 1 } }"),
              HasSubstr("holds a boolean under a string"));
  EXPECT_THAT(verdict("return { init = 5, call = { f = function() end } }"), HasSubstr("field 'init' is a number"));
  EXPECT_THAT(verdict("\nerror('at load')"), HasSubstr("line 2: at load"));
  EXPECT_THAT(verdict("\nhelper = 5"), HasSubstr("line 2: assignment to global 'helper'"));
  EXPECT_THAT(verdict("while true do end"), HasSubstr("limit_exceeded: line 1: more than 1000000 instructions"));
  EXPECT_THAT(verdict("local t = {} for i = 1, 1e9 do t[i] = {} end"), HasSubstr("limit_exceeded: line 1: more than"));
  EXPECT_THAT(verdict(std::string(300'000, ' ')), HasSubstr("too_large: the script has 300000 bytes"));
}

TEST(upgrade, running_processes_go_on_with_the_new_script_and_their_state) {
  world w;
  auto spec = lua_class("return { call = { f = function(s) s.n = (s.n or 0) + 1 return s.n end } }");
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "f"), "1");
  const auto waiting = w.send("lua/a", "f");
  spec.version = 2;
  spec.behaviour =
      lua_source{"return { call = { f = function(s) s.n = s.n + 100 return s.n end, g = function() return 1 end } }"};
  ASSERT_TRUE(w.rt.define(spec));
  w.run();
  EXPECT_EQ(w.reply_to(waiting)->json_text(), "101");
  EXPECT_EQ(w.ask("lua/a", "g"), "1");
  EXPECT_EQ(w.rt.find(named("lua/a"))->class_version, 2U);
  EXPECT_EQ(w.rt.find(named("lua/a"))->restarts, 0U);
}

TEST(upgrade, to_a_bad_script_is_refused_and_the_old_one_stays) {
  world w;
  auto spec = lua_class("return { call = { f = function(s) s.n = (s.n or 0) + 1 return s.n end } }");
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "f"), "1");
  spec.version = 2;
  spec.behaviour = lua_source{"return {"};
  EXPECT_EQ(w.rt.define(spec).error().code, errc::invalid_argument);
  EXPECT_EQ(w.ask("lua/a", "f"), "2");
  EXPECT_EQ(w.rt.find(named("lua/a"))->class_version, 1U);
}

TEST(upgrade, a_message_whose_method_is_gone_is_refused) {
  world w;
  auto spec = lua_class("return { call = { f = function() return 1 end } }");
  ASSERT_TRUE(w.rt.define(spec));
  const auto waiting = w.send("lua/a", "f");
  spec.version = 2;
  spec.behaviour = lua_source{"return { call = { g = function() return 1 end } }"};
  ASSERT_TRUE(w.rt.define(spec));
  w.run();
  EXPECT_EQ(w.reply_to(waiting).error().code, errc::not_found);
}

TEST(upgrade, from_a_builtin_to_lua_starts_afresh) {
  world w;
  ASSERT_TRUE(w.rt.define(counter_class("lua")));
  EXPECT_EQ(w.ask("lua/a", "add"), "1");
  auto spec = with_body("return 'lua now'");
  spec.version = 2;
  ASSERT_TRUE(w.rt.define(spec));
  EXPECT_EQ(w.ask("lua/a", "f"), R"("lua now")");
}

TEST(lua_handoff, moves_the_state_table_and_the_mailbox) {
  world from;
  world to;
  ASSERT_TRUE(from.rt.define(lua_class(cart)));
  ASSERT_TRUE(to.rt.define(lua_class(cart)));
  EXPECT_EQ(from.ask("lua/a", "add", R"({"name":"book","price":10})"), "10");
  static_cast<void>(from.send("lua/a", "add", json(R"({"name":"pen","price":1})")));
  auto packed = from.rt.take(from.now, named("lua/a"), from.out);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->state.json_text(), R"({"items":{"book":10},"owner":"a"})");
  ASSERT_TRUE(to.rt.install(to.now, *packed, to.out));
  to.run();
  EXPECT_EQ(to.ask("lua/a", "all"), R"({"book":10,"pen":1})");
}

}  // namespace
}  // namespace orrery::process
