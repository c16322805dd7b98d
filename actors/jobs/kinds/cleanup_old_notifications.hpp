// CleanupOldNotifications (spec §8.8 and §14, contract §4.2): what is older
// than 90 days goes, read ones not before 30 days after they were read.
// Payload: `{"v": 1}`; one tenant's notifications, in chunks.
#pragma once

#include "actors/jobs/job_handler.hpp"

namespace carillon {

job_outcome cleanup_old_notifications(store& db, const node_identity& me, const job& work,
                                      const std::stop_token& stop = {});

} // namespace carillon
