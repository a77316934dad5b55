#pragma once
// mesh/pki: certificates of a mesh: its CA, its nodes' certificates, and reading them. OpenSSL only; no files, no
// clock.
#include "mesh/base/identity.hpp"
#include "mesh/base/result.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::pki {

/// Certificates speak of wall-clock time, to the second. Always an argument: nothing here reads a clock.
using wall_time = std::chrono::system_clock::time_point;

inline constexpr std::size_t pem_bytes_max = 256U << 10U;
inline constexpr std::size_t bundle_certificates_max = 16;

/// What a certificate says. Nothing of it is verified by reading it.
struct certificate_facts {
  std::string subject;        ///< common name
  wall_time not_before;       ///< valid from, inclusive
  wall_time not_after;        ///< valid until, inclusive
  std::string serial;         ///< hexadecimal
  std::string fingerprint;    ///< SHA-256 of the certificate, lower-case hexadecimal
  std::string key_id;         ///< subject key identifier, hexadecimal; empty where there is none
  std::string issuer_key_id;  ///< authority key identifier: equals the issuer's `key_id`; empty where there is none
  bool is_authority = false;
  std::optional<mesh_identity> identity;  ///< of a node's certificate: its only orrery:// URI
};

/// The first certificate of a PEM text. Errors: invalid_argument (empty, too large, not PEM, not a certificate).
[[nodiscard]] result<certificate_facts> read_certificate(std::string_view certificate_pem);
/// Every certificate of a bundle, in its order; at least one. Errors: as read_certificate, and too many certificates.
[[nodiscard]] result<std::vector<certificate_facts>> read_bundle(std::string_view bundle_pem);

/// Errors: invalid_argument, saying that it expired, or is not valid yet, and when.
[[nodiscard]] result<void> check_valid_at(const certificate_facts& certificate, wall_time now);
/// Errors: invalid_argument where either is not PEM, or the key belongs to another certificate. Passwords are not
/// asked.
[[nodiscard]] result<void> check_key(std::string_view certificate_pem, std::string_view key_pem);
/// Whether one of the bundle's authorities signed the certificate, whatever the time.
/// Errors: invalid_argument where either is not PEM, or none did.
[[nodiscard]] result<void> check_signed_by(std::string_view certificate_pem, std::string_view bundle_pem);

/// RFC 3339, UTC, seconds: "2026-01-31T09:00:00Z".
[[nodiscard]] std::string to_text(wall_time at);

}  // namespace orrery::pki
