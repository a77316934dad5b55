// A socket that the client's user may not connect to. Permissions do not hold for root, so the client is a child with
// another uid, and the test plays the sidecar.
#include <gmock/gmock.h>

#include "sdk/cpp/fake_sidecar.hpp"
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <grp.h>
#include <memory>
#include <orrery/app.hpp>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>

namespace orrery::app {
namespace {

using namespace std::chrono_literals;
using fixtures::fake_connection;
using fixtures::fake_sidecar;
using ::testing::HasSubstr;

constexpr unsigned other_user = 65'534;

class a_denied_socket : public ::testing::Test {
 protected:
  /// In the child: tells the test one line, and waits until the test says go.
  using say = std::function<void(const std::string& line)>;

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can start a client as another user";
    std::filesystem::permissions(std::filesystem::path(sidecar_.socket()).parent_path(), std::filesystem::perms(0755));
    mode(0660);
  }
  void TearDown() override {
    for (const int each : {hears_[0], hears_[1], goes_[0], goes_[1]})
      if (each >= 0) ::close(each);
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  void mode(unsigned bits) const { ASSERT_EQ(::chmod(sidecar_.socket().c_str(), bits), 0); }
  [[nodiscard]] client_options options() const {
    client_options out;
    out.socket = sidecar_.socket();
    out.connect_timeout = 60s;
    out.log = [](const std::string&) {};
    return out;
  }
  void as_another_user(const std::function<void(const say&)>& act) {
    ASSERT_EQ(::pipe(hears_.data()), 0);
    ASSERT_EQ(::pipe(goes_.data()), 0);
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ > 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setgid(other_user) != 0 || ::setuid(other_user) != 0) ::_exit(1);
    act([this](const std::string& line) {
      const auto text = line + "\n";
      char go = 0;
      if (::write(hears_[1], text.data(), text.size()) < 0 || ::read(goes_[0], &go, 1) != 1) ::_exit(1);
    });
    ::_exit(0);
  }
  /// The child's next line; nothing in time is a failure.
  std::string heard() {
    std::string out;
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (out.empty() || out.back() != '\n') {
      pollfd waiting{hears_[0], POLLIN, 0};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      char one = 0;
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) != 1 ||
          ::read(hears_[0], &one, 1) != 1)
        return "no whole line came: " + out;
      out += one;
    }
    out.pop_back();
    return out;
  }
  void go() const { ASSERT_EQ(::write(goes_[1], "g", 1), 1); }

  static std::string end_of(const std::function<void()>& operation) {
    try {
      operation();
      return "none";
    } catch (const error& why) {
      return why.what();
    }
  }

  fake_sidecar sidecar_;
  std::array<int, 2> hears_{-1, -1};
  std::array<int, 2> goes_{-1, -1};
  pid_t child_ = -1;
};

TEST_F(a_denied_socket, fails_the_first_connection_at_once_and_says_who_may_not_and_who_may) {
  as_another_user([this](const say& tell) {
    client one(options());
    tell(end_of([&] { one.open(); }));
  });
  const auto why = heard();
  EXPECT_THAT(why, HasSubstr("forbidden: " + sidecar_.socket() +
                             ": permission denied (Permission denied) to uid 65534, "
                             "gid 65534, groups none; the socket has uid 0, gid "));
  EXPECT_THAT(why, HasSubstr("mode 0660. Accepted is a user, or a member of a group, that may write to the socket"));
  EXPECT_THAT(why, HasSubstr("the pod's volume"));
  EXPECT_THAT(why, HasSubstr("[not_executed]"));
}

TEST_F(a_denied_socket, fails_all_that_waits_for_a_connection_or_comes_then) {
  as_another_user([this](const say& tell) {
    client one(options());
    tell(end_of([&] { one.call("cart/ada", "add"); }));
    tell(end_of([&] { one.call("cart/ada", "add"); }));
    tell(end_of([&] { one.host(process_class("cart")); }));
    tell(end_of([&] { static_cast<void>(one.process()); }));
    tell(end_of([&] { one.lead("leader", [](const std::stop_token&) {}); }));
  });
  for (int i = 0; i < 5; ++i, go())
    EXPECT_THAT(heard(), HasSubstr("forbidden: " + sidecar_.socket())) << i;
}

TEST_F(a_denied_socket, in_a_closed_folder_is_told) {
  std::filesystem::permissions(std::filesystem::path(sidecar_.socket()).parent_path(), std::filesystem::perms(0700));
  as_another_user([this](const say& tell) {
    client one(options());
    tell(end_of([&] { one.open(); }));
  });
  EXPECT_THAT(heard(), HasSubstr("a folder above it is closed too"));
}

TEST_F(a_denied_socket, that_is_open_a_moment_later_does_no_harm) {
  as_another_user([this](const say& tell) {
    auto how = options();
    how.log = [&, told = std::make_shared<std::atomic<bool>>(false)](const std::string& text) {
      if (!told->exchange(true)) tell(text);
    };
    client one(how);
    tell(end_of([&] { one.open(); }));
  });
  EXPECT_THAT(heard(), HasSubstr("no connection: " + sidecar_.socket() + ": permission denied"));
  mode(0666);
  go();
  const auto line = sidecar_.accept_and_welcome();
  EXPECT_EQ(heard(), "none");
}

TEST_F(a_denied_socket, after_a_lost_connection_is_logged_and_dialled_until_it_is_open) {
  mode(0666);
  as_another_user([this](const say& tell) {
    auto how = options();
    how.log = [&](const std::string& text) {
      if (text.find("permission denied") != std::string::npos) tell(text);
    };
    client one(how);
    one.open();
    tell("open");
    tell(end_of([&] { one.call("cart/ada", "add"); }));
    tell(end_of([&] { one.call("cart/ada", "add"); }));
  });
  auto line = std::make_unique<fake_connection>(sidecar_.accept_and_welcome());
  ASSERT_EQ(heard(), "open");
  go();
  line->expect("call");
  mode(0660);
  line.reset();
  std::string ended = heard();
  std::string logged = heard();  // either of the two is first
  if (logged.find("no connection: ") == std::string::npos) std::swap(ended, logged);
  EXPECT_THAT(ended, HasSubstr("unavailable: "));
  EXPECT_THAT(logged, HasSubstr("no connection: " + sidecar_.socket() + ": permission denied"));
  go();
  go();
  EXPECT_FALSE(sidecar_.dialled(500ms)) << "several tries, all denied";
  mode(0666);
  auto next = sidecar_.accept_and_welcome();
  next.answer(next.expect("call"));
  EXPECT_EQ(heard(), "none") << "it waited, and was not refused meanwhile";
}

}  // namespace
}  // namespace orrery::app
