#include "domain/cadences.hpp"

#include <algorithm>
#include <vector>

namespace carillon {

namespace {

using std::chrono::minutes;

std::vector<cadence> make_cadences() {
  struct row {
    std::string_view name;
    cadence_scope scope;
    std::string_view cron;
    missed_policy missed;
    minutes grace;
    minutes spread;
  };
  using enum cadence_scope;
  using enum missed_policy;
  // What comes again within minutes is not made up for after an outage, since
  // that would be a spike of work that is due soon anyway. A turn is over well
  // before the next run, and the nightly ones stay within their hour.
  constexpr row rows[] = {
    {"archive_old_inbox_items", workspace, "0 4 * * SUN", run_once, minutes{60},
     minutes{50}},
    {"cleanup_old_notifications", workspace, "0 2 * * *", run_once, minutes{60},
     minutes{50}},
    {"fetch_post_metrics", workspace, "0 */6 * * *", run_once, minutes{30},
     minutes{120}},
    {"publish_scheduled_posts", owner, "* * * * *", skip, minutes{1},
     minutes{0}},
    {"refresh_expiring_tokens", workspace, "0 3 * * *", run_once, minutes{60},
     minutes{50}},
    {"sync_inbox", workspace, "*/15 * * * *", skip, minutes{5}, minutes{10}},
  };
  std::vector<cadence> out;
  for (const auto& r : rows)
    out.push_back({r.name, r.name, r.scope, parse_cron(r.cron).value(),
                   r.missed, r.grace, r.spread});
  return out;
}

} // namespace

std::span<const cadence> cadences() {
  static const auto all = make_cadences();
  return all;
}

const cadence* find_cadence(std::string_view name) {
  for (const auto& entry : cadences())
    if (entry.name == name)
      return &entry;
  return nullptr;
}

bool is_active(const cadence& entry,
               std::span<const job_policy> policies) noexcept {
  return entry.scope == cadence_scope::owner
         || std::any_of(
           policies.begin(), policies.end(),
           [&](const job_policy& p) { return p.kind == entry.kind; });
}

} // namespace carillon
