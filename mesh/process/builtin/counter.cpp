#include "mesh/process/builtin/counter.hpp"

#include "mesh/process/builtin/builtin.hpp"
#include "mesh/wire/cbor.hpp"

#include <optional>
#include <utility>

namespace orrery::process {
namespace {

constexpr std::string_view methods_text = "add, get, reset, set";

result<std::int64_t> integer_of(std::string_view method, const value& argument, std::optional<std::int64_t> otherwise) {
  const cbor::item given = cbor::reader(argument.cbor()).next();
  if (given.is_null() && otherwise) return *otherwise;
  if (const auto number = given.integer()) return *number;
  return fail(errc::invalid_argument,
              "counter." + std::string{method} + " takes an integer of 64 bits" +
                  (otherwise ? " (default " + std::to_string(*otherwise) + ")" : std::string{}) + ", not " +
                  std::string{given.is_integer() ? "a larger one" : cbor::describe(given)});
}

class counter final : public behaviour {
 public:
  std::optional<exit_reason> init(const scope&, std::uint64_t) override { return {}; }

  outcome call(const scope&, std::string_view method, const value& argument) override {
    if (auto no = apply(method, argument)) return refused{std::move(*no)};
    return done{cbor::integer_value(count_)};
  }
  outcome cast(const scope&, std::string_view method, const value& argument) override {
    if (auto no = apply(method, argument)) return refused{std::move(*no)};
    return done{};  // a reply would be made only to be thrown away
  }
  void terminate(const scope&, const exit_reason&) override {}

  result<value> snapshot(const moment&) override { return cbor::integer_value(count_); }
  std::size_t state_bytes() const noexcept override { return sizeof count_; }
  result<void> restore(const scope&, std::uint64_t, const value& state, std::uint64_t) override {
    const auto number = integer_of("restore", state, {});
    if (!number) return fail(number.error());
    count_ = *number;
    return {};
  }

 private:
  [[nodiscard]] std::optional<error> apply(std::string_view method, const value& argument) {
    if (method == "get") return {};
    if (method == "add") return add(argument);
    if (method == "reset") {
      count_ = 0;
      return {};
    }
    if (method == "set") {
      const auto number = integer_of(method, argument, {});
      if (!number) return number.error();
      count_ = *number;
      return {};
    }
    return error{errc::not_found, "counter has no method '" + std::string{method.substr(0, 80)} + "'"};
  }

  [[nodiscard]] std::optional<error> add(const value& argument) {
    const auto number = integer_of("add", argument, 1);
    if (!number) return number.error();
    std::int64_t sum = 0;
    if (__builtin_add_overflow(count_, *number, &sum)) {
      return error{errc::invalid_argument, "counter.add: " + std::to_string(count_) + " and " +
                                               std::to_string(*number) + " make more than 64 bits hold"};
    }
    count_ = sum;
    return {};
  }

  std::int64_t count_ = 0;
};

class counter_type final : public behaviour_type {
 public:
  bool answers(message_kind, std::string_view method) const override {
    return method == "add" || method == "get" || method == "reset" || method == "set";
  }
  std::string methods(message_kind) const override { return std::string{methods_text}; }
  std::unique_ptr<behaviour> make() override { return std::make_unique<counter>(); }
  result<bool> upgrade(const class_spec& spec) override {
    const auto* kind = std::get_if<builtin_kind>(&spec.behaviour);
    if (kind == nullptr || *kind != builtin_kind::counter) return false;
    if (const auto none = read_no_options(spec.options); !none) return fail(none.error());
    return true;
  }
};

}  // namespace

std::unique_ptr<behaviour_type> make_counter_type() { return std::make_unique<counter_type>(); }

}  // namespace orrery::process
