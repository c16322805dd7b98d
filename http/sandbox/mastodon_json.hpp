// What the sandbox network says, in Mastodon's shapes:
// https://docs.joinmastodon.org/entities/Status/ and its neighbours.
#pragma once

#include "http/route.hpp"
#include "http/sandbox/network.hpp"

#include <string>
#include <string_view>

namespace carillon::http::sandbox {

/// `2026-02-07T10:00:00.123Z`.
std::string format_milliseconds(instant t);

/// The text as HTML: escaped, a `<p>` for each paragraph, `<br />` for each
/// newline in it, links shown without scheme and hashtags linked to `base`.
std::string render_content(std::string_view text, const std::string& base);

// `base` is what links start with: `http://127.0.0.1:8090`.
json status_json(const network& net, const post& p, const std::string& base);
json account_json(const account& a, const std::string& base);
/// https://docs.joinmastodon.org/entities/MediaAttachment/; without an
/// address while it is processed.
json medium_json(const medium& m, const std::string& base, instant now);
/// https://docs.joinmastodon.org/entities/Instance/
json instance_json(const std::string& base);

/// `image`, `video` or `audio`.
std::string_view kind_of(const medium& m) noexcept;

/// Where a picture can be had; empty when its bytes are not kept.
std::string picture_path(const medium& m);

} // namespace carillon::http::sandbox
