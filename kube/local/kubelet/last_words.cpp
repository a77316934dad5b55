#include "kube/local/kubelet/last_words.hpp"

#include "kube/local/json.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace orrery::local {
namespace {

constexpr std::size_t message_bytes_max = 4096;
constexpr std::size_t log_bytes_max = 2048;
constexpr std::size_t log_lines_max = 80;

/// The file's last bytes. A container may have put anything in its place: only a file is read, and none that blocks.
std::string read_end(const std::string& path, std::size_t bytes_max, bool from_start) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (file < 0) return "";
  std::string out;
  struct stat info {};
  if (::fstat(file, &info) == 0 && S_ISREG(info.st_mode)) {
    const auto size = static_cast<std::size_t>(info.st_size);
    out.resize(std::min(size, bytes_max));
    const auto at = from_start ? 0 : static_cast<off_t>(size - out.size());
    const auto got = ::pread(file, out.data(), out.size(), at);
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  }
  ::close(file);
  return out;
}

/// Bytes that are no text are replaced: it goes into an object.
std::string as_text(const std::string& bytes) {
  return json::parse(json(bytes).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

}  // namespace

void make_termination_log(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::filesystem::remove_all(path, ignored);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file >= 0) ::close(file);
}

std::string read_termination_log(const std::string& path) { return as_text(read_end(path, message_bytes_max, true)); }

std::string end_of_log(const std::string& path) {
  // Each line of the log starts with its time and a space.
  auto lines = split(read_end(path, 2 * log_bytes_max, false), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::string out;
  for (std::size_t i = lines.size() > log_lines_max ? lines.size() - log_lines_max : 0; i < lines.size(); ++i)
    out += lines[i].substr(std::min(lines[i].size(), lines[i].find(' ') + 1)) + "\n";
  return as_text(out.size() > log_bytes_max ? out.substr(out.size() - log_bytes_max) : out);
}

}  // namespace orrery::local
