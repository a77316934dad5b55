#pragma once
#include "kube/client.hpp"
#include "operator/plan/plan.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::op {

/// Does what was decided, one action at a time. Every action may be done again after a crash, or is refused by the API
/// server when the world has moved on.
class executor {
 public:
  struct hooks {
    std::function<bool()> may_act;  ///< false once another operator leads
    /// Something that `kubectl describe` should tell.
    std::function<void(const plan::json& mesh, bool warning, std::string_view reason, const std::string& message)> tell;
    /// The same, of a ProcessClass.
    std::function<void(const plan::json& klass, std::string_view reason, const std::string& message)> warn_of_class;
    /// What the API server said of a template's pods.
    std::function<void(const plan::json& mesh, plan::template_check said)> checked;
    /// Something has a name that the mesh needs; the action fails with a conflict.
    std::function<void(const plan::json& mesh, plan::obstacle met)> obstructed;
  };

  executor(kube::client& api, hooks given);

  /// Errors: what the API server answered; cancelled when this operator does not lead any more.
  [[nodiscard]] result<void> run(const plan::json& mesh, const plan::action& what);
  [[nodiscard]] static std::string_view name_of(const plan::action& what);
  /// What it is done to: "Service demo", "Pod demo-x7k2p".
  [[nodiscard]] static std::string object_of(const plan::action& what);

 private:
  result<void> apply(const plan::json& mesh, const plan::apply_object& what);
  result<void> create_once(const plan::json& mesh, const plan::create_once& what);
  /// An object has a name of ours: nothing if it is the mesh's, else a conflict, of which the hooks are told.
  result<void> check_owner(const plan::json& mesh, const kube::resource& kind, const plan::json& there);
  /// A create was refused: as check_owner() where there is somebody else's object of that name, else `refusal`.
  error explain(const plan::json& mesh, const kube::resource& kind, const kube::object_key& key, error refusal);
  result<void> remove_object(const plan::delete_object& what);
  result<void> make_authority(const plan::json& mesh, const plan::make_authority& what);
  result<void> promote(const plan::json& mesh, const plan::promote_authority& what);
  /// Returns the Secret.
  result<plan::json> issue(const plan::json& mesh, const std::string& pod, std::chrono::seconds valid_for);
  result<void> check(const plan::json& mesh, const plan::check_template& what);
  result<void> create_pod(const plan::json& mesh, const plan::create_pod& what);
  result<void> delete_pod(const plan::json& mesh, const plan::delete_pod& what);
  result<void> touch(const plan::json& mesh, const plan::touch_pod& what);

  kube::client& api_;
  hooks hooks_;
};

}  // namespace orrery::op
