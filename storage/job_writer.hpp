// Jobs inside the caller's transaction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "domain/job.hpp"

namespace carillon::storage {

/// Plain INSERT with the kind's policy; a live job with the unique key is
/// met as the policy says. False when it rejects: nothing was written.
/// Throws std::invalid_argument for a kind that this build does not know.
bool insert_job(pqxx::transaction_base& tx, const new_job& job);

enum class inserted : std::uint8_t {
  refused,    ///< As insert_job: nothing was written.
  to_be_read, ///< Written, or met a live one; the owner is to be told.
  taken,      ///< The owner is this node, and has it in hand with the commit.
};

/// insert_job for one that is to run at once. Holds the node's fence where it
/// takes it. Throws as insert_job does.
inserted insert_job_to_run(pqxx::transaction_base& tx, const new_job& job);

/// Several in one statement, in their order. Those whose unique key a live job
/// holds are left out, whatever their policy says. How many were written.
/// Throws as insert_job does.
std::int64_t insert_jobs(pqxx::transaction_base& tx, const std::vector<new_job>& jobs);

/// The one PublishPost job of a post (contract §4.2: key publish-post-{post}).
new_job publish_job_for(post_id post, tenant_id tenant, workspace_id workspace,
                        std::string correlation_id);

/// Moves live jobs to the history in `state`. Ids that are not live any more
/// are passed over.
void move_to_history(pqxx::transaction_base& tx, const std::vector<job_id>& ids,
                     job_state state);

/// The same for one job that ran: when it was enqueued again meanwhile, it
/// stays and runs once more. False when it is not this run's to conclude:
/// gone, or tried again since.
bool conclude_run(pqxx::transaction_base& tx, const job& run, job_state state);

/// Appends to the job's error history.
void append_job_error(pqxx::transaction_base& tx, job_id id, const std::string& error);

} // namespace carillon::storage
