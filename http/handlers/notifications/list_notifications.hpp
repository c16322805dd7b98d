// GET /notifications, /notifications/unread-count, /notifications/recent.
#pragma once

#include "domain/ports/notification_store.hpp"
#include "http/route.hpp"

namespace carillon::http::notifications {

/// Never fails: an unknown or malformed filter is no filter. A date without a
/// time means that whole day (UTC). `sort`/`direction` are aliases of
/// `sort_by`/`sort_dir`.
notification_filter parse_filter(const request& req);

/// `limit`, clamped to 1..50; 10 when absent or not a number.
int parse_limit(const request& req);

result<reply> run_list(call& c);
result<reply> run_unread_count(call& c);

/// For many callers at once: counts, and lists without a filter in the order
/// that they have when nothing is asked.
shared_read share_unread_count();
shared_read share_list();
result<reply> run_recent(call& c);

} // namespace carillon::http::notifications
