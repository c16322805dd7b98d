#include "storage/delivery_facts.hpp"

#include "storage/connection.hpp"

namespace carillon::storage {

delivery_facts read_delivery_facts(const pqxx::row& row) {
  delivery_facts facts;
  const auto flag = [&](const char* column, bool otherwise) {
    return nullable<bool>(row[column]).value_or(otherwise);
  };
  facts.urgent = flag("is_urgent", false);
  facts.overrides = flag("overrides", false);
  facts.preferences = {flag("in_app", true), flag("email", true), flag("push", false), flag("sms", false)};
  facts.email_obstacle = text_or_empty(row["email_obstacle"]);
  facts.push_obstacle = text_or_empty(row["push_obstacle"]);
  facts.sms_obstacle = text_or_empty(row["sms_obstacle"]);
  facts.quiet_until = read_nullable_instant(row["quiet_until"]);
  facts.quiet_reason = text_or_empty(row["quiet_reason"]);
  facts.digest_at = read_nullable_instant(row["digest_at"]);
  facts.digest_reason = text_or_empty(row["digest_reason"]);
  return facts;
}

} // namespace carillon::storage
