#include "kube/local/kubelet/kubelet.hpp"

#include "kube/local/bootstrap.hpp"
#include "kube/local/controllers.hpp"
#include "kube/local/kubelet/environment.hpp"
#include "kube/local/kubelet/volumes.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

namespace orrery::local {
namespace {

using std::chrono::steady_clock;

TEST(expand, replaces_known_names_and_leaves_the_rest) {
  const std::map<std::string, std::string> values = {{"A", "1"}};
  EXPECT_EQ(expand("x$(A)y$(B)$$(A)$", values), "x1y$(B)$(A)$");
}

TEST(rewriter, moves_loopback_and_mount_paths_to_the_pod) {
  const rewriter rewrite("127.9.9.9",
                         {{"/etc/orrery", "/d/outer"}, {"/etc/orrery/tls", "/d/tls"}, {"/work/", "/d/work"}});
  EXPECT_EQ(rewrite.apply("http://127.0.0.1:3600"), "http://127.9.9.9:3600");
  EXPECT_EQ(rewrite.apply("127.0.0.12 and 1127.0.0.1"), "127.0.0.12 and 1127.0.0.1");
  EXPECT_EQ(rewrite.apply("--tls=/etc/orrery/tls/ca.crt"), "--tls=/d/tls/ca.crt");
  EXPECT_EQ(rewrite.apply("/etc/orrery/config.yaml"), "/d/outer/config.yaml");
  EXPECT_EQ(rewrite.apply("/etc/orrery-other /my/work/x"), "/etc/orrery-other /my/work/x");
  EXPECT_EQ(rewrite.apply("cat /work/a >/work"), "cat /d/work/a >/d/work");
}

TEST(container_environment, resolves_fields_and_keys_and_names_what_is_missing) {
  const auto pod =
      json::parse(R"({"metadata": {"name": "p", "labels": {"a": "b"}}, "status": {"podIP": "127.1.1.1"}})");
  const lookup find_object = [](const std::string& bucket, const std::string& name) {
    if (bucket == "secrets" && name == "s") return json::parse(R"({"data": {"k": "c2VjcmV0"}})");
    return json(nullptr);
  };
  const auto good = container_environment(
      pod,
      json::parse(
          R"j({"envFrom": [{"secretRef": {"name": "s"}, "prefix": "P_"}], "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
      {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}, {"name": "U", "value": "x-$(IP)"
}, {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": true}}}]
})j"),
      find_object);
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, (std::map<std::string, std::string>{
                       {"P_k", "secret"}, {"IP", "127.1.1.1"}, {"L", "b"}, {"U", "x-127.1.1.1"}}));
  const auto bad = container_environment(
      pod, json::parse(R"({"env": [{"name": "O", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}}]})"),
      find_object);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().context, ::testing::HasSubstr("\"none\" not found"));
}

class kubelet_test : public ::testing::Test {
 protected:
  kubelet_test()
      : directory_(::testing::TempDir() + "kubelet-" + random_suffix(8)),
        store_({.history_max = 1000, .first_version = 1}),
        registry_(store_, catalog_, [] { return std::chrono::system_clock::now(); }) {
    bootstrap(registry_, 1, 443);
    controllers_ = std::make_unique<controller_manager>(registry_, "authority");
    kubelet_ = std::make_unique<kubelet>(
        registry_, kubelet::options{.directory = directory_,
                                    .images = {{"mapped", "/bin/sleep"}},
                                    .backoff_base = std::chrono::milliseconds(50),
                                    .backoff_max = std::chrono::milliseconds(200),
                                    .api_port = 443,
                                    .token = [](const auto&, const auto&) { return "token"; },
                                    .kubeconfig = [](const auto&, const auto&) { return "kubeconfig"; },
                                    .authority = "authority"});
  }
  ~kubelet_test() override {
    kubelet_.reset();
    controllers_.reset();
    std::filesystem::remove_all(directory_);
  }

  void make(const std::string& bucket, const char* object) {
    const auto info = catalog_.find_bucket(bucket);
    const auto made = registry_.create(*info, "default", json::parse(object), {});
    ASSERT_TRUE(made) << made.error().message;
  }
  void make_pod(const std::string& spec) {
    make("pods", (R"({"metadata": {"name": "p"}, "spec": )" + spec + "}").c_str());
  }
  json pod() {
    const auto found = store_.get({"pods", "default", "p"});
    return found ? *found : json(nullptr);
  }
  /// Waits until the pod is as wanted; the pod as it was last.
  json until(const std::function<bool(const json&)>& good) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(20);
    auto version = store_.version();
    for (;;) {
      auto now = pod();
      if (good(now)) return now;
      if (steady_clock::now() > deadline) {
        ADD_FAILURE() << "the pod did not come to what was expected: " << now.dump(1);
        return now;
      }
      version = store_.wait_any(version, {}, steady_clock::now() + std::chrono::milliseconds(20));
    }
  }
  static bool ready(const json& pod) {
    for (const auto& each : list_at(pod, {"status", "conditions"})) {
      if (text_at(each, {"type"}) == "Ready") return text_at(each, {"status"}) == "True";
    }
    return false;
  }
  std::string log(const json& of, const std::string& container, int life = 0) {
    return read_file(directory_ + "/pods/" + uid_of(of) + "/logs/" + container + "/" + std::to_string(life) + ".log");
  }

  std::string directory_;
  catalog catalog_;
  store store_;
  registry registry_;
  std::unique_ptr<controller_manager> controllers_;
  std::unique_ptr<kubelet> kubelet_;
};

TEST_F(kubelet_test, runs_init_containers_then_sidecars_then_the_others) {
  make_pod(R"({"restartPolicy": "Never", "volumes": [{"name": "w", "emptyDir": {}}],
    "initContainers": [{"name": "first", "image": "x", "command": ["sh", "-c", "echo first > /w/order"], "volumeMounts": [{"name": "w", "mountPath": "/w"}]},
      {"name": "side", "image": "x", "restartPolicy": "Always", "command": ["sh", "-c", "echo side >> /w/order; trap 'exit 0' TERM; while :; do sleep 0.05; done"], "volumeMounts": [{"name": "w", "mountPath": "/w"}],
       "startupProbe": {"exec": {"command": ["grep", "-q", "side", "/w/order"]}, "periodSeconds": 1}}],
    "containers": [{"name": "main", "image": "x", "command": ["sh", "-c", "cat /w/order"], "volumeMounts": [{"name": "w", "mountPath": "/w"}]}]})");
  const auto now = until([](const json& p) { return text_at(p, {"status", "phase"}) == "Succeeded"; });
  EXPECT_THAT(log(now, "main"), ::testing::AllOf(::testing::HasSubstr("first\n"), ::testing::HasSubstr("side\n")));
}

TEST_F(kubelet_test, gives_a_pod_its_own_address_and_files_that_follow_their_objects) {
  make("configmaps", R"({"metadata": {"name": "c"}, "data": {"f": "one"}})");
  make_pod(
      R"({"volumes": [{"name": "c", "configMap": {"name": "c"}}], "containers": [{"name": "main", "image": "x", "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}],
    "env": [{"name": "URL", "value": "http://127.0.0.1:1"}], "command": ["sh", "-c", "echo $URL; until grep -q two /etc/c/f; do sleep 0.02; done; echo changed; sleep 1000"]}]})");
  const auto now = until(ready);
  registry_.edit({"configmaps", "default", "c"}, [](json& o) { o["data"]["f"] = "two"; });
  const auto deadline = steady_clock::now() + std::chrono::seconds(10);
  while (log(now, "main").find("changed") == std::string::npos && steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_THAT(log(now, "main"), ::testing::HasSubstr("http://" + text_at(now, {"status", "podIP"}) + ":1\n"));
  EXPECT_THAT(log(now, "main"), ::testing::HasSubstr("changed"));
}

TEST_F(kubelet_test, restarts_a_container_that_fails_and_backs_off) {
  make_pod(R"({"containers": [{"name": "main", "image": "x", "command": ["sh", "-c", "exit 7"]}]})");
  const auto now = until([](const json& p) {
    const auto& s = list_at(p, {"status", "containerStatuses"});
    return !s.empty() && number_at(s[0], {"restartCount"}) >= 2 &&
           text_at(s[0], {"state", "waiting", "reason"}) == "CrashLoopBackOff";
  });
  EXPECT_EQ(number_at(now["status"]["containerStatuses"][0], {"lastState", "terminated", "exitCode"}), 7);
}

TEST_F(kubelet_test, shows_what_a_container_left_in_its_termination_log) {
  make_pod(R"({"restartPolicy": "Never", "containers": [
    {"name": "told", "image": "x", "command": ["sh", "-c", "echo gave up > /dev/termination-log; exit 71"]},
    {"name": "elsewhere", "image": "x", "terminationMessagePath": "/tmp/why", "env": [{"name": "WHY", "value": "/tmp/why"}],
     "command": ["sh", "-c", "printf '\\377 so' > $WHY"]},
    {"name": "much", "image": "x", "command": ["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x > /dev/termination-log"]},
    {"name": "trick", "image": "x", "command": ["sh", "-c", "ln -sf /etc/passwd /dev/termination-log"]},
    {"name": "log", "image": "x", "terminationMessagePolicy": "FallbackToLogsOnError", "command": ["sh", "-c", "echo one; echo two words; exit 1"]},
    {"name": "mute", "image": "x", "command": ["sh", "-c", "echo only the log; exit 1"]}]})");
  const auto now = until([](const json& p) { return text_at(p, {"status", "phase"}) == "Failed"; });
  std::map<std::string, std::string> messages;
  for (const auto& each : list_at(now, {"status", "containerStatuses"}))
    messages[text_at(each, {"name"})] = text_at(each, {"state", "terminated", "message"});
  EXPECT_EQ(messages["told"], "gave up\n");
  EXPECT_EQ(messages["elsewhere"], "\xEF\xBF\xBD so");
  EXPECT_EQ(messages["much"].size(), 4096U);
  EXPECT_EQ(messages["trick"], "");
  EXPECT_EQ(messages["log"], "one\ntwo words\n");
  EXPECT_EQ(messages["mute"], "");
}

TEST_F(kubelet_test, keeps_the_last_words_of_the_life_before_and_clears_them_for_the_next) {
  make_pod(R"({"containers": [{"name": "main", "image": "x", "volumeMounts": [{"name": "w", "mountPath": "/w"}],
    "command": ["sh", "-c", "test -s /dev/termination-log && echo old words; test -e /w/lived && exec sleep 1000; touch /w/lived; echo first > /dev/termination-log; exit 3"]}],
    "volumes": [{"name": "w", "emptyDir": {}}]})");
  const auto now = until(
      [](const json& p) { return ready(p) && number_at(p["status"]["containerStatuses"][0], {"restartCount"}) == 1; });
  const auto& status = now["status"]["containerStatuses"][0];
  EXPECT_EQ(text_at(status, {"lastState", "terminated", "message"}), "first\n");
  EXPECT_EQ(log(now, "main", 1), "");
}

TEST_F(kubelet_test, is_ready_only_while_the_readiness_probe_passes_and_restarts_on_liveness) {
  make_pod(
      R"({"terminationGracePeriodSeconds": 1, "volumes": [{"name": "w", "emptyDir": {}}], "containers": [{"name": "main", "image": "x", "volumeMounts": [{"name": "w", "mountPath": "/w"}],
    "command": ["sh", "-c", "touch /w/live /w/ready; sleep 1000"],
    "readinessProbe": {"exec": {"command": ["test", "-e", "/w/ready"]}, "periodSeconds": 1, "failureThreshold": 1},
    "livenessProbe": {"exec": {"command": ["test", "-e", "/w/live"]}, "periodSeconds": 1, "failureThreshold": 1, "initialDelaySeconds": 1}}]})");
  const auto now = until(ready);
  const auto files = directory_ + "/pods/" + uid_of(now) + "/volumes/w/";
  std::filesystem::remove(files + "ready");
  until([](const json& p) { return !ready(p); });
  std::filesystem::remove(files + "live");
  until(
      [](const json& p) { return number_at(p["status"]["containerStatuses"][0], {"restartCount"}) == 1 && ready(p); });
}

TEST_F(kubelet_test, gives_long_directories_a_short_name_so_that_sockets_fit_into_them) {
  make_pod(
      R"({"volumes": [{"name": "a-volume-with-a-very-long-name-that-leaves-no-room", "emptyDir": {}}], "containers": [
    {"name": "main", "image": "x", "volumeMounts": [{"name": "a-volume-with-a-very-long-name-that-leaves-no-room", "mountPath": "/run/shared"}],
     "command": ["sh", "-c", "touch /run/shared/there; echo /run/shared/x.sock; sleep 1000"]}]})");
  const auto now = until(ready);
  const auto place =
      directory_ + "/pods/" + uid_of(now) + "/volumes/a-volume-with-a-very-long-name-that-leaves-no-room";
  ASSERT_GT(place.size(), 80U);
  std::string seen;
  until([&](const json& p) { return (seen = log(p, "main", 0)).find("x.sock\n") != std::string::npos; });
  seen.erase(0, seen.find(' ') + 1);  // when it was written
  EXPECT_LT(seen.size(), 40U) << seen;
  EXPECT_TRUE(std::filesystem::exists(place + "/there"));
  const auto link = std::filesystem::path(seen).parent_path();
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  kubelet_.reset();
  EXPECT_FALSE(std::filesystem::is_symlink(link));
}

TEST_F(kubelet_test, ends_a_pod_with_hook_term_and_kill_and_removes_it) {
  make_pod(R"({"terminationGracePeriodSeconds": 1, "volumes": [{"name": "w", "hostPath": {"path": ")" + directory_ +
           R"("}}], "containers": [
    {"name": "polite", "image": "x", "volumeMounts": [{"name": "w", "mountPath": "/w"}], "readinessProbe": {"exec": {"command": ["test", "-e", "/w/polite"]}, "periodSeconds": 1}, "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /w/out"]}}},
     "command": ["sh", "-c", "trap 'echo term >> /w/out; exit 0' TERM; touch /w/polite; while :; do sleep 0.05; done"]},
    {"name": "stubborn", "image": "x", "volumeMounts": [{"name": "w", "mountPath": "/w"}], "readinessProbe": {"exec": {"command": ["test", "-e", "/w/stubborn"]}, "periodSeconds": 1}, "command": ["sh", "-c", "trap '' TERM; touch /w/stubborn; while :; do sleep 0.05; done"]}]})");
  until(ready);
  const auto began = steady_clock::now();
  ASSERT_TRUE(registry_.remove(*catalog_.find_bucket("pods"), "default", "p", {}));
  until([](const json& p) { return p.is_null(); });
  EXPECT_GE(steady_clock::now() - began, std::chrono::milliseconds(900));
  EXPECT_EQ(read_file(directory_ + "/out"), "hook\nterm\n");
}

TEST_F(kubelet_test, survives_a_probe_that_prints_what_is_not_text) {
  make_pod(R"({"containers": [{"name": "main", "image": "x", "command": ["sleep", "1000"],
    "readinessProbe": {"exec": {"command": ["sh", "-c", "printf '\\377\\376'; exit 1"]}, "failureThreshold": 1}}]})");
  until([this](const json&) {
    const auto events = store_.list("events", "default").objects;
    return std::any_of(events.begin(), events.end(),
                       [](const object_ptr& each) { return text_at(*each, {"reason"}) == "Unhealthy"; });
  });
}

TEST_F(kubelet_test, says_how_to_map_an_image_that_it_does_not_know_and_goes_on_once_it_is_mapped) {
  make_pod(R"({"containers": [{"name": "main", "image": "unknown", "args": ["1000"]}]})");
  const auto now = until([](const json& p) {
    const auto& s = list_at(p, {"status", "containerStatuses"});
    return !s.empty() && text_at(s[0], {"state", "waiting", "reason"}) == "ErrImagePull";
  });
  EXPECT_THAT(text_at(now["status"]["containerStatuses"][0], {"state", "waiting", "message"}),
              ::testing::HasSubstr("--image unknown=PROGRAM"));
  kubelet_->map_image("unknown", "/bin/sleep");
  until(ready);
}

TEST_F(kubelet_test, waits_for_a_secret_that_is_missing) {
  make_pod(
      R"({"volumes": [{"name": "s", "secret": {"secretName": "late"}}], "containers": [{"name": "main", "image": "x", "volumeMounts": [{"name": "s", "mountPath": "/s"}], "command": ["sh", "-c", "cat /s/k; sleep 1000"]}]})");
  until([this](const json&) { return !store_.list("events", "default").objects.empty(); });
  EXPECT_EQ(text_at(pod(), {"status", "phase"}), "Pending");
  make("secrets", R"({"metadata": {"name": "late"}, "stringData": {"k": "v"}})");
  until(ready);
}

TEST_F(kubelet_test, leaves_the_logs_of_a_cluster_that_stops_but_no_secrets) {
  make("secrets", R"({"metadata": {"name": "s"}, "stringData": {"k": "v"}})");
  make_pod(
      R"({"volumes": [{"name": "s", "secret": {"secretName": "s"}}], "containers": [{"name": "main", "image": "x", "volumeMounts": [{"name": "s", "mountPath": "/s"}], "command": ["sh", "-c", "echo hello; sleep 1000"]}]})");
  const auto now = until(ready);
  ASSERT_EQ(read_file(directory_ + "/pods/" + uid_of(now) + "/volumes/s/k"), "v");
  kubelet_.reset();
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/pods/" + uid_of(now) + "/volumes"));
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/pods/" + uid_of(now) + "/logs"));
}

TEST(write_volume, switches_all_files_at_once_and_drops_those_that_are_gone) {
  const auto place = ::testing::TempDir() + "volume-" + random_suffix(8);
  ASSERT_TRUE(write_volume(place, {{"a", {"1"}}, {"d/b", {"2"}}}));
  EXPECT_EQ(read_file(place + "/a"), "1");
  EXPECT_EQ(read_file(place + "/d/b"), "2");
  ASSERT_TRUE(write_volume(place, {{"a", {"3"}}}));
  EXPECT_EQ(read_file(place + "/a"), "3");
  EXPECT_FALSE(std::filesystem::exists(place + "/d"));
  std::filesystem::remove_all(place);
}

TEST(volume_content, refuses_a_file_outside_of_its_volume) {
  const auto volume =
      json::parse(R"({"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "../../x"}]}})");
  const auto out =
      volume_content(json::object(), volume,
                     {.find_object = [](const auto&, const auto&) { return json::parse(R"({"data": {"k": "v"}})"); },
                      .token = {},
                      .authority = ""});
  ASSERT_FALSE(out);
  EXPECT_THAT(out.error().context, ::testing::HasSubstr("outside"));
}

}  // namespace
}  // namespace orrery::local
