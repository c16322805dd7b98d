// What the routes of the sandbox network share. Only the network's own thread
// touches it.
#pragma once

#include "domain/clock.hpp"
#include "domain/ports/log.hpp"
#include "http/sandbox/faults.hpp"
#include "http/sandbox/network.hpp"
#include "http/sandbox/timeline_file.hpp"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace carillon::http::sandbox {

/// Since the start or the last reset.
struct call_counts {
  std::uint64_t all = 0; ///< Of the API.
  std::uint64_t publish = 0;
  std::uint64_t slowed = 0;
  std::uint64_t shown_late = 0;
  std::uint64_t keys_ignored = 0;
  std::map<blow, std::uint64_t> blows;
};

/// A token of a session (http/sandbox/atproto_routes.hpp).
struct session_token {
  std::string account;
  bool refreshes = false; ///< Else it gives access.
  instant until{};
};

struct world {
  const clock_port& clock;
  logger& log;
  std::unique_ptr<timeline_file> file; ///< Null: memory only.
  network net{};
  misbehaviour faults{};
  call_counts calls{};
  /// By the token; the oldest goes first when there are too many.
  std::map<std::string, session_token> sessions{};
  std::deque<std::string> sessions_by_age{};
  std::uint64_t last_session = 0;
  /// Uploaded files by their content's address.
  std::map<std::string, object_id> blobs{};
};

/// Mastodon's form of an error: https://docs.joinmastodon.org/entities/Error/
reply api_error(int status, std::string message);

/// As api_error: 422, 404 or 403.
reply api_error(const failure& f);

/// The account that the token speaks for: `Bearer sandbox-acme` for `acme`.
/// Empty without a token; unauthorized for any other one.
result<std::string> account_of_token(const request& req);

} // namespace carillon::http::sandbox
