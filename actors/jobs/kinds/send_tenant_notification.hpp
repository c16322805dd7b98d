// send_tenant_notification: tells every active user of a tenant.
#pragma once

#include "actors/jobs/job_handler.hpp"

namespace carillon {

/// From where the last run of it stopped, in transactions of a few thousand
/// users each.
job_outcome send_tenant_notification(store& db, const node_identity& me, const job& work,
                                     const std::stop_token& stop = {});

} // namespace carillon
