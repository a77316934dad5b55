#include "sidecar/termination_log.hpp"

#include "mesh/base/ids.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace orrery::sidecar {

void write_termination_log(const std::string& path, std::string_view why) {
  const int file = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return;
  why = cut_text(why, termination_log_bytes_max);
  static_cast<void>(::write(file, why.data(), why.size()) < 0);
  ::close(file);
}

}  // namespace orrery::sidecar
