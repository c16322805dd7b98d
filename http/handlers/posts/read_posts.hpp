// GET /posts, /posts/{post}, its targets, attempts and approval history, and
// GET /approvals.
#pragma once

#include "http/route.hpp"

namespace carillon::http::posts {

result<reply> run_list(call& c);
result<reply> run_get(call& c);
result<reply> run_targets(call& c);
result<reply> run_attempts(call& c);
result<reply> run_approval_history(call& c);
result<reply> run_approvals(call& c);

} // namespace carillon::http::posts
