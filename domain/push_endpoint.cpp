#include "domain/push_endpoint.hpp"

#include <algorithm>
#include <charconv>

namespace carillon {

namespace {

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

failure refused(std::string reason) {
  return invalid("endpoint", std::move(reason));
}

bool is_visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Of a host name; `[` and `:` only inside the brackets of an IPv6 address.
bool is_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']'))
    return host.size() > 2 && host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdef:.") == host.npos;
  return !host.empty() && host.size() <= 253
         && host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == host.npos && !host.starts_with('.')
         && !host.starts_with('-') && host.find("..") == host.npos;
}

/// A name below a top-level domain, and no spelling of an address: a last
/// label that begins with a digit is a number to resolvers.
bool is_public_name(std::string_view host) {
  const auto dot = host.rfind('.');
  return dot != host.npos && dot + 1 < host.size() && host[dot + 1] >= 'a' && host[dot + 1] <= 'z';
}

} // namespace

result<push_endpoint> parse_push_endpoint(std::string_view url, const std::vector<std::string>& trusted_hosts) {
  if (url.size() > max_push_endpoint)
    return refused("must not be longer than " + std::to_string(max_push_endpoint) + " characters.");
  if (!is_visible_ascii(url) || url.find_first_of("\\\"<>^`{|}#") != url.npos)
    return refused("must be a URL.");
  const auto mark = url.find("://");
  const auto scheme = mark == url.npos ? std::string{} : lower(url.substr(0, mark));
  if (scheme != "https" && scheme != "http")
    return refused("must be an https URL.");
  const auto authority_begin = mark + 3;
  const auto authority = lower(url.substr(authority_begin, url.find_first_of("/?", authority_begin) - authority_begin));
  if (authority.find('@') != authority.npos)
    return refused("must not hold a user.");
  const auto bracket = authority.rfind(']');
  const auto colon = authority.rfind(':');
  const bool has_port = colon != authority.npos && (bracket == authority.npos || colon > bracket);
  const auto host = has_port ? authority.substr(0, colon) : authority;
  const int own_port = scheme == "https" ? 443 : 80;
  int port = own_port;
  if (has_port) {
    const auto digits = authority.substr(colon + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size() || port < 1 || port > 65'535)
      return refused("must have a valid port.");
  }
  if (!is_host(host))
    return refused("must have a valid host.");

  push_endpoint out;
  out.url = std::string{url};
  out.origin = scheme + "://" + host + (port == own_port ? "" : ":" + std::to_string(port));
  const auto with_port = host + ':' + std::to_string(port);
  out.trusted = std::any_of(trusted_hosts.begin(), trusted_hosts.end(), [&](const std::string& trusted) {
    const auto name = lower(trusted);
    return name == host || name == with_port;
  });
  if (!out.trusted && scheme != "https")
    return refused("must be an https URL.");
  if (!out.trusted && !is_public_name(host))
    return refused("must name a public host.");
  return out;
}

} // namespace carillon
