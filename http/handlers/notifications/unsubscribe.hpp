// /unsubscribe/{token}: GET shows a page that asks, since link scanners open
// what they find in mails; POST does it, from that page or by the one click
// of a mail program (RFC 8058).
#pragma once

#include "http/route.hpp"

namespace carillon::http::notifications {

result<reply> run_ask_unsubscribe(call& c);
result<reply> run_unsubscribe(call& c);

} // namespace carillon::http::notifications
