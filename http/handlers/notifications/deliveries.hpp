// GET /notifications/{notification}/deliveries: what became of it on each
// channel, and why.
#pragma once

#include "domain/ports/notification_store.hpp"
#include "http/route.hpp"

namespace carillon::http::notifications {

json render(const notification_delivery& d);

result<reply> run_deliveries(call& c);

} // namespace carillon::http::notifications
