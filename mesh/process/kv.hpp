#pragma once
#include "mesh/process/behaviour.hpp"

#include <cstdint>
#include <memory>

namespace orrery::process {

/// Levels that a kv document adds around a value that is put into it, in a reply and in a snapshot.
inline constexpr int kv_depth_added = 4;

/// The built-in `kv`: a document of keys with values. Calls: `get` (a key, or null for all), `put {key, value}`,
/// `delete` (a key), `keys`, `cas {key, version, value}`; casts: `put`, `delete`, `cas`. A key's version is that of its
/// last write and grows with every write to the process, so a deleted and rewritten key never has an old version again;
/// a key that is not there has version 0.
[[nodiscard]] std::unique_ptr<behaviour_type> make_kv_type(std::uint64_t state_bytes_max);

}  // namespace orrery::process
