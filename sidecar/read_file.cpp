#include "sidecar/config.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace orrery::sidecar {

result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(errc::io, fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  std::string text(bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.gcount() == 0 && !in.eof())) {
    return fail(errc::io, fmt::format("{}: cannot be read: {}", path, std::strerror(errno != 0 ? errno : EIO)));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > bytes_max) return fail(errc::too_large, fmt::format("{}: over {} bytes", path, bytes_max));
  text.shrink_to_fit();
  return text;
}

}  // namespace orrery::sidecar
