// Whatever a client says, a session answers each of its requests once, ends at most once and says nothing after it; and
// it makes no difference in which pieces the bytes arrive, or whether the transport keeps frames apart. Input:
// payloads, a line each; or, after a zero byte, a stream.
#include "mesh/sdk/session.hpp"

#include "mesh/base/assert.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <string>

namespace orrery::sdk {
namespace {

using namespace std::chrono_literals;

bytes framed(byte_view payload) {
  bytes out;
  for (unsigned shift = 32; shift > 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(payload.size() >> (shift - 8)));
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

bytes stream_of(byte_view input) {
  if (!input.empty() && input.front() == 0) return {input.begin() + 1, input.end()};
  bytes stream;
  while (!input.empty()) {
    const auto end = std::find(input.begin(), input.end(), '\n');
    const auto line = framed(input.first(static_cast<std::size_t>(end - input.begin())));
    stream.insert(stream.end(), line.begin(), line.end());
    input = input.subspan(std::min(line.size() - length_bytes + 1, input.size()));
  }
  return stream;
}

/// A session, and a node that answers once all has been said.
class talk {
 public:
  void hear(byte_view stream, std::size_t piece) {
    while (!stream.empty() && !over_) {
      const auto part = stream.first(std::min(piece, stream.size()));
      stream = stream.subspan(part.size());
      of_.received(now_, part);
      take_frames();
    }
    end();
  }
  /// Payloads, over a transport that keeps them apart.
  void hear_apart(byte_view input) {
    const auto how = !input.empty() && input.front() == '{' ? encoding::json : encoding::cbor;
    while (!input.empty() && !over_) {
      const auto line =
          input.first(static_cast<std::size_t>(std::find(input.begin(), input.end(), '\n') - input.begin()));
      input = input.subspan(std::min(line.size() + 1, input.size()));
      outputs out;
      of_.received_piece(now_, line, true, how, out);
      perform(out);
      take_frames();
    }
    end();
  }
  [[nodiscard]] const std::string& account() const { return account_; }

 private:
  void take_frames() {
    for (outputs out; of_.next(now_, out); out.clear())
      perform(out);
  }
  void end() {
    for (const auto id : asked_)
      answer(id);
    for (const auto id : acts_)
      answer(id);
    outputs out;
    if (!over_) of_.closed("the fuzzer is done", out);
    for (const auto& each : out)
      ORRERY_ASSERT(!std::holds_alternative<send>(each));  // there is nobody to hear it
  }
  void perform(const outputs& wanted) {
    for (const auto& each : wanted) {
      ORRERY_ASSERT(!over_);
      if (const auto* sent = std::get_if<send>(&each)) {
        note(sent->frame);
      } else if (const auto* asked = std::get_if<ask>(&each)) {
        account_ += "ask " + std::to_string(asked->what.index()) + '\n';
        if (asked->id) asked_.insert(*asked->id);
      } else if (const auto* unwanted = std::get_if<withdraw>(&each)) {
        ORRERY_ASSERT(asked_.contains(unwanted->id));
      } else if (const auto* given_up = std::get_if<abandon>(&each)) {
        ORRERY_ASSERT(asked_.erase(given_up->id) == 1);
      } else if (const auto* told = std::get_if<tell_node>(&each)) {
        account_ += "tell " + std::to_string(told->what.index()) + '\n';
        if (const auto* act = std::get_if<process::client_act>(&told->what)) acts_.insert(act->request);
        if (const auto* look = std::get_if<process::client_looks_up>(&told->what)) acts_.insert(look->request);
        if (const auto* no = std::get_if<process::client_cancels>(&told->what)) {
          ORRERY_ASSERT(acts_.contains(no->request));
        }
      } else if (const auto* ended = std::get_if<close>(&each)) {
        account_ += "close " + to_string(ended->why) + '\n';
        over_ = true;
      }
    }
  }
  void answer(request_number id) {
    outputs out;
    of_.answered(id, value::from_json("[1]").value(), out);
    ORRERY_ASSERT(out.size() == (over_ ? 0U : 1U));  // each is answered once; nothing follows an end
    perform(out);
  }
  void answer(process::client_request act) {
    outputs out;
    of_.told(process::client_answer{process::app_id{1}, act, value::from_json("[1]").value()}, out);
    ORRERY_ASSERT(out.size() == (over_ ? 0U : 1U));
    perform(out);
  }
  void note(byte_view frame) {
    ORRERY_ASSERT(frame.size() >= length_bytes);
    const auto payload = frame.subspan(length_bytes);
    ORRERY_ASSERT(std::ranges::equal(frame, framed(payload)));
    const bool text = !payload.empty() && payload.front() == '{';
    const auto said = text ? nlohmann::json::parse(payload.begin(), payload.end())
                           : nlohmann::json::from_cbor(payload.begin(), payload.end());
    ORRERY_ASSERT(said.at("type").is_string());
    account_ += said.dump() + '\n';
  }

  session of_{greeting{}, process::app_id{1}, time_point{1s}};
  const time_point now_{1s};
  std::set<request_number> asked_;
  std::set<process::client_request> acts_;
  std::string account_;
  bool over_ = false;
};

}  // namespace
}  // namespace orrery::sdk

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace orrery;
  const auto stream = sdk::stream_of(byte_view(data, size));
  sdk::talk whole;
  whole.hear(stream, std::max<std::size_t>(stream.size(), 1));
  sdk::talk pieces;
  pieces.hear(stream, 7);
  ORRERY_ASSERT(whole.account() == pieces.account());
  if (size == 0 || *data == 0) return 0;
  sdk::talk apart;
  apart.hear_apart(byte_view(data, size));
  ORRERY_ASSERT(whole.account() == apart.account());
  return 0;
}
