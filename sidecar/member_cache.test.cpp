#include "sidecar/member_cache.hpp"

#include "sidecar/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace orrery::sidecar {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class members_kept : public ::testing::Test {
 protected:
  members_kept() {
    std::string place = (fs::temp_directory_path() / "orrery-members-XXXXXX").string();
    directory = ::mkdtemp(place.data());
    path = directory / "members.json";
  }
  ~members_kept() override { fs::remove_all(directory); }

  static member_cache_owner owner() { return {"ns", "demo", "id-1", "demo-a", "uid-a"}; }
  member_cache cache(const member_cache_owner& of = owner()) const { return {path.string(), of}; }
  void write(const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }
  nlohmann::json kept() const { return nlohmann::json::parse(std::ifstream(path)); }
  std::string refusal(const member_cache_owner& of = owner()) const {
    const auto read = cache(of).load();
    return read ? "read" : read.error().context;
  }

  const std::vector<node::expected_member> both{{node_name{"demo-a"}, "uid-a", "10.0.0.1:3601", false},
                                                {node_name{"demo-b"}, "uid-b", "[fd00::2]:3601", true},
                                                {node_name{"demo-c"}, "uid-c", "", false}};
  fs::path directory;
  fs::path path;
};

TEST_F(members_kept, come_back_as_they_were) {
  ASSERT_TRUE(cache().store(both));
  EXPECT_EQ(cache().load().value(), both);
  ASSERT_TRUE(cache().store({both[0]}));
  EXPECT_EQ(cache().load().value()->size(), 1U);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1) << "nothing but the list stays behind";
}

TEST_F(members_kept, are_nothing_before_the_first_and_without_a_path) {
  EXPECT_EQ(cache().load().value(), std::nullopt);
  const member_cache none("", owner());
  EXPECT_TRUE(none.store(both));
  EXPECT_EQ(none.load().value(), std::nullopt);
}

TEST_F(members_kept, of_another_mesh_or_pod_are_refused_with_the_reason) {
  ASSERT_TRUE(cache().store(both));
  EXPECT_THAT(refusal({"other", "demo", "id-1", "demo-a", "uid-a"}), HasSubstr("namespace is not \"other\""));
  EXPECT_THAT(refusal({"ns", "other", "id-1", "demo-a", "uid-a"}), HasSubstr("mesh is not \"other\""));
  EXPECT_THAT(refusal({"ns", "demo", "id-2", "demo-a", "uid-a"}), HasSubstr("meshID is not \"id-2\""));
  EXPECT_THAT(refusal({"ns", "demo", "id-1", "demo-b", "uid-a"}), HasSubstr("pod is not \"demo-b\""));
  EXPECT_THAT(refusal({"ns", "demo", "id-1", "demo-a", "uid-z"}), HasSubstr("podUID is not \"uid-z\""));
}

TEST_F(members_kept, that_do_not_name_this_pod_are_refused) {
  ASSERT_TRUE(cache().store({both[1]}));
  EXPECT_THAT(refusal(), HasSubstr("does not name this pod"));
}

TEST_F(members_kept, that_are_malformed_are_refused_with_the_path) {
  for (const std::string text : {"", "{", "[]", "7", "{}", "\xff\xfe", R"({"version": 1})"}) {
    write(text);
    EXPECT_THAT(refusal(), HasSubstr(path.string() + ": ")) << text;
  }
  ASSERT_TRUE(cache().store(both));
  const auto good = kept();
  const auto with = [&](const char* at, const nlohmann::json& content) {
    auto broken = good;
    broken[nlohmann::json::json_pointer(at)] = content;
    write(broken.dump());
    return refusal();
  };
  EXPECT_THAT(with("/version", 2), HasSubstr("version"));
  EXPECT_THAT(with("/members", "all"), HasSubstr("list of members"));
  EXPECT_THAT(with("/members/1", "b"), HasSubstr("members[1]"));
  EXPECT_THAT(with("/members/1/name", ""), HasSubstr("members[1]"));
  EXPECT_THAT(with("/members/1/uid", 7), HasSubstr("members[1]"));
  EXPECT_THAT(with("/members/1/address", "b.example:3601"), HasSubstr("members[1]"));
  EXPECT_THAT(with("/members/1/terminating", "no"), HasSubstr("members[1]"));
}

TEST_F(members_kept, are_bounded_when_read_and_when_written) {
  write(std::string(member_cache_bytes_max + 1, ' '));
  EXPECT_EQ(cache().load().error().code, errc::too_large);
  ASSERT_TRUE(cache().store(both));
  auto many = both;
  many.resize(peers_max + 1, both[1]);
  EXPECT_EQ(cache().store(many).error().code, errc::too_large);
  EXPECT_EQ(cache().load().value(), both) << "the old list stays";
  auto crowd = kept();
  while (crowd["members"].size() <= peers_max)
    crowd["members"].push_back(crowd["members"][0]);
  write(crowd.dump());
  EXPECT_THAT(refusal(), HasSubstr("1001 members"));
}

TEST_F(members_kept, that_cannot_be_written_say_where_and_why) {
  const member_cache nowhere((directory / "missing" / "members.json").string(), owner());
  const auto done = nowhere.store(both);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().context, HasSubstr("missing/members.json: cannot be written: No such file"));
}

TEST_F(members_kept, are_never_written_through_a_link) {
  const auto other = directory / "other";
  std::ofstream(other) << "precious";
  fs::create_symlink(other, path.string() + ".next");
  EXPECT_FALSE(cache().store(both));
  std::string content;
  std::getline(std::ifstream(other), content);
  EXPECT_EQ(content, "precious");
}

}  // namespace
}  // namespace orrery::sidecar
