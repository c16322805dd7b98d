// Notification and NotificationPreference as the contract shows them (§3.1).
#pragma once

#include <string>
#include <vector>

#include "domain/ports/notification_store.hpp"
#include "http/route.hpp"

namespace carillon::http::notifications {

json render(const notification& n);
json render(const std::vector<notification>& list);
/// The same as text, at once; of rows as the database has them.
std::string render_text(const std::vector<notification>& list);
json render(const notification_preference& p);
json render(const std::vector<notification_preference>& list);

} // namespace carillon::http::notifications
