#include "sidecar/member_cache.hpp"

#include "mesh/base/endpoint.hpp"
#include "sidecar/config.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace orrery::sidecar {

namespace {

using nlohmann::json;

constexpr int format_version = 1;

json head_of(const member_cache_owner& owner) {
  return {{"version", format_version}, {"namespace", owner.name_space},
          {"mesh", owner.mesh},        {"meshID", owner.mesh_id},
          {"pod", owner.pod},          {"podUID", owner.uid}};
}

const std::string* text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

std::optional<node::expected_member> member_from(const json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const auto* name = text_of(entry, "name");
  const auto* uid = text_of(entry, "uid");
  const auto* address = text_of(entry, "address");
  const auto terminating = entry.find("terminating");
  if (name == nullptr || name->empty() || uid == nullptr || address == nullptr) return std::nullopt;
  if (!address->empty() && !parse_endpoint(*address)) return std::nullopt;
  if (terminating == entry.end() || !terminating->is_boolean()) return std::nullopt;
  return node::expected_member{node_name{*name}, *uid, *address, terminating->get<bool>()};
}

/// What is wrong with it, or nothing.
std::string read_into(std::vector<node::expected_member>& out, const std::string& text,
                      const member_cache_owner& owner) {
  const auto document = json::parse(text, nullptr, false);
  if (!document.is_object()) return "is not a JSON object";
  const json head = head_of(owner);
  for (const auto& [key, expected] : head.items()) {
    const auto found = document.find(key);
    if (found == document.end()) return fmt::format("has no {}", key);
    if (*found != expected) return fmt::format("{} is not {}: it is another node's", key, expected.dump());
  }
  const auto members = document.find("members");
  if (members == document.end() || !members->is_array()) return "has no list of members";
  if (members->size() > peers_max) return fmt::format("names {} members; {} are accepted", members->size(), peers_max);
  for (const auto& entry : *members) {
    auto one = member_from(entry);
    if (!one) return fmt::format("members[{}] is not a member", out.size());
    out.push_back(*std::move(one));
  }
  const bool names_us = std::any_of(
      out.begin(), out.end(), [&](const auto& each) { return each.name.value == owner.pod && each.uid == owner.uid; });
  return names_us ? "" : "does not name this pod";
}

/// Whole, or an errno.
int write_whole(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return errno;
  int wrong = 0;
  for (std::size_t done = 0; done < text.size() && wrong == 0;) {
    const auto wrote = ::write(file, text.data() + done, text.size() - done);
    if (wrote > 0) {
      done += static_cast<std::size_t>(wrote);
    } else if (wrote == 0 || errno != EINTR) {
      wrong = wrote == 0 ? ENOSPC : errno;
    }
  }
  if (::close(file) != 0 && wrong == 0) wrong = errno;
  return wrong;
}

}  // namespace

member_cache::member_cache(std::string path, member_cache_owner owner)
    : path_(std::move(path)), owner_(std::move(owner)) {}

result<std::optional<std::vector<node::expected_member>>> member_cache::load() const {
  using list = std::optional<std::vector<node::expected_member>>;
  if (path_.empty() || (::access(path_.c_str(), F_OK) != 0 && errno == ENOENT)) return list{};
  auto text = read_file(path_, member_cache_bytes_max);
  if (!text) return fail(std::move(text.error()));
  std::vector<node::expected_member> out;
  if (auto wrong = read_into(out, *text, owner_); !wrong.empty()) {
    return fail(errc::invalid_argument, fmt::format("{}: {}", path_, wrong));
  }
  return list{std::move(out)};
}

result<void> member_cache::store(const std::vector<node::expected_member>& members) const {
  if (path_.empty()) return {};
  json document = head_of(owner_);
  document["members"] = json::array();
  for (const auto& each : members) {
    document["members"].push_back(
        {{"name", each.name.value}, {"uid", each.uid}, {"address", each.address}, {"terminating", each.terminating}});
  }
  const std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (members.size() > peers_max || text.size() > member_cache_bytes_max) {
    return fail(errc::too_large, fmt::format("{}: {} members, {} bytes; {} members and {} bytes are kept", path_,
                                             members.size(), text.size(), peers_max, member_cache_bytes_max));
  }
  const std::string next = path_ + ".next";
  int wrong = write_whole(next, text);
  if (wrong == 0 && ::rename(next.c_str(), path_.c_str()) != 0) wrong = errno;
  if (wrong == 0) return {};
  (void)::unlink(next.c_str());
  return fail(errc::io, fmt::format("{}: cannot be written: {}", path_, std::strerror(wrong)));
}

}  // namespace orrery::sidecar
