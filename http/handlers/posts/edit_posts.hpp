// POST /posts, PUT and DELETE /posts/{post}, PUT /posts/{post}/targets and
// DELETE one of them.
#pragma once

#include "http/route.hpp"

namespace carillon::http::posts {

result<reply> run_create(call& c);
result<reply> run_update(call& c);
result<reply> run_delete(call& c);
result<reply> run_set_targets(call& c);
result<reply> run_remove_target(call& c);

} // namespace carillon::http::posts
