// What uploads leave behind when a node dies between a file and its row, or a
// removal fails: files of the workspace that are older than a day and that no
// post names. A part of the nightly cleanup, whose job it is given.
#pragma once

#include "actors/jobs/job_handler.hpp"
#include "domain/ports/log.hpp"
#include "domain/ports/object_store.hpp"

namespace carillon {

/// Never touches what is not below `upload_folder`. Blocks on the disk, too.
job_outcome remove_orphan_files(store& db, object_store& files, const node_identity& me, const job& work, logger& log,
                                const std::stop_token& stop = {});

} // namespace carillon
