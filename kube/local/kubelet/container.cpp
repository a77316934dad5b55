#include "kube/local/kubelet/container.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace orrery::local {
namespace {

constexpr std::size_t line_bytes_max = 16 * 1024;

json terminated(const ended_life& life) {
  json out = {{"exitCode", life.code},
              {"reason", life.reason},
              {"startedAt", rfc3339(life.started)},
              {"finishedAt", rfc3339(life.finished)},
              {"containerID", life.id}};
  if (life.signal != 0) out["signal"] = life.signal;
  if (!life.message.empty()) out["message"] = life.message;
  return {{"terminated", std::move(out)}};
}

}  // namespace

log_writer::log_writer(std::string path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

log_writer::~log_writer() {
  finish();
  if (file_ >= 0) ::close(file_);
}

void log_writer::line(std::string_view text) {
  const auto out = rfc3339_nano(std::chrono::system_clock::now()) + " " + std::string(text) + "\n";
  if (file_ >= 0) (void)!::write(file_, out.data(), out.size());
}

bool log_writer::pump(int descriptor) {
  std::array<char, 32 * 1024> buffer{};
  for (int rounds = 0; rounds < 16; ++rounds) {
    const auto size = ::read(descriptor, buffer.data(), buffer.size());
    if (size == 0) return false;
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    partial_.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t start = 0;
    for (auto end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n', start)) {
      line(std::string_view(partial_).substr(start, end - start));
      start = end + 1;
    }
    partial_.erase(0, start);
    if (partial_.size() > line_bytes_max) finish();
  }
  return true;
}

void log_writer::finish() {
  if (!partial_.empty()) line(partial_);
  partial_.clear();
}

json container::status() const {
  json out = {{"name", name},
              {"image", text_at(spec, {"image"})},
              {"imageID", ""},
              {"ready", ready},
              {"started", running.has_value() && startup_passed},
              {"restartCount", restarts},
              {"lastState", json::object()}};
  if (!id.empty()) out["containerID"] = id;
  if (running) {
    out["state"]["running"]["startedAt"] = rfc3339(started_at);
  } else if (last && waiting_reason.empty()) {
    out["state"] = terminated(*last);
  } else {
    out["state"]["waiting"]["reason"] = waiting_reason;
    if (!waiting_message.empty()) out["state"]["waiting"]["message"] = waiting_message;
  }
  if (kind == role::init && succeeded()) out["ready"] = true;
  if (last && !running && !waiting_reason.empty()) {
    out["lastState"] = terminated(*last);
  } else if (previous) {
    out["lastState"] = terminated(*previous);
  }
  return out;
}

void container::stop_probes() {
  startup.reset();
  liveness.reset();
  readiness.reset();
}

}  // namespace orrery::local
