// Filters as SQL parameters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "domain/scope.hpp"

namespace carillon::storage {

/// NULL for a maintenance scope. `tenant_id = $n::uuid` then matches nothing:
/// what belongs to a user is never reached without its tenant. A query that
/// may cross tenants says `($n::uuid IS NULL OR tenant_id = $n::uuid)`.
inline std::optional<std::string> tenant_param(const scope& s) {
  if (!s.tenant())
    return std::nullopt;
  return to_string(*s.tenant());
}

/// The ILIKE pattern of "contains"; NULL for the empty text.
inline std::optional<std::string> contains_param(std::string_view text) {
  if (text.empty())
    return std::nullopt;
  std::string out = "%";
  for (char c : text) {
    if (c == '%' || c == '_' || c == '\\')
      out += '\\';
    out += c;
  }
  return out += '%';
}

} // namespace carillon::storage
