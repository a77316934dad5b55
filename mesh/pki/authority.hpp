#pragma once
#include "mesh/base/identity.hpp"
#include "mesh/base/result.hpp"
#include "mesh/pki/certificate.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace orrery::pki {

/// A certificate and its private key, PEM (the key as PKCS#8). The key is a secret: never log it.
struct credentials {
  std::string certificate_pem;
  std::string key_pem;
};

/// Certificates are valid from this long before `now`: clocks of hosts differ.
inline constexpr std::chrono::minutes backdated_by{5};
inline constexpr std::chrono::hours valid_for_max{24 * 366 * 30};

/// A new CA of a mesh: ECDSA P-256, self-signed, common name "orrery mesh NAMESPACE/MESH" (cut at 64 bytes), may sign
/// nodes' certificates only. Every call makes a new key.
/// Errors: invalid_argument (names that are not DNS names, validity not in (0, valid_for_max]).
[[nodiscard]] result<credentials> make_authority(std::string_view name_space, std::string_view mesh, wall_time now,
                                                 std::chrono::seconds valid_for);

/// A certificate for one pod, with a new key: ECDSA P-256, common name = pod name (cut at 64 bytes), subject
/// alternative names URI:orrery://NAMESPACE/MESH/POD and DNS:POD, client and server usage, random serial. It ends when
/// the authority ends, if that is earlier than now + valid_for: compare `not_after` when deciding on renewal. Errors:
/// invalid_argument (authority not PEM, expired, not an authority, key of another certificate; identity that is not
/// three DNS names; validity out of range).
[[nodiscard]] result<credentials> issue(const credentials& authority, const mesh_identity& node, wall_time now,
                                        std::chrono::seconds valid_for);

/// The trust bundle during a rotation: `current` first, then what of `previous` has not expired at `now`, no
/// duplicates. `previous` may be empty. Nodes must hold the new bundle before the first certificate of the new CA is
/// issued. Errors: invalid_argument (not PEM, a certificate that is no authority, more than bundle_certificates_max).
[[nodiscard]] result<std::string> combine_bundles(std::string_view current, std::string_view previous, wall_time now);

}  // namespace orrery::pki
