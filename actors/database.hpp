// The pool behind protocol/database.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "actors/protocol/database.hpp"
#include "domain/ports/log.hpp"

namespace carillon {

struct database_options {
  std::string name; ///< "interactive", "background", "control".
  std::size_t workers = 4;
  std::size_t queue_limit = 1'000;
  /// Called on each worker's own thread, before its first task.
  std::function<std::unique_ptr<store>()> make_store;
  logger* log = nullptr;
};

/// Spawns the dispatcher and its workers. Hold the handle: an unreferenced
/// pool ends.
database_actor spawn_database(caf::actor_system& system, database_options options);

} // namespace carillon
