#pragma once
#include "mesh/process/builtin/builtin.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace orrery::process {

/// Levels that a kv document adds around a value that is put into it, in a reply and in a snapshot.
inline constexpr int kv_depth_added = 4;
inline constexpr std::int64_t kv_list_max = 1000;  ///< keys of one `list`

/// The built-in `kv`: a document of keys with values, docs/protocol.md has its methods. A key's version is that of its
/// last write and grows with every write to the process, so a deleted and rewritten key never has an old version again;
/// a key that is not there has version 0. A key with a time to live is gone when that is over, whether or not anybody
/// looks; a move takes what is left of it along.
class kv final : public builtin_process {
 public:
  static constexpr builtin_kind kind = builtin_kind::kv;
  static constexpr std::string_view calls[] = {"cas",  "delete", "expire", "get", "keys",
                                               "list", "merge",  "patch",  "put"};
  static constexpr std::string_view casts[] = {"cas", "delete", "expire", "merge", "patch", "put"};
  using options_type = no_options;
  static result<no_options> read_options(const value& given) { return read_no_options(given); }

  explicit kv(const builtin_settings<no_options>& settings) : settings_(settings) {}

  std::optional<exit_reason> init(const scope&, std::uint64_t) override { return {}; }
  /// [last version, {key: [version, value] or [version, value, milliseconds that it lasts]}]
  result<value> snapshot(const moment& at) override;
  std::size_t state_bytes() const noexcept override { return size_; }
  result<void> restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) override;

 protected:
  outcome handle(const scope& where, std::string_view method, const value& argument) override;
  void advance(const scope& where) override;
  time_point next_due() const override { return ends_.empty() ? never : ends_.begin()->first; }

 private:
  struct entry {
    std::int64_t version = 0;
    bytes encoded;  ///< the value, one CBOR item
    time_point until = never;
  };
  using entries = std::map<std::string, entry, std::less<>>;

  outcome get(const scope& where, const value& argument) const;
  outcome whole() const;
  outcome keys() const;
  outcome list(const scope& where, const value& argument) const;
  outcome put(const scope& where, std::string_view method, const value& argument);
  outcome patch(const scope& where, const value& argument);
  outcome merge(const scope& where, const value& argument);
  outcome expire(const scope& where, const value& argument);
  outcome erase(const value& argument);

  [[nodiscard]] std::optional<error> check_version(std::string_view key, std::optional<std::int64_t> seen) const;
  /// `until`: nothing keeps what the key has.
  outcome write(std::string_view key, byte_view encoded, std::optional<time_point> until);
  void set_end(entries::iterator of, time_point until);
  void remove(entries::iterator gone);
  [[nodiscard]] bytes describe(const scope& where, const entry& held, const std::string* key, bool with_value) const;

  const builtin_settings<no_options>& settings_;
  entries entries_;
  std::set<std::pair<time_point, std::string>> ends_;  ///< of the keys that have an end
  std::int64_t version_ = 0;
  std::size_t size_ = 0;  ///< about what the snapshot has
};

}  // namespace orrery::process
