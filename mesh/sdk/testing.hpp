#pragma once
// For tests: frames as a client would make them, and what a session sends as documents.
#include "mesh/sdk/session.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <initializer_list>
#include <string_view>
#include <vector>

namespace orrery::sdk::testing {

using nlohmann::json;

inline bytes framed(byte_view payload) {
  bytes out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(payload.size() >> static_cast<unsigned>(shift)));
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}
inline bytes frame_of(const json& document, encoding how = encoding::cbor) {
  if (how == encoding::json) return framed(as_bytes(document.dump()));
  return framed(json::to_cbor(document));
}
inline json document_of(byte_view frame, encoding how = encoding::cbor) {
  const auto payload = frame.subspan(length_bytes);
  return how == encoding::json ? json::parse(payload.begin(), payload.end())
                               : json::from_cbor(payload.begin(), payload.end());
}

/// All frames that are whole by then.
inline void receive(session& to, time_point now, byte_view arrived, outputs& out) {
  to.received(now, arrived);
  while (to.next(now, out)) {
  }
}
inline void receive_piece(session& to, time_point now, byte_view piece, bool whole, encoding how, outputs& out) {
  to.received_piece(now, piece, whole, how, out);
  while (to.next(now, out)) {
  }
}

}  // namespace orrery::sdk::testing
