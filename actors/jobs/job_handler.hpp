// What a kind of job does: the other half of its job_policy.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

#include "domain/job.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/job_store.hpp"
#include "domain/ports/store.hpp"

namespace carillon {

/// How a run ended (job_report::kind says what each means).
struct job_outcome {
  job_report::kind how = job_report::kind::succeeded;
  std::string error;
  std::optional<std::chrono::milliseconds> delay;
};

/// On the thread of the workspace's supervisor: must be quick and must not
/// block.
using quick_handler = std::function<job_outcome(const job&)>;

/// On a database worker, which it may keep for the kind's timeout. What it
/// changes belongs in a transaction fenced by the given life; only then may a
/// run end as `concluded`.
using database_handler = std::function<job_outcome(store&, const node_identity&, const job&)>;

/// The same for what takes long: it looks at the token between its steps. Stop is
/// asked for when the kind's timeout is over and when the job has ended without
/// this run, as an operator's cancel ends it; what is reported after that counts
/// for nothing. Either way the database refuses what a run asks for after its
/// timeout (domain/run_deadline.hpp).
using stoppable_handler = std::function<job_outcome(store&, const node_identity&, const job&, const std::stop_token&)>;

using job_handler = std::variant<quick_handler, database_handler, stoppable_handler>;

/// By kind. Kinds that call out (publish_post, send_notification_email) have
/// an actor of their own instead.
using job_handlers = std::map<std::string, job_handler, std::less<>>;

/// What `run()` says; one that throws has failed, its workspace has not.
template <class Run>
job_outcome guarded(const Run& run) {
  try {
    return run();
  } catch (const std::exception& e) {
    return {job_report::kind::retry, e.what(), {}};
  } catch (...) {
    return {job_report::kind::retry, "an unknown exception", {}};
  }
}

/// Every handler that comes with the program.
job_handlers built_in_handlers();

} // namespace carillon
