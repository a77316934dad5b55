#pragma once
#include "mesh/process/builtin/builtin.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace orrery::process {

/// Who holds permits, and who waits for them: what is under `lock` (one permit) and `semaphore`. Fair: first come,
/// first served, and nobody passes one who waits for more. A holder is known by its owner's name; it holds until it
/// releases, until its lease ends, or until the process that it is ends. Every grant has a token greater than those
/// before it.
class permits {
 public:
  struct holder {
    std::int64_t count = 1;
    std::int64_t token = 0;
    duration lease = duration::max();  ///< length, for renewals; max: none
    time_point until = never;
    time_point since;
    std::string pid{};  ///< of a process, watched
    kernel::reference watched = kernel::no_reference;
  };
  using holders = std::map<std::string, holder, std::less<>>;
  /// What an owner asks for.
  struct request {
    std::string owner;
    std::int64_t count = 1;
    duration lease = duration::max();
    std::string pid{};  ///< where the owner is a process
    kernel::handle process = kernel::nobody;
  };

  /// `first`: tokens are greater.
  void begin(std::int64_t first) { last_token_ = first; }
  void set_limit(std::int64_t limit) { limit_ = limit; }
  [[nodiscard]] std::int64_t limit() const noexcept { return limit_; }
  /// Less than 0 where the limit was lowered under what is held.
  [[nodiscard]] std::int64_t available() const noexcept { return limit_ - held_; }

  /// The grant, also where the owner has one already: then its lease begins anew. Null where it would have to wait.
  /// Errors: conflict, where the owner holds another number of permits.
  [[nodiscard]] result<const holders::value_type*> try_take(const scope& where, const request& asked);
  void release(const scope& where, holders::iterator of);
  void renew(const scope& where, holders::iterator of, std::optional<duration> lease);
  [[nodiscard]] holders::iterator find(std::string_view owner) { return holders_.find(owner); }
  [[nodiscard]] holders::iterator find(std::int64_t token);
  /// Nobody's end is heard of any more.
  void unwatch(const scope& where);
  /// Releases what the process held that was watched so.
  void owner_ended(const scope& where, kernel::reference watched);
  [[nodiscard]] const holders& all() const noexcept { return holders_; }
  [[nodiscard]] holders::iterator none() { return holders_.end(); }
  /// Releases those whose lease has ended.
  void expire(const scope& where);
  [[nodiscard]] time_point next_due() const { return leases_.empty() ? never : leases_.begin()->first; }
  /// About what the holders take in a snapshot.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] static std::size_t size_of(const request& asked) { return entry_size(asked.owner, asked.pid); }

  /// [last token, [[owner, count, token, lease ms, remaining ms, age ms, pid]...]]
  void put(bytes& out, const moment& at) const;
  /// `unseen_lease`: what a process keeps whose node is not known here, so that it can be asked after.
  void read(state_reader& in, const scope& where, duration unseen_lease);

 private:
  [[nodiscard]] static std::size_t entry_size(std::string_view owner, std::string_view pid) {
    return owner.size() + pid.size() + 64;
  }
  void set_end(holders::iterator of, time_point until);

  holders holders_;
  std::set<std::pair<time_point, std::string>> leases_;
  std::map<kernel::reference, std::string> watched_;
  std::int64_t limit_ = 1;
  std::int64_t held_ = 0;
  std::int64_t last_token_ = 0;
  std::size_t size_ = 0;
};

}  // namespace orrery::process
