// Range requests (RFC 9110 §14): one range of bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace carillon::http {

struct byte_range {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  bool operator==(const byte_range&) const = default;
};

struct wanted_range {
  /// False: the whole, as for a header that is malformed, of another unit, or
  /// names several ranges.
  bool is_range = false;
  /// Nothing in a range: it lies behind the end.
  std::optional<byte_range> bytes;
};

/// What a `Range` header asks of something of `size` bytes. Pure.
wanted_range read_range(std::string_view header, std::uint64_t size);

} // namespace carillon::http
