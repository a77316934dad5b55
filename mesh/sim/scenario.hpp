#pragma once
#include "mesh/base/time.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::sim {

enum class trouble : std::uint8_t {
  planned,    ///< pods join and drain; nothing breaks: nothing may be lost and nobody sees an error
  slow,       ///< planned, and links that are slow or stall for less than it takes to be down
  apps,       ///< planned, with processes in apps that come and go: while one is there nobody sees an error
  slow_apps,  ///< apps, and links that are slow or stall; an app may be gone before its pod has handed over
  app_chaos,  ///< chaos, and apps that come and go
  chaos,      ///< crashes, silent deaths, restarts, cuts, slow links, lagging discovery, no control plane
};

struct scenario {
  std::uint64_t seed = 1;
  std::size_t nodes = 3;
  duration lasting = std::chrono::seconds{30};
  trouble kind = trouble::planned;
  bool verbose = false;
};

struct outcome {
  std::uint64_t log_hash = 0;
  std::size_t answered = 0;
  std::size_t failed = 0;
  duration simulated{};
  std::vector<std::string> wrong;
};

/// The seed decides size, length and kind.
[[nodiscard]] scenario from_seed(std::uint64_t seed);
/// Forms a mesh, troubles it while clients call, lets it heal, and checks that everything is as it should be.
[[nodiscard]] outcome run(const scenario& chosen);

}  // namespace orrery::sim
