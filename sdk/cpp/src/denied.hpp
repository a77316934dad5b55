#pragma once
// A Unix socket that this program may not connect to.
#include <stdexcept>
#include <string>

namespace orrery::app {

/// Says which socket, to whom, and who may connect.
class socket_denied : public std::runtime_error {
 public:
  /// `problem`: the errno of connect, EACCES or EPERM.
  socket_denied(const std::string& path, int problem);
};

}  // namespace orrery::app
