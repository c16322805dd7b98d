#include "actors/jobs/kinds/send_tenant_notification.hpp"

#include "domain/ports/notification_store.hpp"

namespace carillon {

namespace {

constexpr int chunk = 2'000;

} // namespace

job_outcome send_tenant_notification(store& db, const node_identity& me, const job& work,
                                     const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto progress = db.notifications().continue_broadcast(me, work, chunk);
    if (!progress) {
      const auto& why = progress.error();
      // Fenced out: no longer this run's to report.
      if (why.code == errc::cancelled)
        return {job_report::kind::concluded, {}, {}};
      if (why.code == errc::invalid_argument)
        return {job_report::kind::discarded, why.detail, {}};
      return {job_report::kind::retry, why.detail, {}};
    }
    if (progress->finished)
      return {};
  }
  return {job_report::kind::retry, "it was told to stop", {}};
}

} // namespace carillon
