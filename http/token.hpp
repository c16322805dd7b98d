// Personal access tokens (contract §2.1): made here, kept as SHA-256 only.
#pragma once

#include "domain/ports/auth_store.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace carillon::http {

/// What an `Authorization` header presents. A secret: never logged.
struct presented_token {
  std::optional<std::int64_t> id; ///< Nothing: found by its hash.
  std::string secret;
};

/// `Bearer {id}|{secret}` or `Bearer {secret}`; nothing for anything else.
std::optional<presented_token> parse_bearer(std::string_view header);

/// 40 random alphanumerics and the 8 hex digits of their CRC-32. Throws
/// std::runtime_error when the system has no randomness to give.
std::string make_token_secret();

/// SHA-256 as 64 lower-case hex digits.
std::string hash_token_secret(std::string_view secret);

/// Compares without telling by its time where they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

struct issued_token {
  std::int64_t id = 0;
  std::string plain; ///< `{id}|{secret}`: shown once, stored nowhere.
};

/// What the token is for; decides what else the transaction does.
enum class issue_reason {
  login,   ///< Notes the login; at most 10 live tokens remain.
  command, ///< `carillon token create`; at most 10 live tokens remain.
  refresh, ///< Every other token of the user goes.
};

/// Failures as auth_store's. Called on a thread that may use `store`.
result<issued_token> issue_token(auth_store& store, const scope& s,
                                 user_id user, issue_reason reason,
                                 std::chrono::seconds lifetime,
                                 std::string name = "auth-token");

} // namespace carillon::http
