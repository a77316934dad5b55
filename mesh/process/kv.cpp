#include "mesh/process/kv.hpp"

#include "mesh/wire/cbor.hpp"

#include <array>
#include <map>

namespace orrery::process {
namespace {

using cbor::major;

struct entry {
  std::int64_t version = 0;
  bytes encoded;  ///< the value, one CBOR item
};
using entries = std::map<std::string, entry, std::less<>>;

/// Heads of key, pair, version and value: what an entry costs beside its key and value.
constexpr std::size_t entry_overhead = 20;

struct write_request {
  std::string_view key;
  byte_view encoded;
  std::optional<std::int64_t> version;
};

tl::unexpected<error> wrong_argument(std::string_view method, std::string_view wanted, std::string_view given) {
  return fail(errc::invalid_argument,
              "kv." + std::string{method} + " takes " + std::string{wanted} + ", not " + std::string{given});
}

result<std::string_view> key_of(std::string_view method, const value& argument) {
  cbor::reader in(argument.cbor());
  const auto given = in.next();
  if (given.kind != major::text) return wrong_argument(method, "a key (a string)", cbor::describe(given));
  return in.take(given.number);
}

/// {"key": text, "value": anything, "version": integer for cas}
result<write_request> write_of(std::string_view method, const value& argument) {
  const bool cas = method == "cas";
  const std::string_view wanted = cas ? R"({"key": ..., "version": N, "value": ...})" : R"({"key": ..., "value": ...})";
  cbor::reader in(argument.cbor());
  const auto given = in.next();
  if (given.kind != major::map) return wrong_argument(method, wanted, cbor::describe(given));
  std::optional<std::string_view> key;
  std::optional<byte_view> encoded;
  std::optional<std::int64_t> version;
  int depth = 0;
  for (std::uint64_t i = 0; i < given.number; ++i) {
    const auto field = in.take(in.next().number);
    const byte_view held = field == "value" ? in.whole(&depth) : in.whole();
    cbor::reader content(held);
    const auto head = content.next();
    if (field == "key") {
      if (head.kind != major::text)
        return wrong_argument(method, wanted, "a key that is " + std::string{cbor::describe(head)});
      key = content.take(head.number);
    } else if (field == "value") {
      encoded = held;
    } else if (field == "version" && cas) {
      version = head.integer();
      if (!version) return wrong_argument(method, wanted, "a version that is " + std::string{cbor::describe(head)});
    } else {
      return wrong_argument(method, wanted, "an object with the field '" + std::string{field.substr(0, 80)} + "'");
    }
  }
  if (!key) return wrong_argument(method, wanted, "an object without a key");
  if (!encoded) return wrong_argument(method, wanted, "an object without a value");
  if (cas && !version)
    return wrong_argument(method, wanted, "an object without a version (0: the key is not there yet)");
  if (depth + kv_depth_added > value_depth_max) {
    return fail(errc::too_large, "the value of '" + std::string{key->substr(0, 80)} + "' nests deeper than " +
                                     std::to_string(value_depth_max - kv_depth_added) + " levels");
  }
  return write_request{*key, *encoded, version};
}

value version_reply(std::int64_t version) {
  bytes encoded;
  cbor::put_head(encoded, major::map, 1);
  cbor::put_text(encoded, "version");
  cbor::put_integer(encoded, version);
  return value::adopt(std::move(encoded));
}

void append(bytes& out, byte_view encoded) { out.insert(out.end(), encoded.begin(), encoded.end()); }

class kv final : public behaviour {
 public:
  explicit kv(const std::uint64_t& state_bytes_max) : state_bytes_max_(state_bytes_max) {}

  std::optional<exit_reason> init(const scope&, std::uint64_t) override { return {}; }

  outcome call(const scope&, std::string_view method, const value& argument) override {
    if (method == "get") return get(argument);
    if (method == "put" || method == "cas") return write(method, argument);
    if (method == "delete") return erase(argument);
    if (method == "keys") return keys();
    return refused{{errc::not_found, "kv has no method '" + std::string{method.substr(0, 80)} + "'"}};
  }
  outcome cast(const scope& where, std::string_view method, const value& argument) override {
    return call(where, method, argument);
  }
  void terminate(const scope&, const exit_reason&) override {}

  /// [last version, {key: [version, value]}]
  result<value> snapshot() override {
    bytes encoded;
    encoded.reserve(size_ + 32);
    cbor::put_head(encoded, major::array, 2);
    cbor::put_integer(encoded, version_);
    cbor::put_head(encoded, major::map, entries_.size());
    for (const auto& [key, held] : entries_) {
      cbor::put_text(encoded, key);
      cbor::put_head(encoded, major::array, 2);
      cbor::put_integer(encoded, held.version);
      append(encoded, held.encoded);
    }
    if (encoded.size() > value_bytes_max) {
      return fail(errc::internal, "the document has " + std::to_string(encoded.size()) + " bytes; at most " +
                                      std::to_string(value_bytes_max) + " can be handed over");
    }
    return value::adopt(std::move(encoded));
  }

  std::size_t state_bytes() const noexcept override { return size_; }
  result<void> restore(const scope&, std::uint64_t, const value& state, std::uint64_t) override {
    const auto wrong = [] { return fail(errc::invalid_argument, "this is no state of a kv document"); };
    cbor::reader in(state.cbor());
    if (const auto head = in.next(); head.kind != major::array || head.number != 2) return wrong();
    const auto version = in.next().integer();
    if (!version) return wrong();
    const auto map = in.next();
    if (map.kind != major::map) return wrong();
    entries restored;
    std::size_t size = 0;
    for (std::uint64_t i = 0; i < map.number; ++i) {
      const auto name = in.next();
      if (name.kind != major::text) return wrong();
      const std::string key{in.take(name.number)};
      if (const auto pair = in.next(); pair.kind != major::array || pair.number != 2) return wrong();
      const auto written = in.next().integer();
      if (!written) return wrong();
      const auto held = in.whole();
      size += key.size() + held.size() + entry_overhead;
      restored[key] = {*written, bytes(held.begin(), held.end())};
    }
    entries_ = std::move(restored);
    version_ = *version;
    size_ = size;
    return {};
  }

 private:
  outcome get(const value& argument) const {
    if (cbor::reader(argument.cbor()).next().is_null()) return whole();
    const auto key = key_of("get", argument);
    if (!key) return refused{key.error()};
    const auto found = entries_.find(*key);
    return done{found == entries_.end() ? value{} : value::adopt(found->second.encoded)};
  }

  outcome whole() const {
    bytes encoded;
    encoded.reserve(size_ + 9);
    cbor::put_head(encoded, major::map, entries_.size());
    for (const auto& [key, held] : entries_) {
      cbor::put_text(encoded, key);
      append(encoded, held.encoded);
    }
    return done{value::adopt(std::move(encoded))};
  }

  outcome keys() const {
    bytes encoded;
    cbor::put_head(encoded, major::array, entries_.size());
    for (const auto& [key, held] : entries_)
      cbor::put_text(encoded, key);
    return done{value::adopt(std::move(encoded))};
  }

  outcome write(std::string_view method, const value& argument) {
    const auto request = write_of(method, argument);
    if (!request) return refused{request.error()};
    const auto found = entries_.find(request->key);
    const std::int64_t current = found == entries_.end() ? 0 : found->second.version;
    if (request->version && *request->version != current) {
      return refused{{errc::conflict, "key '" + std::string{request->key.substr(0, 80)} + "' is at version " +
                                          std::to_string(current) + ", not " + std::to_string(*request->version)}};
    }
    const std::size_t replaced =
        found == entries_.end() ? 0 : found->first.size() + found->second.encoded.size() + entry_overhead;
    const std::size_t size = size_ - replaced + request->key.size() + request->encoded.size() + entry_overhead;
    if (size > state_bytes_max_) {
      return refused{{errc::limit_exceeded, "the document would have about " + std::to_string(size) +
                                                " bytes; limits.stateBytes allows " +
                                                std::to_string(state_bytes_max_)}};
    }
    size_ = size;
    entry& held = found == entries_.end() ? entries_[std::string{request->key}] : found->second;
    held.version = ++version_;
    held.encoded.assign(request->encoded.begin(), request->encoded.end());
    return done{version_reply(version_)};
  }

  outcome erase(const value& argument) {
    const auto key = key_of("delete", argument);
    if (!key) return refused{key.error()};
    const auto found = entries_.find(*key);
    if (found == entries_.end()) return done{cbor::bool_value(false)};
    size_ -= found->first.size() + found->second.encoded.size() + entry_overhead;
    entries_.erase(found);
    return done{cbor::bool_value(true)};
  }

  const std::uint64_t& state_bytes_max_;  ///< the type's: follows the class
  entries entries_;
  std::int64_t version_ = 0;
  std::size_t size_ = 0;  ///< about what the snapshot has
};

class kv_type final : public behaviour_type {
 public:
  explicit kv_type(std::uint64_t state_bytes_max) : state_bytes_max_(state_bytes_max) {}

  bool answers(message_kind kind, std::string_view method) const override {
    if (method == "put" || method == "delete" || method == "cas") return true;
    return kind == message_kind::call && (method == "get" || method == "keys");
  }
  std::string methods(message_kind kind) const override {
    return kind == message_kind::call ? "cas, delete, get, keys, put" : "cas, delete, put";
  }
  std::unique_ptr<behaviour> make() override { return std::make_unique<kv>(state_bytes_max_); }
  result<bool> upgrade(const class_spec& spec) override {
    const auto* kind = std::get_if<builtin_kind>(&spec.behaviour);
    if (kind == nullptr || *kind != builtin_kind::kv) return false;
    state_bytes_max_ = spec.limits.state_bytes_max;
    return true;
  }

 private:
  std::uint64_t state_bytes_max_;
};

}  // namespace

std::unique_ptr<behaviour_type> make_kv_type(std::uint64_t state_bytes_max) {
  return std::make_unique<kv_type>(state_bytes_max);
}

}  // namespace orrery::process
