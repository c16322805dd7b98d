// The node's metrics in the Prometheus text format (exposition format 0.0.4).
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "actors/protocol/report.hpp"
#include "domain/clock.hpp"
#include "domain/ports/job_store.hpp"
#include "domain/ports/metrics.hpp"

namespace carillon::app {

/// Counters and histograms live as long as the process; gauges are made of
/// what a scrape brings along.
class prometheus_metrics final : public metrics {
public:
  explicit prometheus_metrics(const clock_port& clock);

  void job_started(std::string_view kind, instant due) noexcept override;
  void job_ended(std::string_view kind, std::string_view outcome, std::chrono::nanoseconds took) noexcept override;
  void post_accepted(network where, instant due) noexcept override;
  void actor_restarted(std::string_view actor) noexcept override;
  void host_circuit(bool opened) noexcept override;

  /// `node` is the tree of reports, `jobs` what waits in this node's shards.
  std::string render(const actor_report& node, const std::vector<job_count>& jobs) const;

private:
  using histograms = prometheus::Family<prometheus::Histogram>;
  using counters = prometheus::Family<prometheus::Counter>;

  prometheus::Histogram& of(histograms& family, std::map<std::string, prometheus::Histogram*, std::less<>>& known,
                            const char* label, std::string_view value);

  const clock_port& clock_;
  prometheus::Registry registry_;
  histograms& pickup_;
  histograms& duration_;
  histograms& lateness_;
  counters& attempts_;
  counters& restarts_;
  counters& circuits_opened_;
  prometheus::Gauge& circuits_open_;

  std::mutex mutex_;
  std::map<std::string, prometheus::Histogram*, std::less<>> pickup_by_kind_;
  std::map<std::string, prometheus::Histogram*, std::less<>> duration_by_kind_;
  std::map<std::string, prometheus::Histogram*, std::less<>> lateness_by_network_;
  std::map<std::string, std::map<std::string, prometheus::Counter*, std::less<>>, std::less<>> attempts_by_kind_;
};

} // namespace carillon::app
