#pragma once
#include "mesh/base/identity.hpp"
#include "mesh/base/result.hpp"
#include "mesh/pki/certificate.hpp"
#include "mesh/pki/openssl.hpp"

#include <string>

namespace orrery::net {

/// What a node shows its peers and what it checks them by. Sessions keep what they were made of: replacing the
/// credentials does not touch open connections.
struct tls_credentials {
  pki::owned<SSL_CTX> context;  ///< TLS 1.3 only, peers must show a certificate, no resumption
  pki::certificate_facts own;
};

/// Reads tls.crt, tls.key and ca.crt and checks that they belong together and to `self`.
/// Errors: invalid_argument, with the file's path and what is wrong.
[[nodiscard]] result<tls_credentials> load_credentials(const std::string& directory, const mesh_identity& self,
                                                       pki::wall_time now);

}  // namespace orrery::net
