// node: the root. Starts the engine, restarts it when a part crashes, and
// ends with an error when it keeps crashing.
#pragma once

#include "actors/protocol/region.hpp"

namespace carillon {

using node_actor = protocol<
  // Forwarded to the region of the day.
  accepts<atom::hint, hint>,
  accepts<atom::hint, std::string>,
  // After the LISTEN connection was lost: everything may have been missed.
  accepts<atom::sweep>,
  answers<atom::release, std::string>::with<bool>,
  // Drains within the grace period, gives back the rest, ends the lease.
  answers<atom::stop>::with<atom::done>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: start the engine (again).
  accepts<atom::restart>,
  // INTERNAL: start the hub of live events (again).
  accepts<atom::restart, atom::live>,
  // INTERNAL: start the cluster (again).
  accepts<atom::restart, atom::peer>,
  // INTERNAL: the grace period is over.
  accepts<atom::tick>>;

} // namespace carillon
