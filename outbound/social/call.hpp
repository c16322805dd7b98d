// What the calls of every gateway need.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "domain/instant.hpp"
#include "domain/result.hpp"
#include "outbound/http_client.hpp"

namespace carillon::outbound {

/// What a call does, hence what an unclear end of it means.
enum class effect {
  publishes, ///< An unclear end is outcome_unknown.
  none,      ///< Nothing public came of it: an unclear end is transient.
};

/// outcome_unknown becomes transient for a call that publishes nothing.
errc softened(errc code, effect what) noexcept;

/// What a status means where the API says nothing else (the table of
/// mastodon_gateway); 2xx is not for it.
errc code_of_status(int status, effect what) noexcept;

/// Of a request that was not answered; nothing when it was.
std::optional<failure> failure_of_delivery(const http_response& response, effect what);

/// How long to wait, from Retry-After and, of a 429, from X-RateLimit-Reset or
/// RateLimit-Reset; dates count by the server's own clock where it tells it.
std::optional<std::chrono::milliseconds> wait_of(const http_response& response, instant now);

/// Everything but letters, digits and `-_.~` (RFC 3986 §2.3).
std::string percent_encoded(std::string_view text);

/// One printable line of at most 500 bytes.
std::string one_line(std::string text);

/// The body; discarded when it is no JSON or was too long to be read.
nlohmann::json parse_answer(const http_response& response);

/// A text or a whole number as text; empty for anything else.
std::string text_of(const nlohmann::json& object, const char* name);

/// What can be kept as the id of a post: 1 to 255 visible characters of ASCII.
bool is_plain_id(std::string_view text) noexcept;

/// `text` when it is visible ASCII of at most 500 characters, else nothing: a
/// server's word for where its post is.
std::string plain_address(std::string text);

std::chrono::milliseconds time_left(std::chrono::steady_clock::time_point deadline);

failure out_of_time(std::string_view before);

/// The last part of a path.
std::string file_name_of(const std::string& path);

} // namespace carillon::outbound
