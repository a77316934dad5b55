#pragma once
#include <memory>
#include <string>

namespace orrery::kube::testing {

struct test_certificate {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM
};

/// A certificate authority for tests, made afresh.
class test_ca {
 public:
  test_ca();
  ~test_ca();
  test_ca(const test_ca&) = delete;
  test_ca& operator=(const test_ca&) = delete;

  [[nodiscard]] const std::string& certificate() const noexcept { return certificate_; }
  /// `names` as OpenSSL writes them: "IP:127.0.0.1" or "DNS:localhost"; empty: none.
  [[nodiscard]] test_certificate issue(const std::string& common_name, const std::string& names) const;

 private:
  struct state;
  std::unique_ptr<state> state_;
  std::string certificate_;
};

}  // namespace orrery::kube::testing
