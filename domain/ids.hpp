// Identifiers: RFC 9562 UUIDs, one C++ type for each thing that has one.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace carillon {

/// 128-bit RFC 9562 UUID; printed in lower case with hyphens.
struct uuid {
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const uuid&) const = default;
  bool is_nil() const noexcept {
    return *this == uuid{};
  }
};

/// Version 7, strictly increasing within one process, also when the clock
/// stands still or steps back. Safe from any thread.
uuid make_uuid_v7();

/// 36 characters, any case, any version; nothing otherwise.
std::optional<uuid> parse_uuid(std::string_view text) noexcept;

/// The same as 32 digits without hyphens.
std::optional<uuid> parse_uuid_digits(std::string_view text) noexcept;

std::string to_string(const uuid& id);

/// A UUID that cannot be mistaken for another thing's.
template <class Tag>
struct strong_id {
  uuid value;

  auto operator<=>(const strong_id&) const = default;

  static strong_id make() {
    return {make_uuid_v7()};
  }
  static std::optional<strong_id> parse(std::string_view text) noexcept {
    if (auto id = parse_uuid(text))
      return strong_id{*id};
    return std::nullopt;
  }
};

template <class Tag>
std::string to_string(const strong_id<Tag>& id) {
  return to_string(id.value);
}

using tenant_id = strong_id<struct tenant_tag>;
using user_id = strong_id<struct user_tag>;
using workspace_id = strong_id<struct workspace_tag>;
using post_id = strong_id<struct post_tag>;
using target_id = strong_id<struct target_tag>;
using social_account_id = strong_id<struct social_account_tag>;
using attempt_id = strong_id<struct attempt_tag>;
using notification_id = strong_id<struct notification_tag>;
using job_id = strong_id<struct job_tag>;

/// Ownership is by shard: the last byte of the workspace's UUID
/// (architecture page, "Fixed from the first migration").
using shard_id = std::uint8_t;
inline constexpr int shard_count = 256;

inline shard_id shard_of(const workspace_id& id) noexcept {
  return id.value.bytes[15];
}

/// Work that belongs to no workspace runs under the tenant's own id.
inline workspace_id root_workspace(const tenant_id& id) noexcept {
  return {id.value};
}

} // namespace carillon

template <>
struct std::hash<carillon::uuid> {
  std::size_t operator()(const carillon::uuid& id) const noexcept {
    return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
  }
};

template <class Tag>
struct std::hash<carillon::strong_id<Tag>> {
  std::size_t operator()(const carillon::strong_id<Tag>& id) const noexcept {
    return std::hash<carillon::uuid>{}(id.value);
  }
};
