// Crash reports: what a process was doing, and what its supervisor did about its end.
#include "mesh/process/runtime_impl.hpp"
#include "mesh/wire/excerpt.hpp"

#include <array>
#include <utility>

namespace orrery::process {

void runtime::impl::note_scene(std::uint32_t name, const kernel::message* handled, behaviour* inner) {
  const auto load = core.load_of(names[name].who);
  crash_scene now_seen{.mailbox = load.waiting, .handled = load.handled};
  if (handled != nullptr) {
    now_seen.message_kind = process::to_string(handled->what);
    now_seen.argument_bytes = handled->payload.cbor().size();
    // Of replies, exits and downs the word is no text.
    if (const bool has_word =
            handled->what <= kernel::message::kind::call || handled->what == kernel::message::kind::timer;
        has_word) {
      now_seen.method = core.atoms().text(handled->word);
    }
    now_seen.argument = excerpt(handled->payload, crash_argument_bytes_max);
  }
  if (inner != nullptr) {
    now_seen.state_bytes = inner->state_bytes();
    if (now_seen.state_bytes <= crash_state_encoded_max && crash_reports.may_take_state(now)) {
      if (auto state = inner->snapshot({now, wall_offset})) {
        now_seen.state = excerpt(inner->unpacked(std::move(*state)), crash_state_bytes_max);
      }
    }
  }
  scene = {name, std::move(now_seen), {}};
}

void runtime::impl::note_app_scene(std::uint32_t name, const app_desk::work& of) {
  static constexpr std::array<const char*, 8> kinds{"init",     "call",        "cast",      "info",
                                                    "continue", "code_change", "terminate", "handoff"};
  note_scene(name, nullptr, &body_of(name).inner());
  scene->scene.message_kind = kinds.at(static_cast<std::size_t>(of.what));
  scene->scene.method = of.method;
}

void runtime::impl::note_init_scene(std::uint32_t name, const exit_reason& why) {
  scene = {name, {.message_kind = "init"}, why};
}

void runtime::impl::report_crash(std::uint32_t name, const exit_reason& why, bool final) {
  const named& of = names[name];
  crash_report report{.at = now,
                      .name = name_of(of),
                      .id = {settings.node, of.who.slot, of.who.generation},
                      .class_version = of.klass->spec.version,
                      .reason = why,
                      .lived = of.live ? now - of.started_at : duration{},  // one whose init failed never did
                      .restarts = of.restarts,
                      .decision = final ? crash_decision::ended : crash_decision::waits};
  if (scene && scene->name == name) report.scene = std::exchange(scene, std::nullopt)->scene;
  out().emplace_back(crashed{crash_reports.add(std::move(report))});
}

void runtime::impl::report_failed_start(std::uint32_t name) {
  const bool noted = scene && scene->name == name;
  if (!noted || not_restored) return;  // it was refused, and has not run
  const named& of = names[name];
  auto seen = std::exchange(scene, std::nullopt);
  crash_report report{.at = now,
                      .name = name_of(of),
                      .id = {settings.node, 0, 0},
                      .class_version = of.klass->spec.version,
                      .reason = std::move(seen->why),
                      .scene = std::move(seen->scene),
                      .decision = crash_decision::not_started};
  out().emplace_back(crashed{crash_reports.add(std::move(report))});
}

const crash_log& runtime::crashes() const noexcept { return impl_->crash_reports; }

}  // namespace orrery::process
