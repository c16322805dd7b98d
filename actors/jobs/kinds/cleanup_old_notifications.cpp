#include "actors/jobs/kinds/cleanup_old_notifications.hpp"

#include "domain/ports/notification_store.hpp"

namespace carillon {

namespace {

constexpr std::chrono::hours keep{90 * 24};
constexpr std::chrono::hours keep_after_reading{30 * 24};
constexpr int chunk = 1'000;

} // namespace

job_outcome cleanup_old_notifications(store& db, const node_identity& me, const job& work,
                                      const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto deleted = db.notifications().delete_expired(me, work, keep, keep_after_reading, chunk);
    if (!deleted) {
      // Fenced out, or given up meanwhile: no longer this run's to report.
      if (deleted.error().code == errc::cancelled)
        return {job_report::kind::concluded, {}, {}};
      return {job_report::kind::retry, deleted.error().detail, {}};
    }
    if (*deleted < chunk)
      return {};
  }
  return {job_report::kind::retry, "it was told to stop", {}};
}

} // namespace carillon
