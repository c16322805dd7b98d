#include "storage/delivery_repository.hpp"

#include <nlohmann/json.hpp>

#include "storage/failure_notice.hpp"
#include "storage/fence.hpp"
#include "storage/job_writer.hpp"
#include "storage/notification_repository.hpp"
#include "storage/notification_writer.hpp"

namespace carillon::storage {

namespace {

std::optional<notification_id> notification_of(const job& job) {
  const auto payload = nlohmann::json::parse(job.payload, nullptr, false);
  if (!payload.is_object())
    return std::nullopt;
  const auto i = payload.find("notification_id");
  if (i == payload.end() || !i->is_string())
    return std::nullopt;
  return notification_id::parse(i->get<std::string>());
}

} // namespace

result<notification_email> delivery_repository::load_email(const job& job) {
  const auto id = notification_of(job);
  if (!id)
    return invalid("notification_id", "is missing from the job's payload");
  return notification_repository{db_}.load_email(scope::tenant(job.tenant), *id);
}

result<done> delivery_repository::conclude_email(const node_identity& me, const job& job,
                                                 const email_outcome& outcome) {
  return db_.transact("conclude-email", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    if (const auto id = notification_of(job))
      record_email_outcome(tx, job.tenant, *id, outcome);
    const bool failed = outcome.how == email_outcome::kind::failed;
    hints in_app_only;
    if (failed) {
      append_job_error(tx, job.id, outcome.reason);
      tell_admins(tx, job, outcome.reason, in_app_only);
    }
    conclude_run(tx, job, failed ? job_state::discarded : job_state::succeeded);
    return done{};
  });
}

} // namespace carillon::storage
