#pragma once
#include "mesh/sim/cluster.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sim {

/// Clients that call counters through random nodes, and the book of what they were told. Finds contradictions.
class workload {
 public:
  struct options {
    std::size_t keys = 20;
    duration every = std::chrono::milliseconds{20};
    /// Without crashes and cuts nothing may be lost, and nobody may see an error.
    bool exact = false;
    /// Callers wait long enough for a link that stalls.
    bool patient = false;
  };
  workload(cluster& world, options chosen);

  void begin();
  void stop() { running_ = false; }
  /// Every key once, at its node; the answers are compared by check().
  void read_all();
  /// What is wrong; empty if nothing is.
  [[nodiscard]] std::vector<std::string> check() const;
  [[nodiscard]] std::size_t answered() const noexcept { return answered_; }
  [[nodiscard]] std::size_t failed() const noexcept { return failed_; }
  [[nodiscard]] const std::vector<process_name>& names() const noexcept { return names_; }

  void on_response(node::request_id id, const result<value>& answer);
  void on_end(const std::string& node, std::uint64_t boot, bool drained);

 private:
  enum class kind { add, cast_add, get, final_get };
  struct request {
    std::string node;
    std::uint64_t boot = 0;
    kind what = kind::add;
    std::size_t key = 0;
    time_point asked;
    time_point deadline;
    std::optional<time_point> answered;
    std::optional<std::int64_t> value;
    std::optional<error> failed;
    bool void_of_answer = false;  ///< its node died
    bool at_leaving_node = false;
    bool cancelled = false;
    std::size_t answers = 0;
  };
  void next();
  void ask(kind what, std::size_t key, const std::string& at);
  void cancel_some(node::request_id id, const request& asked);
  void check_exact(std::vector<std::string>& wrong) const;

  cluster& world_;
  options chosen_;
  std::vector<process_name> names_;
  std::map<std::uint64_t, request> requests_;
  bool running_ = false;
  std::size_t answered_ = 0;
  std::size_t failed_ = 0;
};

}  // namespace orrery::sim
