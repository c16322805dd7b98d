// `carillon serve`: one node, from start to a clean end.
#pragma once

#include "app/log.hpp"
#include "config/load.hpp"

namespace carillon::app {

/// Runs until SIGINT or SIGTERM and drains; SIGHUP reads `source` again and
/// applies the hot keys. `configuration` is valid and complete for serving
/// (config::missing_for_serve is empty). Returns an exit code when it cannot
/// start; after serving it ends the process itself.
int run_serve(const config::source& source, const config::loaded& configuration,
              stderr_log& log);

} // namespace carillon::app
