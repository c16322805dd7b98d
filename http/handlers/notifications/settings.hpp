// GET and PUT /notifications/settings: quiet hours and digests.
#pragma once

#include "domain/notification_settings.hpp"
#include "http/route.hpp"

namespace carillon::http::notifications {

/// `quiet_hours {enabled, start, end}`, `digests {<category>: off|hourly|daily}`
/// and `digest_hour`; what is absent is kept. errc::invalid_argument names
/// every bad field, nested ones with a dot.
result<settings_change> parse_settings(const json& body);

json render(const notification_settings& s);

result<reply> run_settings(call& c);
result<reply> run_update_settings(call& c);

} // namespace carillon::http::notifications
