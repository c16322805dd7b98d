// Which addresses may be called when a stranger chose the name.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>

#include "domain/result.hpp"

namespace carillon::outbound {

/// False for loopback, private, link-local and all other addresses that are
/// not globally reachable (RFC 6890 and its updates), also where IPv6 only
/// wraps such an IPv4 address. An address of neither protocol is not public.
bool is_public_address(const sockaddr* address) noexcept;

/// Exceptions to that: `10.0.0.0/8`, `::1/128`, `127.0.0.1` …
class address_blocks {
public:
  address_blocks() = default;

  /// errc::invalid_argument names the text that is no block.
  static result<address_blocks> parse(const std::vector<std::string>& texts);

  /// An IPv4 address in IPv6's clothes is in the blocks of the former.
  bool contain(const sockaddr* address) const noexcept;

private:
  struct block {
    std::array<std::uint8_t, 16> bytes{}; ///< IPv4 as ::ffff:a.b.c.d.
    int bits = 128;
  };
  std::vector<block> blocks_;
};

} // namespace carillon::outbound
