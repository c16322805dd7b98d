// The part of the AT Protocol that the sandbox network speaks: what a program
// needs that publishes posts. Each name leads to its page:
//
// - sessions: https://docs.bsky.app/docs/api/com-atproto-server-create-session
//   (`identifier`, `password`; `did`, `handle`, `accessJwt`, `refreshJwt`,
//   `active`; 401 AuthenticationRequired) and
//   https://docs.bsky.app/docs/api/com-atproto-server-refresh-session
//   (ExpiredToken)
// - files: https://docs.bsky.app/docs/api/com-atproto-repo-upload-blob
//   (`blob`: https://atproto.com/specs/data-model#blob-type)
// - records: https://docs.bsky.app/docs/api/com-atproto-repo-put-record
//   (`repo`, `collection`, `rkey`, `record`, `swapRecord`; `uri`, `cid`;
//   InvalidSwap), https://docs.bsky.app/docs/api/com-atproto-repo-get-record
//   (`uri`, `cid`, `value`; RecordNotFound) and
//   https://docs.bsky.app/docs/api/com-atproto-repo-list-records (`limit`,
//   `cursor`; `records`)
// - handles: https://docs.bsky.app/docs/api/com-atproto-identity-resolve-handle
// - what a post may hold: https://docs.bsky.app/docs/advanced-guides/posts
//   (`text`, `createdAt`, `facets`, `reply`, `embed`) and
//   https://docs.bsky.app/docs/advanced-guides/post-richtext (`index`,
//   `features`)
// - errors: https://atproto.com/specs/xrpc#error-responses
// - limits: https://docs.bsky.app/docs/advanced-guides/rate-limits
#pragma once

#include "http/sandbox/world.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace carillon::http::sandbox {

inline constexpr std::string_view put_record_path
  = "/xrpc/com.atproto.repo.putRecord";

bool is_xrpc(const request& req) noexcept;

/// `did:web:sandbox.invalid:acme` for the account acme, whose handle is
/// acme.sandbox.invalid and whose password is sandbox-acme.
std::string did_of(std::string_view account_name);

/// The account whose access token the request carries. Empty without a token;
/// unauthorized for any other one.
result<std::string> account_of_session(const world& w, const request& req);

reply xrpc_error(int status, std::string_view name, std::string message);
reply xrpc_rate_limit_exceeded(const fate& what, instant now);

/// Everything but putRecord; `w` outlives the routes.
std::vector<route> atproto_routes(world& w);

/// 200 when the record is stored, whatever then becomes of the answer.
reply put_record(world& w, const request& req, const fate& what);

} // namespace carillon::http::sandbox
