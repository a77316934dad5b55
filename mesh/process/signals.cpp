#include "mesh/process/signals.hpp"

#include "mesh/wire/cbor.hpp"

#include <string>
#include <utility>

namespace orrery::process {
namespace {

using out_kind = wire::signal::kind;
using in_kind = kernel::signal::kind;
using std::chrono::duration_cast;
using std::chrono::microseconds;

static_assert(static_cast<int>(out_kind::plain) == static_cast<int>(in_kind::plain) &&
              static_cast<int>(out_kind::down) == static_cast<int>(in_kind::down));

bool has_reason(in_kind what) noexcept {
  return what == in_kind::exit || what == in_kind::link_broke || what == in_kind::down;
}
bool has_reference(const kernel::signal& what) noexcept {
  return what.what == in_kind::unlink || what.what == in_kind::unlinked || what.ref != kernel::no_reference;
}

}  // namespace

bool has_message(kernel::signal::kind what) noexcept {
  return what == in_kind::plain || what == in_kind::cast || what == in_kind::call;
}

wire::signal to_wire(kernel::signal what, const kernel::atom_table& atoms) {
  wire::signal out;
  out.what = static_cast<out_kind>(what.what);
  if (what.from.slot != kernel::no_slot) out.from = {what.from.slot, what.from.generation};
  out.to = {what.to.slot, what.to.generation};
  if (has_reference(what)) out.ref = packed(what.ref);
  if (what.what == in_kind::call && what.timeout != duration::max()) {
    out.remaining = duration_cast<microseconds>(what.timeout);
  }
  if (has_reason(what.what)) {
    const auto why = kernel::reason_of(what);
    out.reason = to_string(why.why);
    out.detail = why.detail;
  } else if (what.failed) {
    out.failed = error{static_cast<errc>(what.word.value),
                       std::string{cbor::text_of(what.payload).value_or(std::string_view{})}, what.effect};
  } else {
    if (has_message(what.what)) out.word = atoms.text(what.word);
    out.payload = std::move(what.payload);
  }
  return out;
}

kernel::signal from_wire(wire::signal what, std::uint32_t from) {
  kernel::signal in;
  in.what = static_cast<in_kind>(what.what);
  in.from = {from, kernel::no_slot, 0};
  if (what.from) in.from = {from, what.from->slot, what.from->generation};
  in.to = {kernel::handle::here, what.to.slot, what.to.generation};
  if (what.ref) in.ref = kernel::unpacked(*what.ref);
  if (what.remaining) in.timeout = *what.remaining;
  if (has_reason(in.what)) {
    in.why = kernel::exit_kind_from(what.reason);
    if (!what.detail.empty()) in.payload = cbor::text_value(what.detail);
  } else if (in.what == in_kind::reply) {
    kernel::put_outcome(in, what.failed ? result<value>{fail(std::move(*what.failed))} : std::move(what.payload));
  } else {
    in.payload = std::move(what.payload);
  }
  return in;
}

}  // namespace orrery::process
