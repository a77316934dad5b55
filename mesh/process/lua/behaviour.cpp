#include "mesh/kernel/core.hpp"
#include "mesh/process/lua/engine.hpp"

namespace orrery::process {
namespace {

class lua_behaviour final : public behaviour {
 public:
  explicit lua_behaviour(lua_engine& engine) : engine_(engine) {}
  ~lua_behaviour() override { engine_.forget(process_); }

  std::optional<exit_reason> init(const scope& where, std::uint64_t seed) override {
    process_.random = seeded_random(seed);
    return engine_.init(process_, where, where.given == nullptr ? value{} : *where.given);
  }
  outcome call(const scope& where, std::string_view method, const value& argument) override {
    return engine_.handle(process_, lua_functions::kind::call, where, method, argument);
  }
  outcome cast(const scope& where, std::string_view method, const value& argument) override {
    return engine_.handle(process_, lua_functions::kind::cast, where, method, argument);
  }
  outcome info(const scope& where, const kernel::message&) override { return engine_.arrived(process_, where); }
  void terminate(const scope& where, const exit_reason& reason) override { engine_.terminate(process_, where, reason); }
  result<value> snapshot(const moment&) override { return engine_.snapshot(process_); }
  std::size_t state_bytes() const noexcept override { return process_.state_size; }
  result<void> restore(const scope&, std::uint64_t seed, const value& state, std::uint64_t version) override {
    process_.random = seeded_random(seed);
    return engine_.restore(process_, state, version);
  }
  bool busy() const noexcept override { return process_.waits() || process_.holds_on; }
  void moved(const scope& where) override { engine_.has_moved(process_, where); }
  std::optional<std::uint64_t> version() const override { return process_.version; }
  std::uint64_t code() const override { return engine_.code_of(process_); }

 private:
  lua_engine& engine_;
  lua_process process_;
};

class lua_class_type final : public behaviour_type {
 public:
  explicit lua_class_type(std::unique_ptr<lua_engine> engine) : engine_(std::move(engine)) {}

  bool answers(message_kind kind, std::string_view method) const override { return engine_->answers(kind, method); }
  bool hears(std::string_view word) const override { return engine_->hears(word); }
  std::string methods(message_kind kind) const override { return engine_->methods(kind); }
  std::unique_ptr<behaviour> make() override { return std::make_unique<lua_behaviour>(*engine_); }
  result<bool> upgrade(const class_spec& spec) override {
    const auto* source = std::get_if<lua_source>(&spec.behaviour);
    if (source == nullptr) return false;
    if (auto replaced = engine_->replace(*source, spec.limits, spec.version); !replaced) return fail(replaced.error());
    return true;
  }
  std::uint64_t work() const noexcept override { return engine_->work(); }

 private:
  std::unique_ptr<lua_engine> engine_;
};

}  // namespace

result<std::unique_ptr<behaviour_type>> make_lua_type(const class_spec& spec, duration (*processor_time)()) {
  auto engine = lua_engine::create(std::get<lua_source>(spec.behaviour), spec.limits, spec.version, processor_time);
  if (!engine) return fail(engine.error());
  return std::unique_ptr<behaviour_type>(std::make_unique<lua_class_type>(std::move(*engine)));
}

result<void> check_script(const lua_source& source, const limits_spec& limits) {
  const auto engine = lua_engine::create(source, limits, 1);
  if (!engine) return fail(engine.error());
  return {};
}

}  // namespace orrery::process
