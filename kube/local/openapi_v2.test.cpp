#include "kube/local/openapi_v2.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string_view>
#include <vector>

namespace orrery::local {
namespace {

struct field {
  std::uint64_t number = 0;
  std::string_view bytes;
};

/// The fields of a message, all of which have a length; a failure of the test if it is not one.
std::vector<field> protobuf_fields(std::string_view text) {
  const auto varint = [&]() -> std::optional<std::uint64_t> {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64 && !text.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(text.front());
      text.remove_prefix(1);
      out |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return out;
    }
    return std::nullopt;
  };
  std::vector<field> out;
  while (!text.empty()) {
    const auto key = varint();
    const auto size = varint();
    if (!key || (*key & 7U) != 2 || !size || *size > text.size()) {
      ADD_FAILURE() << "not a message";
      return out;
    }
    out.push_back({*key >> 3U, text.substr(0, *size)});
    text.remove_prefix(*size);
  }
  return out;
}

std::string_view first(const std::vector<field>& all, std::uint64_t number) {
  for (const auto& each : all)
    if (each.number == number) return each.bytes;
  return {};
}

/// The schema of a definition.
std::vector<field> schema_of(const std::string& document, std::string_view name) {
  for (const auto& pair : protobuf_fields(first(protobuf_fields(document), 9))) {
    const auto entry = protobuf_fields(pair.bytes);
    if (first(entry, 1) == name) return protobuf_fields(first(entry, 2));
  }
  return {};
}

TEST(openapi_v2, is_a_document_of_definitions_with_references_of_version_2) {
  const auto document = openapi_v2(catalog{});
  const auto fields = protobuf_fields(document);
  EXPECT_EQ(first(fields, 1), "2.0");
  EXPECT_EQ(document.find("#/components/"), std::string::npos);
  const auto pod = schema_of(document, "Pod");
  ASSERT_FALSE(pod.empty());
  bool refers = false;
  for (const auto& property : protobuf_fields(first(pod, 25))) {
    const auto entry = protobuf_fields(property.bytes);
    if (first(entry, 1) == "metadata")
      refers = first(protobuf_fields(first(entry, 2)), 1) == "#/definitions/ObjectMeta";
  }
  EXPECT_TRUE(refers);
}

TEST(openapi_v2, names_the_kind_of_a_definition_so_that_kubectl_finds_it) {
  const auto document = openapi_v2(catalog{});
  const auto pod = schema_of(document, "Pod");
  const auto extension = protobuf_fields(first(pod, 31));
  EXPECT_EQ(first(extension, 1), "x-kubernetes-group-version-kind");
  EXPECT_EQ(first(protobuf_fields(first(extension, 2)), 2), R"([{"group":"","kind":"Pod","version":"v1"}])");
}

}  // namespace
}  // namespace orrery::local
