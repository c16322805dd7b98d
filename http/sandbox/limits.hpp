// Where the sandbox network ends, so that nothing in it grows without bound.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace carillon::http::sandbox {

/// Mastodon's own: what GET /api/v2/instance says.
inline constexpr std::size_t most_characters = 500;
inline constexpr std::size_t most_attachments = 4;
inline constexpr std::size_t most_description = 1'500;
inline constexpr std::size_t most_media_bytes = 16 * 1024 * 1024;
inline constexpr std::size_t default_page = 20;
inline constexpr std::size_t largest_page = 40;
inline constexpr std::chrono::hours key_lifetime{1};

/// Of requests: an upload, and any other body.
inline constexpr std::size_t most_body_bytes = most_media_bytes + 64 * 1024;
inline constexpr std::size_t most_json_bytes = 64 * 1024;
inline constexpr std::size_t most_key_bytes = 500;
inline constexpr std::size_t most_name_bytes = 64;

/// Of POST /sandbox/faults.
inline constexpr std::chrono::milliseconds most_delay{600'000};
inline constexpr std::chrono::milliseconds most_invisible{86'400'000};
inline constexpr std::chrono::seconds most_retry_after{86'400};
inline constexpr std::size_t most_fault_accounts = 100;
/// What every JSON reader holds exactly (RFC 8259 §6).
inline constexpr std::int64_t most_number = 9'007'199'254'740'991;

/// Of what is kept; the oldest goes first.
struct capacity {
  std::size_t posts = 200'000;
  std::size_t accounts = 100'000;
  std::size_t media = 10'000;
  std::size_t picture_bytes = 64 * 1024 * 1024; ///< All of them together.
};

} // namespace carillon::http::sandbox
