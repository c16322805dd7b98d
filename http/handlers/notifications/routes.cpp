#include "http/handlers/notifications/routes.hpp"

#include "http/handlers/notifications/deliveries.hpp"
#include "http/handlers/notifications/list_notifications.hpp"
#include "http/handlers/notifications/mark_notifications.hpp"
#include "http/handlers/notifications/phone.hpp"
#include "http/handlers/notifications/preferences.hpp"
#include "http/handlers/notifications/settings.hpp"
#include "http/handlers/notifications/unsubscribe.hpp"

namespace carillon::http {

std::vector<route> notification_routes() {
  const std::string base = "/api/v1/notifications";
  return {
    {.method = "GET", .pattern = base, .run = notifications::run_list, .shared = notifications::share_list()},
    {.method = "GET", .pattern = base + "/unread-count", .run = notifications::run_unread_count,
     .shared = notifications::share_unread_count()},
    {"GET", base + "/recent", access::token, notifications::run_recent},
    {"POST", base + "/read-all", access::token, notifications::run_mark_all},
    {"POST", base + "/read-multiple", access::token,
     notifications::run_mark_multiple},
    {"POST", base + "/{notification}/read", access::token,
     notifications::run_mark_one},
    {"GET", base + "/preferences", access::token,
     notifications::run_preferences},
    {"PUT", base + "/preferences", access::token,
     notifications::run_update_preferences},
    {"GET", base + "/settings", access::token, notifications::run_settings},
    {"PUT", base + "/settings", access::token, notifications::run_update_settings},
    {"GET", base + "/{notification}/deliveries", access::token, notifications::run_deliveries},
    {"GET", "/unsubscribe/{token}", access::open, notifications::run_ask_unsubscribe},
    {"POST", "/unsubscribe/{token}", access::open, notifications::run_unsubscribe},
    {"GET", base + "/phone", access::token, notifications::run_phone},
    {"PUT", base + "/phone", access::token, notifications::run_set_phone},
  };
}

} // namespace carillon::http
