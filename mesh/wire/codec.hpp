#pragma once
// This room's own: fields of messages, one pair of functions for each message that has any. messages.cpp uses them.
#include "mesh/wire/fields.hpp"
#include "mesh/wire/messages.hpp"
#include "mesh/wire/process_messages.hpp"

namespace orrery::wire {

inline constexpr std::size_t name_bytes_max = 253;

void put_error(field_writer& out, const error& why);
[[nodiscard]] error take_error(field_reader& in);
void put_span(field_writer& out, std::string_view key, std::chrono::microseconds span);
void take_span(field_reader& in, std::string_view key, std::chrono::microseconds& out);
void take_name(field_reader& in, process_name& out);
void put_facts(field_writer& out, std::string_view key, const std::vector<fact>& facts);
void take_facts(field_reader& in, std::string_view key, std::vector<fact>& out);
void put_classes(field_writer& out, const std::vector<class_name>& unhosted);
void take_classes(field_reader& in, std::vector<class_name>& unhosted);

[[nodiscard]] field_writer put(const handoff& m);
[[nodiscard]] field_writer put(const handoff_ack& m);
[[nodiscard]] field_writer put(const handoff_done& m);
[[nodiscard]] field_writer put(const unhosted& m);
void take(field_reader& in, handoff& m);
void take(field_reader& in, handoff_ack& m);
void take(field_reader& in, handoff_done& m);
void take(field_reader& in, unhosted& m);

[[nodiscard]] field_writer put(const signal& m);
[[nodiscard]] field_writer put(const announce& m);
[[nodiscard]] field_writer put(const publish& m);
[[nodiscard]] field_writer put(const claim& m);
[[nodiscard]] field_writer put(const unclaim& m);
[[nodiscard]] field_writer put(const placed& m);
void take(field_reader& in, signal& m);
void take(field_reader& in, announce& m);
void take(field_reader& in, publish& m);
void take(field_reader& in, claim& m);
void take(field_reader& in, unclaim& m);
void take(field_reader& in, placed& m);

}  // namespace orrery::wire
