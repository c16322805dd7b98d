// POST /auth/login: credentials for a token.
#pragma once

#include "http/exchange.hpp"
#include "http/handlers/auth/routes.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace carillon::http::login {

struct input {
  std::string email;
  std::string password; ///< A secret: never logged.
  bool remember = false;
};

/// errc::invalid_argument naming every bad field.
result<input> parse(std::string_view body);

/// Looks the user up, has the password verified, issues a token. An unknown
/// e-mail takes as long as a wrong password and gets the same answer.
std::function<void(std::shared_ptr<exchange>)>
start_with(password_hasher& passwords, auth_settings settings);

} // namespace carillon::http::login
