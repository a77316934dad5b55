// Fields of what nodes say about where processes are to be: handoffs, and who takes names of which classes.
#include "mesh/wire/codec.hpp"
#include "mesh/wire/messages.hpp"

#include <algorithm>
#include <iterator>

namespace orrery::wire {

// ---- encoding ----

void put_classes(field_writer& out, const std::vector<class_name>& classes) {
  std::vector<field_writer> named(std::min(classes.size(), unhosted_named_max));
  for (std::size_t i = 0; i < named.size(); ++i)
    named[i].text("class", classes[i].value);
  out.maps("unhosted", named);
}

/// Plain messages are a list of their own, each with its place among all: nodes that know of no others would take them
/// for casts.
field_writer put(const handoff& m) {
  std::vector<field_writer> mailbox;
  std::vector<field_writer> plain;
  for (std::size_t i = 0; i < m.mailbox.size(); ++i) {
    const auto& entry = m.mailbox[i];
    auto& out = (entry.plain ? plain : mailbox).emplace_back();
    out.text("method", entry.method).item("argument", entry.argument);
    if (entry.plain) out.number("at", i);
    if (entry.reply_to) out.number("id", *entry.reply_to);
    if (entry.remaining) put_span(out, "remaining", *entry.remaining);
  }
  field_writer out;
  out.number("id", m.id)
      .text("name", to_string(m.name))
      .number("version", m.class_version)
      .number("restarts", m.restarts)
      .item("state", m.state)
      .flag("contested", m.contested)
      .number("hops", m.hops)
      .maps("mailbox", mailbox);
  if (!plain.empty()) out.maps("plain", plain);
  if (m.suspended) out.flag("suspended", true);
  if (!m.facts.empty()) put_facts(out, "facts", m.facts);
  if (m.code != 0) out.number("code", m.code);
  return out;
}

field_writer put(const handoff_ack& m) {
  field_writer out;
  out.number("id", m.id).flag("superseded", m.superseded);
  if (m.refused) put_error(out, *m.refused);
  return out;
}

field_writer put(const handoff_done& m) {
  std::vector<field_writer> nodes(std::min(m.nodes.size(), nodes_named_max));
  for (std::size_t i = 0; i < nodes.size(); ++i)
    nodes[i].text("node", m.nodes[i].name.value).number("boot", m.nodes[i].boot.value);
  for (std::size_t i = 0; i < std::min(nodes.size(), m.words.size()); ++i) {
    if (m.words[i] != 0) nodes[i].number("word", m.words[i]);
  }
  std::vector<field_writer> held(std::min(m.held.size(), held_named_max));
  for (std::size_t i = 0; i < held.size(); ++i)
    held[i].text("name", to_string(m.held[i]));
  field_writer out;
  out.maps("nodes", nodes);
  if (!held.empty()) out.maps("held", held);
  if (m.heard != 0) out.number("heard", m.heard);
  return out;
}

field_writer put(const unhosted& m) {
  field_writer out;
  out.number("number", m.number);
  put_classes(out, m.classes);
  return out;
}

// ---- decoding ----

void take_classes(field_reader& in, std::vector<class_name>& out) {
  std::vector<field_reader> named;
  in.maps("unhosted", named, unhosted_named_max);
  for (auto& each : named) {
    each.text("class", out.emplace_back().value, class_name_bytes_max);
    if (each.refusal()) return in.refuse("unhosted", "holds a wrong entry: " + each.refusal()->context);
  }
}

/// Puts them where they were among the others.
void take_plain(field_reader& in, handoff& m) {
  std::vector<field_reader> plain;
  in.maps("plain", plain, handoff_waiting_max);
  std::vector<handoff::waiting> merged;
  merged.reserve(m.mailbox.size() + plain.size());
  auto other = m.mailbox.begin();
  for (auto& each : plain) {
    handoff::waiting entry;
    entry.plain = true;
    std::uint64_t at = 0;
    each.text("method", entry.method, word_bytes_max).item("argument", entry.argument).number("at", at);
    if (each.refusal()) return in.refuse("plain", "holds a wrong entry: " + each.refusal()->context);
    while (merged.size() < at && other != m.mailbox.end())
      merged.push_back(std::move(*other++));
    merged.push_back(std::move(entry));
  }
  merged.insert(merged.end(), std::make_move_iterator(other), std::make_move_iterator(m.mailbox.end()));
  m.mailbox = std::move(merged);
}

void take(field_reader& in, handoff& m) {
  in.number("id", m.id)
      .number("version", m.class_version)
      .number("restarts", m.restarts)
      .item("state", m.state)
      .flag("contested", m.contested)
      .number("hops", m.hops);
  take_name(in, m.name);
  if (in.has("suspended")) in.flag("suspended", m.suspended);
  std::vector<field_reader> mailbox;
  in.maps("mailbox", mailbox, handoff_waiting_max);
  for (auto& each : mailbox) {
    auto& entry = m.mailbox.emplace_back();
    each.text("method", entry.method, method_bytes_max).item("argument", entry.argument);
    if (each.has("id")) each.number("id", entry.reply_to.emplace());
    if (each.has("remaining")) take_span(each, "remaining", entry.remaining.emplace());
    if (each.refusal()) return in.refuse("mailbox", "holds a wrong entry: " + each.refusal()->context);
  }
  if (in.has("plain")) take_plain(in, m);
  if (in.has("facts")) take_facts(in, "facts", m.facts);
  if (in.has("code")) in.number("code", m.code);
}

void take(field_reader& in, handoff_ack& m) {
  in.number("id", m.id).flag("superseded", m.superseded);
  if (in.has("error")) m.refused = take_error(in);
}

void take(field_reader& in, handoff_done& m) {
  std::vector<field_reader> nodes;
  in.maps("nodes", nodes, nodes_named_max);
  for (auto& each : nodes) {
    auto& node = m.nodes.emplace_back();
    each.text("node", node.name.value, name_bytes_max).number("boot", node.boot.value);
    m.words.push_back(0);
    if (each.has("word")) each.number("word", m.words.back());
    if (each.refusal()) return in.refuse("nodes", "holds a wrong entry: " + each.refusal()->context);
  }
  std::vector<field_reader> held;
  if (in.has("held")) in.maps("held", held, held_named_max);
  for (auto& each : held) {
    take_name(each, m.held.emplace_back());
    if (each.refusal()) return in.refuse("held", "holds a wrong entry: " + each.refusal()->context);
  }
  if (in.has("heard")) in.number("heard", m.heard);
}

void take(field_reader& in, unhosted& m) {
  in.number("number", m.number);
  take_classes(in, m.classes);
}

std::size_t encoded_size(const handoff::waiting& entry) noexcept {
  return entry.method.size() + entry.argument.cbor().size() + 64;  // heads, keys, two numbers
}

}  // namespace orrery::wire
