// POST /admin/auth/login and logout, GET /admin/auth/me (contract §2.1, §3.6).
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "http/exchange.hpp"
#include "http/password_hasher.hpp"

namespace carillon::http::admin_session {

/// Has the password verified and issues the admin's only token. An unknown
/// e-mail takes as long as a wrong password and gets the same answer.
std::function<void(std::shared_ptr<exchange>)> start_login(password_hasher& passwords,
                                                           std::chrono::seconds lifetime);

result<reply> run_logout(call& c);
result<reply> run_me(call& c);

} // namespace carillon::http::admin_session
