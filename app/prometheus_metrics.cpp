#include "app/prometheus_metrics.hpp"

#include <algorithm>
#include <charconv>

#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>

namespace carillon::app {

namespace {

const prometheus::Histogram::BucketBoundaries seconds_buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                             0.5,   1,      2.5,   5,    10,    30,   60,  300};

double seconds(std::chrono::nanoseconds d) {
  return std::chrono::duration<double>(d).count();
}

std::optional<double> number(const actor_report& report, std::string_view fact) {
  for (const auto& [key, value] : report.facts)
    if (key == fact) {
      double out = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
      if (error == std::errc{} && end == value.data() + value.size())
        return out;
    }
  return std::nullopt;
}

/// A family of gauges that lives for one scrape.
class gauges {
public:
  gauges(prometheus::Registry& registry, const char* name, const char* help)
    : family_(prometheus::BuildGauge().Name(name).Help(help).Register(registry)) {
  }
  void set(const prometheus::Labels& labels, std::optional<double> value) {
    if (value)
      family_.Add(labels).Set(*value);
  }

private:
  prometheus::Family<prometheus::Gauge>& family_;
};

constexpr std::string_view pool_prefix = "database.";

} // namespace

prometheus_metrics::prometheus_metrics(const clock_port& clock)
  : clock_(clock),
    pickup_(prometheus::BuildHistogram()
              .Name("carillon_job_pickup_seconds")
              .Help("From the instant a job was due to the start of its run.")
              .Register(registry_)),
    duration_(prometheus::BuildHistogram()
                .Name("carillon_job_run_seconds")
                .Help("From the start of a run to its report.")
                .Register(registry_)),
    lateness_(prometheus::BuildHistogram()
                .Name("carillon_publish_lateness_seconds")
                .Help("From the instant a post was scheduled for to the network's acceptance.")
                .Register(registry_)),
    attempts_(prometheus::BuildCounter()
                .Name("carillon_job_runs_total")
                .Help("Runs that ended, by how they ended.")
                .Register(registry_)),
    restarts_(prometheus::BuildCounter()
                .Name("carillon_actor_restarts_total")
                .Help("Actors that crashed and were started again, by kind.")
                .Register(registry_)),
    circuits_opened_(prometheus::BuildCounter()
                       .Name("carillon_host_circuits_opened_total")
                       .Help("Times that a social network's server counted as down.")
                       .Register(registry_)),
    circuits_open_(prometheus::BuildGauge()
                     .Name("carillon_host_circuits_open")
                     .Help("Social networks' servers that count as down.")
                     .Register(registry_)
                     .Add({})) {
}

prometheus::Histogram& prometheus_metrics::of(histograms& family,
                                              std::map<std::string, prometheus::Histogram*, std::less<>>& known,
                                              const char* label, std::string_view value) {
  auto i = known.find(value);
  if (i == known.end()) {
    const std::string text{value};
    i = known.emplace(text, &family.Add({{label, text}}, seconds_buckets)).first;
  }
  return *i->second;
}

void prometheus_metrics::job_started(std::string_view kind, instant due) noexcept {
  const auto waited = std::max(clock_.now() - due, instant::duration{0});
  std::lock_guard lock{mutex_};
  of(pickup_, pickup_by_kind_, "kind", kind).Observe(seconds(waited));
}

void prometheus_metrics::job_ended(std::string_view kind, std::string_view outcome,
                                   std::chrono::nanoseconds took) noexcept {
  std::lock_guard lock{mutex_};
  of(duration_, duration_by_kind_, "kind", kind).Observe(seconds(took));
  auto by_kind = attempts_by_kind_.find(kind);
  if (by_kind == attempts_by_kind_.end())
    by_kind = attempts_by_kind_.try_emplace(std::string{kind}).first;
  auto counter = by_kind->second.find(outcome);
  if (counter == by_kind->second.end())
    counter = by_kind->second
                .emplace(std::string{outcome},
                         &attempts_.Add({{"kind", std::string{kind}}, {"outcome", std::string{outcome}}}))
                .first;
  counter->second->Increment();
}

void prometheus_metrics::post_accepted(network where, instant due) noexcept {
  const auto late = std::max(clock_.now() - due, instant::duration{0});
  std::lock_guard lock{mutex_};
  of(lateness_, lateness_by_network_, "network", to_string(where)).Observe(seconds(late));
}

void prometheus_metrics::actor_restarted(std::string_view actor) noexcept {
  restarts_.Add({{"actor", std::string{actor}}}).Increment();
}

void prometheus_metrics::host_circuit(bool opened) noexcept {
  if (opened)
    circuits_opened_.Add({}).Increment();
  circuits_open_.Increment(opened ? 1 : -1);
}

std::string prometheus_metrics::render(const actor_report& node, const std::vector<job_count>& jobs) const {
  prometheus::Registry scraped;
  gauges waiting{scraped, "carillon_jobs", "Jobs in the shards that this node owns, by kind and state."};
  gauges oldest{scraped, "carillon_job_oldest_due_seconds", "Age of the oldest due job in this node's shards."};
  std::map<std::string, double> oldest_by_kind;
  for (const auto& group : jobs) {
    waiting.set({{"kind", group.kind}, {"queue", group.queue}, {"state", group.state}},
                static_cast<double>(group.count));
    auto& age = oldest_by_kind[group.kind];
    age = std::max(age, std::chrono::duration<double>(group.oldest_due).count());
  }
  for (const auto& [kind, age] : oldest_by_kind)
    oldest.set({{"kind", kind}}, age);

  gauges epoch{scraped, "carillon_lease_epoch", "This node's incarnation, the fencing token of what it decides."};
  gauges shards{scraped, "carillon_shards_owned", "Shards that this node owns, of 256."};
  gauges lease{scraped, "carillon_lease_left_seconds", "Until this node's lease ends unless it is renewed."};
  gauges connections{scraped, "carillon_database_connections", "Connections of a pool, by what they do."};
  gauges queued{scraped, "carillon_database_queued", "Calls that wait for a connection of the pool."};
  gauges mailbox{scraped, "carillon_mailbox_depth", "Messages that wait in the mailbox, by kind of actor."};
  gauges workspaces{scraped, "carillon_workspaces", "Workspaces with running actors, and those in quarantine."};
  gauges running{scraped, "carillon_jobs_running", "Jobs that this node runs at this moment."};
  for (const auto& part : node.children) {
    mailbox.set({{"actor", part.name}}, number(part, "mailbox"));
    if (part.name == "ownership") {
      epoch.set({}, number(part, "incarnation"));
      shards.set({}, number(part, "shards"));
      if (const auto left = number(part, "lease_left_ms"))
        lease.set({}, *left / 1000);
    } else if (part.name == "region") {
      workspaces.set({{"state", "running"}}, number(part, "workspaces"));
      workspaces.set({{"state", "quarantined"}}, number(part, "quarantined"));
    } else if (part.name == "job_feed") {
      running.set({}, number(part, "in_flight"));
    } else if (part.name.starts_with(pool_prefix)) {
      const auto pool = part.name.substr(pool_prefix.size());
      const auto busy = number(part, "busy");
      const auto workers = number(part, "workers");
      connections.set({{"pool", pool}, {"state", "busy"}}, busy);
      if (busy && workers)
        connections.set({{"pool", pool}, {"state", "idle"}}, *workers - *busy);
      queued.set({{"pool", pool}}, number(part, "queued"));
    }
  }

  auto families = registry_.Collect();
  for (auto& family : scraped.Collect())
    families.push_back(std::move(family));
  // A family nobody has added to would be a header without a sample.
  std::erase_if(families, [](const auto& family) { return family.metric.empty(); });
  return prometheus::TextSerializer{}.Serialize(families);
}

} // namespace carillon::app
