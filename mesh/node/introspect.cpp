// What may be seen of one process, and done to it, at its owner.
#include "mesh/node/impl.hpp"

namespace orrery::node {

result<value> core::impl::introspect_here(const process_name& name, const ask_control& asked) {
  const auto done = [&](result<void> how, const char* told, const char* answered) -> result<value> {
    if (!how) return fail(how.error());
    work_left_ = true;
    emit(told, {{"class", name.klass.value}, {"key", name.key.value}});
    return flat({{answered, true}});
  };
  switch (asked.asked) {
    case wire::verb::inspect:
      return process_document(now_, settings_.self.name, *runtime_.find(name), runtime_.ties_of(name));
    case wire::verb::state: {
      const auto read = runtime_.read_state(name);
      if (!read) return fail(read.error());
      return state_document(*read);
    }
    case wire::verb::set_state: {
      const auto expected = asked.reason.empty() ? std::nullopt : std::optional{asked.reason};
      const auto version = runtime_.replace_state(now_, name, asked.argument, expected, ran_);
      if (!version) return fail(version.error());
      emit("process_state_replaced", {{"class", name.klass.value}, {"key", name.key.value}});
      return flat({{"version", *version}});
    }
    case wire::verb::suspend:
      return done(runtime_.suspend(name), "process_suspended", "suspended");
    case wire::verb::resume:
      return done(runtime_.resume(name), "process_resumed", "resumed");
    case wire::verb::trace:
    case wire::verb::stop:
    case wire::verb::kill:
    case wire::verb::whereis:
    case wire::verb::release:
    case wire::verb::list:
    case wire::verb::tree:
    case wire::verb::top:
    case wire::verb::crashes:
    case wire::verb::unknown:
      break;
  }
  return fail(errc::invalid_argument,
              "'" + std::string{wire::to_string(asked.asked)} + "' is no question about one process");
}

void core::impl::tell_crash(std::uint64_t number) {
  const auto* report = runtime_.crashes().find(number);
  if (report == nullptr) return;  // so many crashed at once that it is not kept
  std::vector<field> fields{{"class", report->name.klass.value},
                            {"key", report->name.key.value},
                            {"pid", to_string(report->id)},
                            {"reason", process::to_string(report->reason)},
                            {"decision", std::string{process::to_string(report->decision)}}};
  // What it was asked and what it knew may be nobody's business who only follows events.
  if (!report->scene.message_kind.empty()) fields.emplace_back("message", report->scene.message_kind);
  if (!report->scene.method.empty()) fields.emplace_back("method", report->scene.method);
  emit("process_crashed", std::move(fields));
}

}  // namespace orrery::node
