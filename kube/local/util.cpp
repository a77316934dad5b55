#include "kube/local/util.hpp"

#include "mesh/base/assert.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace orrery::local {

std::string rfc3339(wall_time at) {
  const auto seconds = std::chrono::system_clock::to_time_t(at);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::string rfc3339_nano(wall_time at) {
  const auto nanos =
      std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count() % 1'000'000'000;
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), ".%09dZ", static_cast<int>(nanos));
  auto out = rfc3339(at);
  out.pop_back();
  return out + text.data();
}

std::optional<wall_time> parse_rfc3339(std::string_view text) {
  std::tm parts{};
  const std::string whole(text);
  const char* rest = strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  auto at = std::chrono::system_clock::from_time_t(timegm(&parts));
  if (*rest == '.') {
    const char* begin = ++rest;
    double fraction = 0;
    double unit = 0.1;
    for (; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10)
      fraction += (*rest - '0') * unit;
    if (rest == begin) return std::nullopt;
    at += std::chrono::duration_cast<wall_time::duration>(std::chrono::duration<double>(fraction));
  }
  if (std::string_view(rest) != "Z" && std::string_view(rest) != "z") return std::nullopt;
  return at;
}

std::string new_uid() {
  std::array<unsigned char, 16> raw{};
  ORRERY_ASSERT(RAND_bytes(raw.data(), static_cast<int>(raw.size())) == 1);
  raw[6] = static_cast<unsigned char>((raw[6] & 0x0FU) | 0x40U);
  raw[8] = static_cast<unsigned char>((raw[8] & 0x3FU) | 0x80U);
  std::string out;
  for (std::size_t at = 0; at < raw.size(); ++at) {
    std::array<char, 3> hex{};
    std::snprintf(hex.data(), hex.size(), "%02x", raw[at]);
    if (at == 4 || at == 6 || at == 8 || at == 10) out += '-';
    out += hex.data();
  }
  return out;
}

std::string random_suffix(std::size_t length) {
  constexpr std::string_view letters = "bcdfghjklmnpqrstvwxz2456789";
  std::string raw(length, '\0');
  ORRERY_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(length)) == 1);
  for (auto& each : raw)
    each = letters[static_cast<unsigned char>(each) % letters.size()];
  return raw;
}

double random_unit() {
  std::uint32_t raw = 0;
  ORRERY_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(&raw), sizeof raw) == 1);
  return raw / 4294967296.0;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool write_file(const std::string& path, std::string_view data, bool secret) {
  const auto fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0644);
  if (fd < 0) return false;
  bool good = true;
  for (std::size_t at = 0; good && at < data.size();) {
    const auto written = ::write(fd, data.data() + at, data.size() - at);
    good = written > 0;
    if (good) at += static_cast<std::size_t>(written);
  }
  ::close(fd);
  return good && ::rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace orrery::local
