#include "outbound/address_blocks.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <optional>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace carillon::outbound {

namespace {

bool is_public_v4(std::uint32_t ip) noexcept {
  struct block {
    std::uint32_t base;
    int bits;
  };
  // RFC 6890 and its updates: what is not globally reachable.
  constexpr block reserved[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
    {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24},
    {0xc0a80000, 16}, {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24},
    {0xe0000000, 3},
  };
  return std::none_of(std::begin(reserved), std::end(reserved),
                      [ip](const block& b) {
                        return (ip ^ b.base) >> (32 - b.bits) == 0;
                      });
}

} // namespace

bool is_public_address(const sockaddr* address) noexcept {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return is_public_v4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family != AF_INET6)
    return false;
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof in);
  const auto* b = in.sin6_addr.s6_addr;
  auto v4_at = [b](int i) {
    return (std::uint32_t{b[i]} << 24) | (std::uint32_t{b[i + 1]} << 16)
           | (std::uint32_t{b[i + 2]} << 8) | std::uint32_t{b[i + 3]};
  };
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr))
    return is_public_v4(v4_at(12));
  // NAT64: 64:ff9b::/96 (RFC 6052). 64:ff9b:1::/48 is a site's own (RFC 8215).
  if (b[0] == 0x00 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b)
    return std::all_of(b + 4, b + 12, [](auto byte) { return byte == 0; }) && is_public_v4(v4_at(12));
  if (b[0] == 0x20 && b[1] == 0x02)
    return is_public_v4(v4_at(2)); // 6to4, RFC 3056
  // Global unicast is 2000::/3. In it, 2001::/23 is for protocols (Teredo is
  // 2001::/32), 2001:db8::/32 and 3fff::/20 are for documentation.
  return (b[0] & 0xe0) == 0x20
         && !(b[0] == 0x20 && b[1] == 0x01 && (b[2] & 0xfe) == 0)
         && !(b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8)
         && !(b[0] == 0x3f && b[1] == 0xff && (b[2] & 0xf0) == 0);
}

namespace {

using wide_address = std::array<std::uint8_t, 16>;

wide_address widened(const in_addr& v4) noexcept {
  wide_address out{};
  out[10] = out[11] = 0xff;
  std::memcpy(out.data() + 12, &v4, 4);
  return out;
}

std::optional<wide_address> wide_address_of(const sockaddr* address) noexcept {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return widened(in.sin_addr);
  }
  if (address->sa_family != AF_INET6)
    return std::nullopt;
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof in);
  wide_address out{};
  std::memcpy(out.data(), in.sin6_addr.s6_addr, out.size());
  return out;
}

bool have_same_beginning(const wide_address& a, const wide_address& b, int bits) noexcept {
  for (int i = 0; bits > 0; ++i, bits -= 8) {
    const auto mask = static_cast<std::uint8_t>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    const auto at = static_cast<std::size_t>(i);
    if (((a[at] ^ b[at]) & mask) != 0)
      return false;
  }
  return true;
}

} // namespace

result<address_blocks> address_blocks::parse(const std::vector<std::string>& texts) {
  address_blocks out;
  for (const auto& text : texts) {
    const auto slash = text.find('/');
    const auto address = text.substr(0, slash);
    block made;
    in_addr v4{};
    in6_addr v6{};
    int most = 128;
    if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
      made.bytes = widened(v4);
      most = 32;
    } else if (inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
      std::memcpy(made.bytes.data(), v6.s6_addr, made.bytes.size());
    } else {
      return invalid("addresses", text + " is no block of addresses");
    }
    int bits = most;
    if (slash != std::string::npos) {
      const auto* begin = text.data() + slash + 1;
      const auto* end = text.data() + text.size();
      const auto [at, error] = std::from_chars(begin, end, bits);
      if (begin == end || at != end || error != std::errc{} || bits < 0 || bits > most)
        return invalid("addresses", text + " is no block of addresses");
    }
    made.bits = bits + 128 - most;
    out.blocks_.push_back(made);
  }
  return out;
}

bool address_blocks::contain(const sockaddr* address) const noexcept {
  const auto wide = wide_address_of(address);
  return wide && std::any_of(blocks_.begin(), blocks_.end(), [&](const block& b) {
    return have_same_beginning(b.bytes, *wide, b.bits);
  });
}

} // namespace carillon::outbound
