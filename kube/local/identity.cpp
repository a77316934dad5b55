#include "kube/local/identity.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

namespace orrery::local {
namespace {

bool listed(const json& list, std::string_view value) {
  return std::any_of(list.begin(), list.end(), [&](const json& each) { return each == "*" || each == value; });
}

bool rule_allows(const json& rule, const action& what) {
  if (!listed(list_at(rule, {"verbs"}), what.verb) || !listed(list_at(rule, {"apiGroups"}), what.group)) return false;
  const auto& resources = list_at(rule, {"resources"});
  const auto slash = what.resource.find('/');
  const bool any_parent = slash != std::string::npos && listed(resources, "*" + what.resource.substr(slash));
  if (!listed(resources, what.resource) && !any_parent) return false;
  const auto& names = list_at(rule, {"resourceNames"});
  return names.empty() || std::find(names.begin(), names.end(), json(what.name)) != names.end();
}

bool is_subject(const json& binding, const identity& who) {
  for (const auto& subject : list_at(binding, {"subjects"})) {
    const auto kind = text_at(subject, {"kind"});
    const auto name = text_at(subject, {"name"});
    if (kind == "ServiceAccount" &&
        who.user == "system:serviceaccount:" + text_at(subject, {"namespace"}, namespace_of(binding)) + ":" + name)
      return true;
    if (kind == "User" && who.user == name) return true;
    if (kind == "Group" && std::find(who.groups.begin(), who.groups.end(), name) != who.groups.end()) return true;
  }
  return false;
}

bool binding_allows(const json& binding, const action& what, store& objects) {
  const bool cluster = text_at(binding, {"roleRef", "kind"}) == "ClusterRole";
  const auto role = objects.get({cluster ? "clusterroles.rbac.authorization.k8s.io" : "roles.rbac.authorization.k8s.io",
                                 cluster ? "" : namespace_of(binding), text_at(binding, {"roleRef", "name"})});
  if (!role) return false;
  const auto& rules = list_at(*role, {"rules"});
  return std::any_of(rules.begin(), rules.end(), [&](const json& rule) { return rule_allows(rule, what); });
}

}  // namespace

token_issuer::token_issuer() : key_(new_uid()), admin_(new_uid()) {}

std::string token_issuer::seal(std::string_view text) const {
  std::array<unsigned char, 32> mac{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), mac.data(), &size);
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const auto byte : mac) {
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

std::string token_issuer::service_account_token(const std::string& space, const std::string& name) const {
  const auto subject = "system:serviceaccount:" + space + ":" + name;
  return subject + ":" + seal(subject);
}

std::optional<identity> token_issuer::check(std::string_view token, store& objects) const {
  const auto same = [](std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
  };
  if (same(token, admin_)) return identity{"kubernetes-admin", {"system:masters", "system:authenticated"}};
  const auto at = token.rfind(':');
  if (at == std::string_view::npos) return std::nullopt;
  const auto subject = token.substr(0, at);
  if (!same(token.substr(at + 1), seal(subject))) return std::nullopt;
  const auto parts = split(subject, ':');
  if (parts.size() != 4 || !objects.get({"serviceaccounts", parts[2], parts[3]})) return std::nullopt;
  return identity{std::string(subject),
                  {"system:serviceaccounts", "system:serviceaccounts:" + parts[2], "system:authenticated"}};
}

bool allowed(const identity& who, const action& what, store& objects) {
  if (std::find(who.groups.begin(), who.groups.end(), "system:masters") != who.groups.end()) return true;
  if (what.group == "authorization.k8s.io" && what.resource.starts_with("selfsubject")) return true;
  for (const auto& binding : objects.list("clusterrolebindings.rbac.authorization.k8s.io").objects) {
    if (is_subject(*binding, who) && binding_allows(*binding, what, objects)) return true;
  }
  if (what.space.empty()) return false;
  for (const auto& binding : objects.list("rolebindings.rbac.authorization.k8s.io", what.space).objects) {
    if (is_subject(*binding, who) && binding_allows(*binding, what, objects)) return true;
  }
  return false;
}

tl::unexpected<api_error> forbidden(const identity& who, const action& what) {
  const auto plural = what.resource.substr(0, what.resource.find('/'));
  auto message = qualified(plural, what.group) + (what.name.empty() ? "" : " \"" + what.name + "\"") +
                 " is forbidden: User \"" + who.user + "\" cannot " + what.verb + " resource \"" + what.resource +
                 "\" in API group \"" + what.group + "\"" +
                 (what.space.empty() ? " at the cluster scope" : " in the namespace \"" + what.space + "\"");
  return refuse(403, "Forbidden", std::move(message));
}

}  // namespace orrery::local
