#include "sidecar/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::sidecar {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view minimal = R"(
mesh: {name: demo, namespace: default}
discovery: {mode: static}
)";

constexpr std::string_view whole = R"(
mesh: {name: demo, namespace: default}
discovery: {mode: kubernetes, selector: "orrery.dev/mesh=demo,orrery.dev/role=node"}
network: {meshPort: 4601, adminPort: 4602}
failureDetection: {heartbeatInterval: 200ms, downAfter: 1s}
drainTimeout: 1m30s
logLevel: debug
classes:
  - name: counter
    version: 3
    behaviour: {builtin: counter}
    supervision: {strategy: OneForOne, restart: Transient, intensity: 7, period: 9s, escalate: Node}
    limits: {mailbox: 10, instructions: 2000, memoryBytes: 8192, stateBytes: 64}
    callTimeout: 250ms
  - name: jobs
    behaviour: {builtin: queue, options: {visibilitySeconds: 1.5, maxReceives: 3, note: "7", flags: [true, null]}}
  - name: script
    behaviour: {lua: {script: "return {}"}}
)";

TEST(config, reads_every_field_of_the_documented_form) {
  const auto read = parse_config(whole, "c");
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(read->mesh, "demo");
  EXPECT_EQ(read->selector, "orrery.dev/mesh=demo,orrery.dev/role=node");
  EXPECT_EQ(read->mesh_port, 4601);
  EXPECT_EQ(read->admin_port, 4602);
  EXPECT_EQ(read->heartbeat_interval, 200ms);
  EXPECT_EQ(read->drain_timeout, 90s);
  EXPECT_EQ(read->level, shell::log_level::debug);
  ASSERT_EQ(read->classes.size(), 3U);
  const auto& counter = read->classes[0];
  EXPECT_EQ(counter.version, 3U);
  EXPECT_EQ(counter.supervision.restart, process::restart_type::transient);
  EXPECT_EQ(counter.supervision.intensity, 7U);
  EXPECT_EQ(counter.supervision.escalate, process::escalation::node);
  EXPECT_EQ(counter.limits.state_bytes_max, 64U);
  EXPECT_EQ(counter.call_timeout, 250ms);
  EXPECT_EQ(counter.options, value{});
  EXPECT_EQ(std::get<process::builtin_kind>(read->classes[1].behaviour), process::builtin_kind::queue);
  EXPECT_EQ(read->classes[1].options.json_text(),
            R"({"flags":[true,null],"maxReceives":3,"note":"7","visibilitySeconds":1.5})");
  EXPECT_EQ(std::get<process::lua_source>(read->classes[2].behaviour).script, "return {}");
  EXPECT_THAT(read->warnings, IsEmpty());
}

TEST(config, reads_app_hosted_classes_and_their_defaults) {
  const auto read = parse_config(std::string(minimal) +
                                     "classes:\n  - {name: a, behaviour: {app: {}}}\n"
                                     "  - {name: b, behaviour: {app: {handlerTimeout: 2s, waitForApp: 500ms}}}\n",
                                 "c");
  ASSERT_TRUE(read) << to_string(read.error());
  ASSERT_EQ(read->classes.size(), 2U);
  EXPECT_EQ(std::get<process::app_hosted>(read->classes[0].behaviour), process::app_hosted{});
  EXPECT_EQ(std::get<process::app_hosted>(read->classes[1].behaviour), (process::app_hosted{2s, 500ms}));
}

TEST(config, reads_all_that_a_class_says_of_supervision_limits_and_children) {
  const auto read = parse_config(R"(
mesh: {name: demo, namespace: default}
discovery: {mode: static}
classes:
  - name: jobs
    behaviour: {lua: {script: "return {}"}}
    supervision:
      strategy: RestForOne
      parent: shop
      shutdown: BrutalKill
      backoff: {initial: 100ms, max: 5s}
      childIntensity: 0
      childCooldown: 10s
      autoShutdown: AllSignificant
    limits: {mailboxPolicy: DropOldest, maxProcesses: 50}
    children:
      - {key: reader, argument: '{"shard": 7}'}
      - {key: main, restart: Transient, significant: true}
  - name: shop
    behaviour: {builtin: kv}
    supervision: {shutdown: 250ms}
  - name: other
    behaviour: {builtin: kv}
    supervision: {shutdown: Infinity, backoff: {initial: 1m}}
)",
                                 "c");
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_THAT(read->warnings, IsEmpty());
  const auto& jobs = read->classes.at(0);
  EXPECT_EQ(jobs.supervision.kind, process::strategy::rest_for_one);
  EXPECT_EQ(jobs.supervision.parent, class_name{"shop"});
  EXPECT_EQ(jobs.supervision.shutdown.how, process::shutdown_spec::kind::brutal_kill);
  EXPECT_EQ(jobs.supervision.backoff, (process::backoff_spec{100ms, 5s}));
  EXPECT_EQ(jobs.supervision.child_intensity, 0U);
  EXPECT_EQ(jobs.supervision.child_cooldown, 10s);
  EXPECT_EQ(jobs.supervision.when_significant, process::auto_shutdown::all_significant);
  EXPECT_EQ(jobs.limits.mailbox_policy, kernel::overflow::drop_oldest);
  EXPECT_EQ(jobs.limits.processes_max, 50U);
  ASSERT_EQ(jobs.children.size(), 2U);
  EXPECT_EQ(jobs.children[0].key.value, "reader");
  EXPECT_EQ(jobs.children[0].argument.json_text(), R"({"shard":7})");
  EXPECT_FALSE(jobs.children[0].restart);
  EXPECT_EQ(jobs.children[1].restart, process::restart_type::transient);
  EXPECT_TRUE(jobs.children[1].significant);
  EXPECT_EQ(read->classes.at(1).supervision.shutdown.length, 250ms);
  EXPECT_EQ(read->classes.at(2).supervision.shutdown.how, process::shutdown_spec::kind::infinity);
  EXPECT_EQ(read->classes.at(2).supervision.backoff, (process::backoff_spec{1min, 1min}));
}

TEST(config, has_defaults_for_what_is_not_given) {
  const auto read = parse_config(minimal, "c");
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(read->mesh_port, 3601);
  EXPECT_EQ(read->down_after, 2s);
  EXPECT_THAT(read->classes, IsEmpty());
}

TEST(config, warns_of_unknown_fields_with_their_path_and_line_and_goes_on) {
  const auto read = parse_config("mesh: {name: a, namespace: b}\ndiscovery: {mode: static, peer: []}\n", "c.yaml");
  ASSERT_TRUE(read) << to_string(read.error());
  ASSERT_EQ(read->warnings.size(), 1U);
  EXPECT_THAT(read->warnings[0], HasSubstr("c.yaml: line 2: discovery.peer: unknown field"));
}

struct broken {
  const char* name;
  const char* yaml;
  const char* says;
};
void PrintTo(const broken& b, std::ostream* out) { *out << b.name; }

class broken_config : public testing::TestWithParam<broken> {};

TEST_P(broken_config, is_refused_with_the_field_and_what_is_accepted) {
  const auto read = parse_config(GetParam().yaml, "c.yaml");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, errc::invalid_argument);
  EXPECT_THAT(read.error().context, HasSubstr(GetParam().says));
}

#define HEAD "mesh: {name: a, namespace: b}\ndiscovery: {mode: static}\n"
INSTANTIATE_TEST_SUITE_P(
    table, broken_config,
    testing::Values(
        broken{"not_yaml", "a: [", "is not YAML"}, broken{"a_list", "- a", "is not a mapping"},
        broken{"empty", "", "is not a mapping"}, broken{"no_mesh", "discovery: {mode: static}", "mesh: is required"},
        broken{"no_selector", "mesh: {name: a, namespace: b}\ndiscovery: {mode: kubernetes}", "discovery.selector"},
        broken{"mode", "mesh: {name: a, namespace: b}\ndiscovery: {mode: dns}",
               "'dns' is not one of kubernetes, static"},
        broken{"mesh_name", "mesh: {name: A_b, namespace: b}\ndiscovery: {mode: static}", "mesh.name: must be a DNS"},
        broken{"port", HEAD "network: {meshPort: 70000}", "line 3: network.meshPort: '70000' must be a whole number"},
        broken{"port_text", HEAD "network: {adminPort: x}", "network.adminPort"},
        broken{"duration", HEAD "drainTimeout: 5", "drainTimeout: '5' is not a duration"},
        broken{"detection", HEAD "failureDetection: {heartbeatInterval: 2s, downAfter: 3s}", "at least twice"},
        broken{"level", HEAD "logLevel: loud", "'loud' is not one of debug, info, warn, error"},
        broken{"classes_map", HEAD "classes: {a: b}", "classes: must be a list"},
        broken{"class_name", HEAD "classes: [{name: A b, behaviour: {builtin: kv}}]", "classes[0].name: 'A b'"},
        broken{"twice", HEAD "classes: [{name: a, behaviour: {builtin: kv}}, {name: a, behaviour: {builtin: kv}}]",
               "classes[1].name: class 'a' is defined twice"},
        broken{"no_behaviour", HEAD "classes: [{name: a}]", "classes[0].behaviour: is required"},
        broken{"both", HEAD "classes: [{name: a, behaviour: {builtin: kv, lua: {script: x}}}]", "exactly one of"},
        broken{"builtin", HEAD "classes: [{name: a, behaviour: {builtin: cache}}]",
               "'cache' is not one of counter, kv, queue, lock, semaphore, limiter, timer, log"},
        broken{"deep_options",
               HEAD "classes: [{name: a, behaviour: {builtin: kv, options: {a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}}]",
               "classes[0].behaviour.options: nests deeper than 16 levels"},
        broken{"strategy", HEAD "classes: [{name: a, behaviour: {builtin: kv}, supervision: {strategy: All}}]",
               "'All' is not one of OneForOne"},
        broken{"intensity", HEAD "classes: [{name: a, behaviour: {builtin: kv}, supervision: {intensity: -1}}]",
               "classes[0].supervision.intensity: '-1'"},
        broken{"shutdown", HEAD "classes: [{name: a, behaviour: {builtin: kv}, supervision: {shutdown: soon}}]",
               "supervision.shutdown: 'soon' must be a duration up to 24h as 5s, BrutalKill or Infinity"},
        broken{"backoff",
               HEAD "classes: [{name: a, behaviour: {builtin: kv}, supervision: {backoff: {initial: 5s, max: 1s}}}]",
               "supervision.backoff.max: must be at least as long as initial"},
        broken{"policy", HEAD "classes: [{name: a, behaviour: {builtin: kv}, limits: {mailboxPolicy: Drop}}]",
               "'Drop' is not one of Reject, DropOldest, Block"},
        broken{"most", HEAD "classes: [{name: a, behaviour: {builtin: kv}, limits: {maxProcesses: 0}}]",
               "limits.maxProcesses: '0' must be a whole number from 1 to 2000000"},
        broken{"child_key", HEAD "classes: [{name: a, behaviour: {builtin: kv}, children: [{restart: Permanent}]}]",
               "classes[0].children[0].key: is required"},
        broken{"child_argument",
               HEAD "classes: [{name: a, behaviour: {builtin: kv}, children: [{key: x, argument: '{'}]}]",
               "classes[0].children[0].argument: must be JSON as one text"},
        broken{"child_significant",
               HEAD "classes: [{name: a, behaviour: {builtin: kv}, children: [{key: x, significant: maybe}]}]",
               "'maybe' is not one of false, true"},
        broken{"peer",
               "mesh: {name: a, namespace: b}\ndiscovery: {mode: static, peers: [{name: x, uid: y, address: z}]}",
               "discovery.peers[0].address: 'z' must be ip:port"}),
    [](const auto& shown) { return std::string(shown.param.name); });

TEST(config, names_several_faults_at_once) {
  const auto read = parse_config(HEAD "drainTimeout: x\nlogLevel: y\n", "c");
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().context, HasSubstr("drainTimeout"));
  EXPECT_THAT(read.error().context, HasSubstr("logLevel"));
}

TEST(genesis, needs_a_mesh_id) {
  EXPECT_EQ(parse_genesis("meshID: abc\ncreatedAt: now\nmembers: [a, b]\n", "g")->members.size(), 2U);
  const auto none = parse_genesis("members: []", "g.yaml");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().context, HasSubstr("g.yaml: line 1: meshID: is required"));
}

TEST(files, that_are_missing_or_too_large_are_named) {
  const auto missing = load_config("/nonexistent/config.yaml");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().context, HasSubstr("/nonexistent/config.yaml: cannot be read: No such file"));
  EXPECT_EQ(read_file("/dev/zero", 100).error().code, errc::too_large);
  EXPECT_EQ(load_config("/tmp").error().code, errc::io);
}

}  // namespace
}  // namespace orrery::sidecar
