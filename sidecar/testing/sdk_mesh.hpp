#pragma once
// For tests of the SDK protocol: sidecars on loopback, and clients of theirs.
#include "sidecar/testing/local_mesh.hpp"
#include "sidecar/testing/sdk_client.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <iostream>
#include <memory>
#include <string>

namespace orrery::sidecar {

using namespace std::chrono_literals;
using fixtures::local_mesh;
using fixtures::sdk_client;
using nlohmann::json;

class sdk_mesh : public ::testing::Test {
 protected:
  void form(std::size_t nodes, const std::string& classes) {
    mesh_ = std::make_unique<local_mesh>(
        fixtures::local_mesh_options{.binary = ORRERY_SIDECAR_BINARY, .nodes = nodes, .classes = classes});
    ASSERT_TRUE(mesh_->wait_ready(10s)) << mesh_->log(0) << mesh_->ask_admin(0, "/readyz").body;
  }
  [[nodiscard]] sdk_client dial(std::size_t node = 0) const { return sdk_client("unix:" + mesh_->sdk_socket(node)); }
  static json message(const char* type, const std::string& name, const std::string& method, json argument = nullptr) {
    const auto slash = name.find('/');
    return {{"type", type},
            {"class", name.substr(0, slash)},
            {"key", name.substr(slash + 1)},
            {"method", method},
            {"argument", std::move(argument)}};
  }
  static json a_call(const std::string& name, const std::string& method, json argument = nullptr) {
    return message("call", name, method, std::move(argument));
  }
  [[nodiscard]] std::string metric(std::size_t node, const std::string& name) const {
    const auto text = mesh_->ask_admin(node, "/metrics").body;
    const auto at = text.find("\n" + name + " ");
    if (at == std::string::npos) return "none";
    const auto start = at + name.size() + 2;
    return text.substr(start, text.find('\n', start) - start);
  }
  void TearDown() override {
    if (!HasFailure() || !mesh_) return;
    for (std::size_t i = 0; i < mesh_->size(); ++i)
      std::cerr << "--- " << mesh_->name(i) << "\n" << mesh_->log(i);
  }

  std::unique_ptr<local_mesh> mesh_;
};

}  // namespace orrery::sidecar
