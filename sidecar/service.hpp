#pragma once
#include "sidecar/config.hpp"
#include "sidecar/file_watch.hpp"
#include "sidecar/options.hpp"

namespace orrery::sidecar {

/// What start-up needs from files.
struct inputs {
  file_watch config_files;  ///< looked before the file was read, so that no change falls in between
  config settings;
  genesis birth;
};
/// Errors: those of load_config and load_genesis; invalid_argument where the pod's namespace is not the mesh's.
[[nodiscard]] result<inputs> load_inputs(const options& chosen);

/// Runs a node until it has drained, is made to end, or escalates. Logs why. Blocks.
[[nodiscard]] exit_code run(const options& chosen, inputs from);

}  // namespace orrery::sidecar
