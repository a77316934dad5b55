#pragma once
#include "mesh/process/builtin/builtin.hpp"

#include <list>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace orrery::process {

struct queue_options {
  duration visibility = std::chrono::seconds{30};  ///< how long a receiver has for a message, unless it says otherwise
  std::int64_t receives_max = 10;                  ///< after so many it is a dead letter; 0: never
  std::int64_t messages_max = 10'000;              ///< dead letters included
  std::int64_t waiting_max = 1000;                 ///< receivers
  duration dedup = std::chrono::minutes{5};        ///< how long a dedupId is remembered
};

/// The built-in `queue`: a work queue that hands out each message until somebody acknowledges it (at least once), in
/// the order of arrival, as SQS and JetStream's work queues do; docs/protocol.md has its methods.
///
/// A message is ready, or hidden (delayed, or with a receiver) until a time, or a dead letter. A receipt names one
/// delivery: when its time is over and the message was handed out again, the old receipt no longer counts. A receiver
/// that waits and whose call is over (its deadline passed, its process ended) gets nothing. A move carries messages,
/// what is left of their times and the receivers from outside; a crash loses them all, and receipts of the life before
/// are refused.
class queue final : public builtin_process {
 public:
  static constexpr builtin_kind kind = builtin_kind::queue;
  static constexpr std::string_view calls[] = {"ack",  "dead",  "enqueue", "extend",  "length",
                                               "nack", "purge", "receive", "redrive", "stats"};
  static constexpr std::string_view casts[] = {"ack", "enqueue", "extend", "nack", "purge", "redrive"};
  using options_type = queue_options;
  static result<queue_options> read_options(const value& given);

  explicit queue(const builtin_settings<queue_options>& settings) : settings_(settings) {}

  std::optional<exit_reason> init(const scope& where, std::uint64_t seed) override;
  /// [1, life, last id, last delivery, acked, [message...], [dead...], [[dedupId, id, ms]...]], a message
  /// [id, receives, delivery, age in ms, 0 ready 1 delayed 2 received, ms, value]
  result<value> snapshot(const moment& at) override;
  std::size_t state_bytes() const noexcept override { return size_; }
  result<void> restore(const scope& where, std::uint64_t seed, const value& state, std::uint64_t version) override;

 protected:
  outcome handle(const scope& where, std::string_view method, const value& argument) override;
  void advance(const scope& where) override;
  time_point next_due() const override;
  std::vector<unanswered> let_go(const scope&) override { return waiting_.let_go("receive"); }

 private:
  enum class place : std::uint8_t { ready, delayed, received };
  struct message {
    bytes encoded;
    time_point arrived;
    std::int64_t receives = 0;
    std::int64_t delivery = 0;  ///< the last one's number, of all of the queue: what its receipt says
    place at = place::ready;
    time_point until = never;  ///< when it is ready again
  };
  using messages = std::map<std::int64_t, message>;
  struct wanted {
    std::size_t count;
    duration visibility;
  };
  struct remembered {
    std::int64_t id;
    time_point until;
  };
  using dedups = std::map<std::string, remembered, std::less<>>;

  // ---- queue.cpp ----
  outcome enqueue(const scope& where, const value& argument);
  outcome receive(const scope& where, const value& argument);
  outcome ack(const value& argument);
  outcome nack(const scope& where, const value& argument);
  outcome extend(const scope& where, const value& argument);
  [[nodiscard]] value deliver(const scope& where, const wanted& to);
  void serve(const scope& where);
  [[nodiscard]] std::string receipt_of(std::int64_t id, const message& of) const;
  /// The message that the receipt is of; end where it is no longer in the queue. Errors: invalid_argument, conflict.
  [[nodiscard]] result<messages::iterator> find(std::string_view method, std::string_view receipt);
  void hide(messages::iterator what, place at, time_point until);
  /// Ready again, or a dead letter.
  void give_back(messages::iterator what);
  void remove(messages& from, messages::iterator gone);
  [[nodiscard]] std::optional<error> no_room(std::size_t bytes) const;

  // ---- queue_care.cpp ----
  outcome dead(const scope& where, const value& argument) const;
  outcome redrive(const scope& where, const value& argument);
  outcome purge(const value& argument);
  outcome stats(const scope& where) const;
  static void put_messages(bytes& out, const messages& all, const moment& at);
  void read_messages(state_reader& in, messages& into, const scope& where);

  static constexpr std::size_t message_overhead = 48;  ///< of one in the snapshot, beside its value
  static constexpr std::size_t dedup_overhead = 24;

  const builtin_settings<queue_options>& settings_;
  std::int64_t life_ = 0;  ///< tells receipts of one life of the process from those of another
  std::int64_t last_id_ = 0;
  std::int64_t last_delivery_ = 0;
  std::int64_t acked_ = 0;
  messages messages_;
  std::set<std::int64_t> ready_;
  std::set<std::pair<time_point, std::int64_t>> hidden_;
  std::size_t received_ = 0;  ///< of the hidden
  messages dead_;
  dedups dedups_;
  std::list<dedups::iterator> dedups_in_order_;
  waiting_line<wanted> waiting_;
  std::size_t size_ = state_overhead;  ///< about what the snapshot has
};

}  // namespace orrery::process
