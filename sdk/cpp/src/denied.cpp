#include "denied.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace orrery::app {
namespace {

std::string groups_text() {
  std::vector<gid_t> all(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  all.resize(static_cast<std::size_t>(std::max(0, ::getgroups(static_cast<int>(all.size()), all.data()))));
  std::string out;
  for (const auto each : all)
    out += (out.empty() ? "" : ", ") + std::to_string(each);
  return out.empty() ? "none" : out;
}

std::string socket_text(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return "the socket's mode cannot be read: a folder above it is closed too";
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", about.st_mode & 07777U);
  return "the socket has uid " + std::to_string(about.st_uid) + ", gid " + std::to_string(about.st_gid) + ", mode " +
         mode.data();
}

}  // namespace

socket_denied::socket_denied(const std::string& path, int problem)
    : std::runtime_error(path + ": permission denied (" + std::strerror(problem) + ") to uid " +
                         std::to_string(::geteuid()) + ", gid " + std::to_string(::getegid()) + ", groups " +
                         groups_text() + "; " + socket_text(path) +
                         ". Accepted is a user, or a member of a group, that may write to the socket and enter its "
                         "folders: look at its mode and group, and at the pod's volume that it is in") {}

}  // namespace orrery::app
