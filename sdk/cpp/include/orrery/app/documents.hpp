#pragma once
// What the sidecar knows of groups and keys.
#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace orrery::app {

using nlohmann::json;

/// Who holds a key, and the value that it gave it.
struct holder {
  std::string key;
  std::string pid;
  json value;
};

/// A key of the mesh, and one who holds it.
struct registered_key {
  std::string key;
  bool unique = false;
  std::string pid;
  std::string node;
  json value;
};

struct key_list {
  std::vector<registered_key> entries;
  bool truncated = false;  ///< there are more than the limit
};

struct group_member {
  std::string pid;
  std::string node;
};

struct group_members {
  std::string group;
  std::vector<group_member> members;
  bool truncated = false;  ///< there are more than are listed
};

struct group_size {
  std::string name;
  std::size_t members = 0;
  std::size_t here = 0;  ///< of these on this node
};

struct group_list {
  std::vector<group_size> groups;
  bool truncated = false;  ///< there are more than the limit
};

}  // namespace orrery::app
