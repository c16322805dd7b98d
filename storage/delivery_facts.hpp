// Rows of carillon.delivery_facts.
#pragma once

#include <pqxx/pqxx>

#include "domain/delivery_decision.hpp"

namespace carillon::storage {

#define CARILLON_DELIVERY_FACTS                                                                       \
  "f.is_urgent, f.overrides, f.in_app, f.email, f.push, f.sms, f.email_obstacle, f.push_obstacle, "   \
  "f.sms_obstacle, f.quiet_until, f.quiet_reason, f.digest_at, f.digest_reason"

/// From a row with the columns above. A row without facts (outer join, a type
/// of a newer release) stands against nothing.
delivery_facts read_delivery_facts(const pqxx::row& row);

} // namespace carillon::storage
