#pragma once
// Two parties on loopback with certificates of their own, for the benchmarks that need the network.
#include "bench/report.hpp"
#include "mesh/base/identity.hpp"
#include "mesh/base/result.hpp"
#include "mesh/pki/authority.hpp"

#include <string>
#include <utility>

namespace orrery::bench {

template <class T>
T must(result<T> outcome) {
  if (!outcome) give_up(to_string(outcome.error()));
  return std::move(*outcome);
}

/// A mesh's certificates in a directory that goes with it.
class certificates {
 public:
  certificates();
  ~certificates();
  certificates(const certificates&) = delete;
  certificates& operator=(const certificates&) = delete;
  /// The directory for net::transport_options. It may go once the transport is open.
  [[nodiscard]] std::string issue(const mesh_identity& who) const;

 private:
  std::string directory_;
  pki::credentials authority_;
};

}  // namespace orrery::bench
