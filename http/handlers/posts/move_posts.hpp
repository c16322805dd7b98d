// The commands that move a post through its states: submit, approve, reject,
// schedule and reschedule, publish, retry, cancel.
#pragma once

#include "http/route.hpp"

namespace carillon::http::posts {

result<reply> run_submit(call& c);
result<reply> run_approve(call& c);
result<reply> run_reject(call& c);
result<reply> run_schedule(call& c);
result<reply> run_reschedule(call& c);
result<reply> run_publish(call& c);
result<reply> run_retry(call& c);
result<reply> run_cancel(call& c);

} // namespace carillon::http::posts
