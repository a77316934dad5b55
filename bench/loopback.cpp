#include "bench/loopback.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace orrery::bench {

using namespace std::chrono_literals;

certificates::certificates()
    : directory_((std::filesystem::temp_directory_path() / "orrery-bench-XXXXXX").string()),
      authority_(must(pki::make_authority("bench", "bench", std::chrono::system_clock::now(), 1h))) {
  if (mkdtemp(directory_.data()) == nullptr) give_up("no temporary directory at " + directory_);
}
certificates::~certificates() { std::filesystem::remove_all(directory_); }

std::string certificates::issue(const mesh_identity& who) const {
  const auto made = must(pki::issue(authority_, who, std::chrono::system_clock::now(), 1h));
  const std::string to = directory_ + "/" + who.pod;
  std::filesystem::create_directories(to);
  std::ofstream(to + "/tls.crt") << made.certificate_pem;
  std::ofstream(to + "/tls.key") << made.key_pem;
  std::ofstream(to + "/ca.crt") << authority_.certificate_pem;
  return to;
}

}  // namespace orrery::bench
