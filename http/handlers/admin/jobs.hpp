// The operator API of the job engine, /admin/jobs: across all tenants. Every
// change leaves an audit row with the admin, his address and the request.
#pragma once

#include "domain/ports/job_store.hpp"
#include "http/route.hpp"

namespace carillon::http::admin_jobs {

result<reply> run_stats(call& c);
result<reply> run_list(call& c);
/// With error history and explanation.
result<reply> run_show(call& c);

result<reply> run_one(call& c, job_action what);
/// On all that match the filter in the body, at most `limit` of them; with
/// `preview` it only counts. An empty filter needs `all`.
result<reply> run_all(call& c, job_action what);

result<reply> run_controls(call& c);
/// What the body does not name stays as it is; null takes it away.
result<reply> run_set_control(call& c);

} // namespace carillon::http::admin_jobs
