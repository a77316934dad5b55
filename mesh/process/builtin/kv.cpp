#include "mesh/process/builtin/kv.hpp"

#include "mesh/process/builtin/json_patch.hpp"

#include <nlohmann/json.hpp>

namespace orrery::process {
namespace {

using cbor::major;
using nlohmann::json;

/// Heads of key, tuple, version, value and end: what an entry costs beside its key and value.
constexpr std::size_t kv_entry_overhead = 30;
constexpr range<std::size_t> key_bytes{0, value_bytes_max};  // limits.stateBytes is what bounds it
constexpr range<std::int64_t> any_version{0, std::numeric_limits<std::int64_t>::max()};
constexpr range<duration> ttl_accepted{std::chrono::milliseconds{1}, up_to_a_year.most};

constexpr std::string_view key_form = "a key (a string)";

value version_reply(std::int64_t version) { return object_writer{}.integer("version", version).finish(); }

/// To decode and encode a kibibyte takes about as long as a message otherwise does.
void charge(const scope& where, std::size_t bytes_touched) {
  where.self.charge(static_cast<std::uint32_t>(bytes_touched >> 10U));
}

error no_room_for(std::string_view key) {
  return {errc::too_large,
          "the value of '" + shown(key) + "' is too large to be told with what is known of it; get it alone"};
}

std::size_t size_of(const std::string& key, byte_view encoded) {
  return key.size() + encoded.size() + kv_entry_overhead;
}

}  // namespace

outcome kv::handle(const scope& where, std::string_view method, const value& argument) {
  if (method == "get") return get(where, argument);
  if (method == "put" || method == "cas") return put(where, method, argument);
  if (method == "delete") return erase(argument);
  if (method == "keys") return keys();
  if (method == "list") return list(where, argument);
  if (method == "patch") return patch(where, argument);
  if (method == "merge") return merge(where, argument);
  if (method == "expire") return expire(where, argument);
  return refused{{errc::not_found, "kv has no method '" + shown(method) + "'"}};
}

void kv::advance(const scope& where) {
  while (!ends_.empty() && ends_.begin()->first <= where.now)
    remove(entries_.find(ends_.begin()->second));
}

// ---- reading ----

outcome kv::get(const scope& where, const value& argument) const {
  if (cbor::reader(argument.cbor()).next().is_null()) return whole();
  const bool is_object = cbor::reader(argument.cbor()).next().kind == major::map;
  arguments in("kv.get", is_object ? R"({"key": ..., "meta": true})" : key_form, argument, "key");
  const auto key = in.need("key", in.text("key", key_bytes));
  const bool meta = in.flag("meta").value_or(false);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = entries_.find(key);
  if (found == entries_.end()) return done{};
  if (!meta) return done{value::adopt(found->second.encoded)};
  const auto described = describe(where, found->second, nullptr, true);
  if (described.size() > value_bytes_max) return refused{no_room_for(found->first)};
  return done{value::adopt(described)};
}

bytes kv::describe(const scope& where, const entry& held, const std::string* key, bool with_value) const {
  object_writer out;
  if (key != nullptr) out.text("key", *key);
  out.integer("version", held.version);
  if (held.until == never) {
    out.null("ttlSeconds");
  } else {
    out.seconds("ttlSeconds", held.until - where.now);
  }
  if (with_value) out.item("value", held.encoded);
  return {out.view().begin(), out.view().end()};
}

outcome kv::whole() const {
  bytes encoded;
  encoded.reserve(size_ + 9);
  cbor::put_head(encoded, major::map, entries_.size());
  for (const auto& [key, held] : entries_) {
    cbor::put_text(encoded, key);
    cbor::put(encoded, held.encoded);
  }
  return done{value::adopt(encoded)};
}

outcome kv::keys() const {
  bytes encoded;
  cbor::put_head(encoded, major::array, entries_.size());
  for (const auto& [key, held] : entries_)
    cbor::put_text(encoded, key);
  return done{value::adopt(encoded)};
}

outcome kv::list(const scope& where, const value& argument) const {
  arguments in("kv.list", R"({"prefix": "...", "after": "...", "limit": 100, "values": true}, all optional)", argument,
               "prefix");
  const auto prefix = in.text("prefix", key_bytes).value_or("");
  const auto after = in.text("after", key_bytes).value_or("");
  const auto limit = static_cast<std::size_t>(in.integer("limit", {1, kv_list_max}).value_or(100));
  const bool values = in.flag("values").value_or(true);
  if (auto fault = in.fault()) return refused{std::move(*fault)};

  constexpr std::size_t envelope = 64;
  auto at = after < prefix ? entries_.lower_bound(prefix) : entries_.upper_bound(after);
  array_writer items(value_bytes_max - envelope);
  const std::string* last = nullptr;
  for (; at != entries_.end() && at->first.starts_with(prefix) && items.count() < limit; ++at) {
    // `next` may name it, and has to fit too.
    if (!items.add(describe(where, at->second, &at->first, values), at->first.size())) break;
    last = &at->first;
  }
  const bool more = at != entries_.end() && at->first.starts_with(prefix);
  if (more && last == nullptr) return refused{no_room_for(at->first)};
  object_writer out;
  out.item("items", items.finish());
  if (more) {
    out.text("next", *last);
  } else {
    out.null("next");
  }
  return done{out.finish()};
}

// ---- writing ----

std::optional<error> kv::check_version(std::string_view key, std::optional<std::int64_t> seen) const {
  if (!seen) return {};
  const auto found = entries_.find(key);
  const std::int64_t current = found == entries_.end() ? 0 : found->second.version;
  if (*seen == current) return {};
  return error{errc::conflict,
               "key '" + shown(key) + "' is at version " + std::to_string(current) + ", not " + std::to_string(*seen)};
}

outcome kv::put(const scope& where, std::string_view method, const value& argument) {
  const bool cas = method == "cas";
  arguments in(cas ? "kv.cas" : "kv.put",
               cas ? R"({"key": ..., "version": N, "value": ..., "ttlSeconds": N (optional)})"
                   : R"({"key": ..., "value": ..., "ttlSeconds": N (optional)})",
               argument);
  const auto key = in.need("key", in.text("key", key_bytes));
  const auto encoded = in.need("value", in.item("value", kv_depth_added));
  const auto ttl = in.seconds("ttlSeconds", ttl_accepted);
  std::optional<std::int64_t> version;
  if (cas) version = in.need("version", in.integer("version", any_version));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  if (auto no = check_version(key, version)) return refused{std::move(*no)};
  return write(key, encoded, ttl ? orrery::after(where.now, *ttl) : never);
}

outcome kv::patch(const scope& where, const value& argument) {
  arguments in("kv.patch", R"({"key": ..., "patch": [{"op": ..., "path": ..., ...}], "version": N (optional)})",
               argument);
  const auto key = in.need("key", in.text("key", key_bytes));
  const auto encoded = in.need("patch", in.item("patch", 0));
  const auto version = in.integer("version", any_version);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  if (auto no = check_version(key, version)) return refused{std::move(*no)};
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    return refused{{errc::not_found, "kv.patch: there is no key '" + shown(key) + "'; put or merge makes one"}};
  }
  charge(where, found->second.encoded.size() + encoded.size());
  json document = value::adopt(found->second.encoded).document();
  if (auto applied = apply_json_patch(document, value::adopt(encoded).document()); !applied) {
    return refused{{applied.error().code, "kv.patch of '" + shown(key) + "': " + applied.error().context}};
  }
  const auto patched = value::from_document(document);
  if (!patched) return refused{patched.error()};
  return write(found->first, patched->cbor(), {});
}

outcome kv::merge(const scope& where, const value& argument) {
  arguments in("kv.merge", R"({"key": ..., "value": ..., "version": N (optional)})", argument);
  const auto key = in.need("key", in.text("key", key_bytes));
  const auto encoded = in.need("value", in.item("value", kv_depth_added));
  const auto version = in.integer("version", any_version);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  if (auto no = check_version(key, version)) return refused{std::move(*no)};
  const auto found = entries_.find(key);
  charge(where, (found == entries_.end() ? 0 : found->second.encoded.size()) + encoded.size());
  json document = found == entries_.end() ? json{} : value::adopt(found->second.encoded).document();
  document.merge_patch(value::adopt(encoded).document());
  const auto merged = value::from_document(document);
  if (!merged) return refused{merged.error()};
  return write(key, merged->cbor(), {});
}

outcome kv::write(std::string_view key, byte_view encoded, std::optional<time_point> until) {
  int depth = 0;
  static_cast<void>(cbor::reader(encoded).whole(&depth));
  if (depth + kv_depth_added > value_depth_max) {
    return refused{{errc::too_large, "the value of '" + shown(key) + "' would nest deeper than " +
                                         std::to_string(value_depth_max - kv_depth_added) + " levels"}};
  }
  auto found = entries_.find(key);
  const std::size_t replaced = found == entries_.end() ? 0 : size_of(found->first, found->second.encoded);
  const std::size_t size = size_ - replaced + key.size() + encoded.size() + kv_entry_overhead;
  if (size > settings_.state_bytes_max) {
    return refused{{errc::limit_exceeded, "the document would have about " + std::to_string(size) +
                                              " bytes; limits.stateBytes allows " +
                                              std::to_string(settings_.state_bytes_max)}};
  }
  size_ = size;
  if (found == entries_.end()) found = entries_.try_emplace(std::string{key}).first;
  found->second.version = ++version_;
  found->second.encoded.assign(encoded.begin(), encoded.end());
  if (until) set_end(found, *until);
  return done{version_reply(version_)};
}

outcome kv::expire(const scope& where, const value& argument) {
  arguments in("kv.expire", R"({"key": ..., "ttlSeconds": N}, without ttlSeconds for ever)", argument);
  const auto key = in.need("key", in.text("key", key_bytes));
  const auto ttl = in.seconds("ttlSeconds", ttl_accepted);
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = entries_.find(key);
  if (found == entries_.end()) return done{cbor::bool_value(false)};
  set_end(found, ttl ? orrery::after(where.now, *ttl) : never);
  return done{cbor::bool_value(true)};
}

outcome kv::erase(const value& argument) {
  arguments in("kv.delete", key_form, argument, "key");
  const auto key = in.need("key", in.text("key", key_bytes));
  if (auto fault = in.fault()) return refused{std::move(*fault)};
  const auto found = entries_.find(key);
  if (found == entries_.end()) return done{cbor::bool_value(false)};
  remove(found);
  return done{cbor::bool_value(true)};
}

void kv::set_end(entries::iterator of, time_point until) {
  if (of->second.until != never) ends_.erase({of->second.until, of->first});
  of->second.until = until;
  if (until != never) ends_.emplace(until, of->first);
}

void kv::remove(entries::iterator gone) {
  set_end(gone, never);
  size_ -= size_of(gone->first, gone->second.encoded);
  entries_.erase(gone);
}

// ---- moving ----

result<value> kv::snapshot(const moment& at) {
  bytes encoded;
  encoded.reserve(size_ + 32);
  cbor::put_head(encoded, major::array, 2);
  cbor::put_integer(encoded, version_);
  cbor::put_head(encoded, major::map, entries_.size());
  for (const auto& [key, held] : entries_) {
    cbor::put_text(encoded, key);
    cbor::put_head(encoded, major::array, held.until == never ? 2 : 3);
    cbor::put_integer(encoded, held.version);
    cbor::put(encoded, held.encoded);
    if (held.until != never) put_remaining(encoded, at, held.until);
  }
  return finished_state("document", encoded);
}

result<void> kv::restore(const scope& where, std::uint64_t, const value& state, std::uint64_t) {
  state_reader in(state);
  in.array(2);
  version_ = in.integer();
  const auto count = in.map();
  for (std::uint64_t i = 0; i < count && !in.broken(); ++i) {
    auto key = in.text();
    const auto fields = in.array();
    if (fields != 2 && fields != 3) in.fail();
    entry held;
    held.version = in.integer();
    held.encoded = in.item();
    const auto until = fields == 3 ? ends_after(where.now, in.integer()) : never;
    if (in.broken()) break;
    size_ += size_of(key, held.encoded);
    set_end(entries_.insert_or_assign(std::move(key), std::move(held)).first, until);
  }
  set_alarm(where);
  return in.finish("kv document");
}

}  // namespace orrery::process
