// What uploads leave behind when a node dies between a file and its row, or a
// removal fails: files of the workspace that are older than a day and that no
// post names. A part of the nightly cleanup, whose job it is given.
#pragma once

#include "actors/jobs/job_handler.hpp"
#include "domain/ports/log.hpp"
#include "domain/ports/object_store.hpp"

namespace carillon {

/// Touches only what is right below `upload_folder` and named as uploads are.
/// Blocks on the disk, too, so one run at a time in this process: another one
/// succeeds and leaves all to the next night. What the disk refuses is logged,
/// left to that night as well, and no failure of the job.
job_outcome remove_orphan_files(store& db, object_store& files, const node_identity& me, const job& work, logger& log,
                                const std::stop_token& stop = {});

} // namespace carillon
