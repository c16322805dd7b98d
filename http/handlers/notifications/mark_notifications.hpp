// POST /notifications/{id}/read, /notifications/read-all,
// /notifications/read-multiple.
#pragma once

#include <vector>

#include "domain/ports/notification_store.hpp"
#include "http/route.hpp"

namespace carillon::http::notifications {

/// `ids` of read-multiple: 1 to 100 UUIDs. errc::invalid_argument on `ids` or
/// on every bad `ids.N`.
result<std::vector<notification_id>> parse_ids(const json& body);

result<reply> run_mark_one(call& c);
result<reply> run_mark_all(call& c);
result<reply> run_mark_multiple(call& c);

} // namespace carillon::http::notifications
