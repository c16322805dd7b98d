// GET and PUT /notifications/phone: where texts go.
#pragma once

#include "http/route.hpp"

namespace carillon::http::notifications {

/// The number in E.164; empty for none (null or an empty text).
/// errc::invalid_argument on `phone`.
result<std::string> parse_phone(const json& body);

result<reply> run_phone(call& c);
result<reply> run_set_phone(call& c);

} // namespace carillon::http::notifications
