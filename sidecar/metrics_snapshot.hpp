#pragma once
// Families whose values are read when somebody scrapes. Heavy: for the metrics' own files only.
#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace orrery::sidecar {

using metric_labels = std::vector<std::pair<std::string, std::string>>;

class metrics_snapshot {
 public:
  void add(const std::string& name, const std::string& help, prometheus::MetricType type, double number,
           metric_labels with = {}) {
    if (families_.empty() || families_.back().name != "orrery_" + name) {
      families_.push_back({"orrery_" + name, help, type, {}});
    }
    prometheus::ClientMetric metric;
    for (auto& [key, content] : with)
      metric.label.push_back({key, content});
    if (type == prometheus::MetricType::Counter) metric.counter.value = number;
    if (type == prometheus::MetricType::Gauge) metric.gauge.value = number;
    families_.back().metric.push_back(std::move(metric));
  }
  void gauge(const std::string& name, const std::string& help, double number, metric_labels with = {}) {
    add(name, help, prometheus::MetricType::Gauge, number, std::move(with));
  }
  void counter(const std::string& name, const std::string& help, std::uint64_t number, metric_labels with = {}) {
    add(name, help, prometheus::MetricType::Counter, static_cast<double>(number), std::move(with));
  }
  [[nodiscard]] std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace orrery::sidecar
