// GET and PUT /notifications/preferences.
#pragma once

#include <vector>

#include "domain/ports/notification_store.hpp"
#include "http/route.hpp"

namespace carillon::http::notifications {

struct preferences_input {
  /// The web client's form: answered with the whole list.
  bool bulk = false;
  std::vector<preference_change> changes;
};

/// The dual form of contract §3.1; a body with `preferences` is the bulk
/// form. Absent flags become the default channels, but in the bulk form
/// absent push and sms keep what is stored. errc::invalid_argument names
/// every bad field, in the bulk form as `preferences.N.field`.
result<preferences_input> parse_preferences(const json& body);

result<reply> run_preferences(call& c);
result<reply> run_update_preferences(call& c);

} // namespace carillon::http::notifications
