#include "mesh/process/builtin/json_patch.hpp"

#include "mesh/process/builtin/arguments.hpp"
#include "mesh/wire/value.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::process {
namespace {

using nlohmann::json;
using tokens = std::vector<std::string>;

constexpr std::size_t tokens_max = 2 * value_depth_max;
/// To copy an item takes much longer than to copy a byte of a text, and much more memory.
constexpr std::size_t item_weight = 8;

struct extent {
  std::size_t weight = 0;
  std::size_t depth = 0;
};
/// REQUIRES: nests no deeper than value_depth_max.
extent measure(const json& of) {
  extent all{item_weight, 0};
  if (of.is_string()) all.weight += of.get_ref<const std::string&>().size();
  if (!of.is_structured()) return all;
  for (auto each = of.begin(); each != of.end(); ++each) {
    const auto inside = measure(*each);
    all.weight += inside.weight + (of.is_object() ? each.key().size() : 0);
    all.depth = std::max(all.depth, inside.depth);
  }
  ++all.depth;
  return all;
}

/// One operation, and where it goes wrong.
class operation {
 public:
  operation(json& document, const json& said, std::size_t number, std::size_t& work)
      : document_(document), said_(said), number_(number), work_(work) {}
  [[nodiscard]] result<void> apply();

 private:
  [[nodiscard]] tl::unexpected<error> wrong(std::string what) const {
    return fail(errc::invalid_argument, "operation " + std::to_string(number_) + " " + std::move(what));
  }
  [[nodiscard]] tl::unexpected<error> clash(std::string_view path, std::string what) const {
    return fail(errc::conflict,
                "operation " + std::to_string(number_) + " (" + op_ + " " + shown(path) + "): " + std::move(what));
  }
  [[nodiscard]] result<std::string> text(const char* field) const;
  [[nodiscard]] result<tokens> pointer(const char* field) const;
  /// An index of an element, or one past the last where `beyond`.
  [[nodiscard]] std::optional<std::size_t> index(const json& array, const std::string& token, bool beyond) const;
  [[nodiscard]] result<void> spend(std::size_t work);
  /// So that nothing nests deeper than a value may, whatever comes after.
  [[nodiscard]] result<void> check_depth(const tokens& path, const json& what) const;
  [[nodiscard]] result<json*> find(const tokens& path, std::string_view shown);
  [[nodiscard]] result<void> add(const tokens& path, std::string_view shown, json what);
  [[nodiscard]] result<json> take(const tokens& path, std::string_view shown);
  [[nodiscard]] result<void> apply_from(const tokens& path, const std::string& shown);

  json& document_;
  const json& said_;
  std::size_t number_;
  std::size_t& work_;  ///< of all operations so far
  std::string op_;
};

result<std::string> operation::text(const char* field) const {
  const auto found = said_.find(field);
  if (found == said_.end()) return wrong("has no '" + std::string{field} + "'");
  if (!found->is_string()) return wrong("has a '" + std::string{field} + "' that is no string");
  return found->get<std::string>();
}

/// RFC 6901: "/a/0/b~1c"; "" is the whole document.
result<tokens> operation::pointer(const char* field) const {
  const auto given = text(field);
  if (!given) return fail(given.error());
  tokens out;
  if (given->empty()) return out;
  if (given->front() != '/') return wrong("has a '" + std::string{field} + "' that does not begin with '/'");
  for (std::size_t at = 0; at < given->size();) {
    if (out.size() == tokens_max) return wrong("has a '" + std::string{field} + "' of too many levels");
    const auto end = std::min(given->find('/', at + 1), given->size());
    std::string token;
    for (std::size_t i = at + 1; i < end; ++i) {
      if ((*given)[i] != '~') {
        token += (*given)[i];
        continue;
      }
      if (++i >= end || ((*given)[i] != '0' && (*given)[i] != '1')) {
        return wrong("has a '" + std::string{field} + "' with a '~' that is neither '~0' nor '~1'");
      }
      token += (*given)[i] == '0' ? '~' : '/';
    }
    out.push_back(std::move(token));
    at = end;
  }
  return out;
}

std::optional<std::size_t> operation::index(const json& array, const std::string& token, bool beyond) const {
  if (beyond && token == "-") return array.size();
  if (token.empty() || (token.size() > 1 && token.front() == '0')) return {};
  std::size_t at = 0;
  const auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), at);
  if (ec != std::errc{} || end != token.data() + token.size()) return {};
  if (at < array.size() || (beyond && at == array.size())) return at;
  return {};
}

result<void> operation::spend(std::size_t work) {
  work_ += work;
  if (work_ <= patch_work_max) return {};
  return fail(errc::too_large, "operation " + std::to_string(number_) + " copies or moves more than a patch may");
}

result<void> operation::check_depth(const tokens& path, const json& what) const {
  if (path.size() + measure(what).depth <= static_cast<std::size_t>(value_depth_max)) return {};
  return fail(errc::too_large, "operation " + std::to_string(number_) + " would nest deeper than " +
                                   std::to_string(value_depth_max) + " levels");
}

result<json*> operation::find(const tokens& path, std::string_view shown) {
  json* at = &document_;
  for (const auto& token : path) {
    if (at->is_object()) {
      const auto member = at->find(token);
      if (member == at->end()) return clash(shown, "there is no '" + token.substr(0, 80) + "'");
      at = &*member;
    } else if (at->is_array()) {
      const auto place = index(*at, token, false);
      if (!place)
        return clash(shown, "the array of " + std::to_string(at->size()) + " has no '" + token.substr(0, 80) + "'");
      at = &(*at)[*place];
    } else {
      return clash(shown, "nothing is inside a " + std::string{at->type_name()});
    }
  }
  return at;
}

result<void> operation::add(const tokens& path, std::string_view shown, json what) {
  if (auto fits = check_depth(path, what); !fits) return fits;
  if (path.empty()) {
    document_ = std::move(what);
    return {};
  }
  const auto parent = find({path.begin(), path.end() - 1}, shown);
  if (!parent) return fail(parent.error());
  json& into = **parent;
  if (into.is_object()) {
    into[path.back()] = std::move(what);
    return {};
  }
  if (!into.is_array()) return clash(shown, "nothing is inside a " + std::string{into.type_name()});
  const auto place = index(into, path.back(), true);
  if (!place) {
    return clash(shown,
                 "the array of " + std::to_string(into.size()) + " takes no '" + path.back().substr(0, 80) + "'");
  }
  if (auto fits = spend(into.size() - *place); !fits) return fits;
  into.insert(into.begin() + static_cast<std::ptrdiff_t>(*place), std::move(what));
  return {};
}

result<json> operation::take(const tokens& path, std::string_view shown) {
  const auto found = find(path, shown);
  if (!found) return fail(found.error());
  json taken = std::move(**found);
  if (path.empty()) {
    document_ = nullptr;
    return taken;
  }
  json& from = **find({path.begin(), path.end() - 1}, shown);
  if (from.is_object()) {
    from.erase(path.back());
  } else {
    const auto place = *index(from, path.back(), false);
    if (auto fits = spend(from.size() - place); !fits) return fail(fits.error());
    from.erase(place);
  }
  return taken;
}

result<void> operation::apply_from(const tokens& path, const std::string& shown) {
  const auto from = pointer("from");
  if (!from) return fail(from.error());
  const auto shown_from = *text("from");
  if (op_ == "copy") {
    const auto found = find(*from, shown_from);
    if (!found) return fail(found.error());
    if (auto fits = spend(measure(**found).weight); !fits) return fits;
    return add(path, shown, json(**found));
  }
  if (path.size() > from->size() && std::equal(from->begin(), from->end(), path.begin())) {
    return wrong("moves '" + process::shown(shown_from) + "' into itself");
  }
  auto taken = take(*from, shown_from);
  if (!taken) return fail(taken.error());
  if (auto fits = spend(measure(*taken).weight); !fits) return fits;
  return add(path, shown, std::move(*taken));
}

result<void> operation::apply() {
  if (!said_.is_object()) return wrong("is no object");
  auto op = text("op");
  if (!op) return fail(op.error());
  op_ = op->substr(0, 80);
  const auto path = pointer("path");
  if (!path) return fail(path.error());
  const auto shown = *text("path");
  const auto held = said_.find("value");
  const bool takes_value = op_ == "add" || op_ == "replace" || op_ == "test";
  if (takes_value && held == said_.end()) return wrong("has no 'value'");
  if (op_ == "add") return add(*path, shown, *held);
  if (op_ == "move" || op_ == "copy") return apply_from(*path, shown);
  if (op_ == "remove") {
    const auto gone = take(*path, shown);
    return gone ? result<void>{} : result<void>{fail(gone.error())};
  }
  if (op_ != "replace" && op_ != "test") {
    return wrong("is '" + op_ + "'; accepted: add, remove, replace, move, copy, test");
  }
  const auto found = find(*path, shown);
  if (!found) return fail(found.error());
  if (op_ == "test") {
    if (**found == *held) return {};
    return clash(shown, "another value is there");
  }
  if (auto fits = check_depth(*path, *held); !fits) return fits;
  **found = *held;
  return {};
}

}  // namespace

result<void> apply_json_patch(json& document, const json& patch) {
  if (!patch.is_array()) {
    return fail(errc::invalid_argument, "a patch is an array of operations, not a " + std::string{patch.type_name()});
  }
  if (patch.size() > patch_operations_max) {
    return fail(errc::too_large, "the patch has " + std::to_string(patch.size()) + " operations, and may have " +
                                     std::to_string(patch_operations_max));
  }
  json changed = document;
  std::size_t work = 0;
  for (std::size_t i = 0; i < patch.size(); ++i) {
    if (auto applied = operation(changed, patch[i], i, work).apply(); !applied) return applied;
  }
  document = std::move(changed);
  return {};
}

}  // namespace orrery::process
