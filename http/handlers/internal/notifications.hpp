// POST /internal/notifications: other programs of the platform tell a user,
// a list of users, or a tenant.
#pragma once

#include "domain/ports/notification_store.hpp"
#include "http/route.hpp"

namespace carillon::http::internal_area {

/// Exactly one of `user_id`, `user_ids` (1 to 1,000) and `all_users: true`.
/// Unknown fields are refused: a misspelt one must not tell everybody.
/// `key` is the header Idempotency-Key, or empty. errc::invalid_argument
/// names every bad field.
result<notification_request> parse_notification_request(const json& body, const std::string& key);

result<reply> run_notify(call& c);

} // namespace carillon::http::internal_area
