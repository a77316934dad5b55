#pragma once
// The meeting point of one HTTP exchange: the library's threads put what arrives, the caller's thread takes it.
// Included by cpprest_transport.cpp and its test only: it brings in cpprestsdk.
#include <cpprest/astreambuf.h>
#include <cpprest/http_client.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>

namespace orrery::kube {

/// Bytes that one exchange may hold for a caller that is slower than the server, and one chunk more. Beyond it the
/// connection is not read, so that TCP slows the server down.
inline constexpr std::size_t exchange_bytes_max = std::size_t{256} << 10;

struct answer_head {
  int status = 0;
  std::string retry_after;
};

class exchange {
 public:
  using clock = std::chrono::steady_clock;

  enum class news : std::uint8_t { head, bytes, end, failed, timeout, stopped };

  // What the library calls.
  void on_head(answer_head head) {
    const std::lock_guard lock{mutex_};
    head_ = std::move(head);
    changed_.notify_all();
  }

  pplx::task<std::size_t> on_bytes(const std::uint8_t* bytes, std::size_t count) {
    const std::lock_guard lock{mutex_};
    if (abandoned_) return pplx::task_from_exception<std::size_t>(std::runtime_error{"given up by the caller"});
    buffered_.append(reinterpret_cast<const char*>(bytes), count);  // NOLINT: bytes are bytes
    changed_.notify_all();
    if (buffered_.size() <= exchange_bytes_max) return pplx::task_from_result(count);
    waiting_ = parked{pplx::task_completion_event<std::size_t>{}, count};
    return pplx::create_task(waiting_->done);
  }

  void on_end() {
    const std::lock_guard lock{mutex_};
    ended_ = true;
    changed_.notify_all();
  }

  void on_failure(std::string why) {
    const std::lock_guard lock{mutex_};
    if (!failure_) failure_ = std::move(why);
    changed_.notify_all();
  }

  // What the caller calls. Waits for the head, then for bytes; a failure counts only when the bytes before it were
  // taken.
  [[nodiscard]] news wait_head(clock::time_point deadline, const std::stop_token& stop) {
    return wait(deadline, stop, [this]() -> std::optional<news> {
      if (head_) return news::head;
      if (failure_) return news::failed;
      return std::nullopt;
    });
  }

  [[nodiscard]] news wait_bytes(clock::time_point deadline, const std::stop_token& stop) {
    return wait(deadline, stop, [this]() -> std::optional<news> {
      if (!buffered_.empty()) return news::bytes;
      if (failure_) return news::failed;
      if (ended_) return news::end;
      return std::nullopt;
    });
  }

  [[nodiscard]] std::string take_bytes() {
    std::optional<parked> resumed;
    std::string taken;
    {
      const std::lock_guard lock{mutex_};
      taken.swap(buffered_);
      resumed.swap(waiting_);
    }
    if (resumed) resumed->done.set(resumed->count);
    return taken;
  }

  [[nodiscard]] answer_head head() const {
    const std::lock_guard lock{mutex_};
    return head_.value_or(answer_head{});
  }
  [[nodiscard]] std::string failure() const {
    const std::lock_guard lock{mutex_};
    return failure_.value_or("");
  }

  /// The caller does not care any more: what still arrives is dropped.
  void abandon() {
    std::optional<parked> resumed;
    {
      const std::lock_guard lock{mutex_};
      abandoned_ = true;
      buffered_.clear();
      resumed.swap(waiting_);
    }
    if (resumed) resumed->done.set_exception(std::runtime_error{"given up by the caller"});
  }

 private:
  struct parked {
    pplx::task_completion_event<std::size_t> done;
    std::size_t count;
  };

  template <class Ready>
  news wait(clock::time_point deadline, const std::stop_token& stop, Ready ready) {
    // Locks first, so that a stop cannot fall between the check and the wait.
    const std::stop_callback wake{stop, [this] {
                                    const std::lock_guard lock{mutex_};
                                    changed_.notify_all();
                                  }};
    std::unique_lock lock{mutex_};
    for (;;) {
      if (stop.stop_requested()) return news::stopped;
      if (const auto is = ready()) return *is;
      if (clock::now() >= deadline) return news::timeout;
      changed_.wait_until(lock, deadline);
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<answer_head> head_;
  std::string buffered_;
  std::optional<parked> waiting_;
  std::optional<std::string> failure_;
  bool ended_ = false;
  bool abandoned_ = false;
};

/// The stream buffer that the library writes a response to: passes everything on to an exchange. Write-only.
class exchange_sink final : public Concurrency::streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  explicit exchange_sink(std::shared_ptr<exchange> to)
      : streambuf_state_manager(std::ios_base::out), to_(std::move(to)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return static_cast<pos_type>(traits::eof()); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return static_cast<pos_type>(traits::eof()); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return static_cast<pos_type>(traits::eof());
  }
  bool acquire(std::uint8_t*&, std::size_t&) override { return false; }
  void release(std::uint8_t*, std::size_t) override {}

 protected:
  pplx::task<std::size_t> _putn(const std::uint8_t* bytes, std::size_t count) override {
    return to_->on_bytes(bytes, count);
  }
  pplx::task<int_type> _putc(std::uint8_t byte) override {
    return to_->on_bytes(&byte, 1).then([byte](std::size_t) { return static_cast<int_type>(byte); });
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  std::uint8_t* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}
  // Never read from.
  pplx::task<int_type> _bumpc() override { return eof(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return eof(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return eof(); }
  pplx::task<int_type> _ungetc() override { return eof(); }
  pplx::task<std::size_t> _getn(std::uint8_t*, std::size_t) override { return pplx::task_from_result(std::size_t{0}); }
  std::size_t _scopy(std::uint8_t*, std::size_t) override { return 0; }

 private:
  static pplx::task<int_type> eof() { return pplx::task_from_result<int_type>(traits::eof()); }

  std::shared_ptr<exchange> to_;
};

/// Gives `sink` the type that the library wants.
class exchange_streambuf final : public Concurrency::streams::streambuf<std::uint8_t> {
 public:
  explicit exchange_streambuf(const std::shared_ptr<exchange_sink>& sink) : streambuf(sink) {}
};

}  // namespace orrery::kube
