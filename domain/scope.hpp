// Whose data a repository call may touch: the first wall between tenants.
#pragma once

#include <optional>
#include <string>

#include "domain/ids.hpp"

namespace carillon {

/// Every repository call takes one. A tenant scope ends up in the WHERE
/// clause; a maintenance scope names why a query crosses tenants.
class scope {
public:
  static scope tenant(tenant_id id) {
    return scope{id, {}};
  }
  static scope maintenance(std::string reason) {
    return scope{std::nullopt, std::move(reason)};
  }

  const std::optional<tenant_id>& tenant() const noexcept {
    return tenant_;
  }
  const std::string& reason() const noexcept {
    return reason_;
  }

private:
  scope(std::optional<tenant_id> id, std::string reason)
    : tenant_(id), reason_(std::move(reason)) {
  }

  std::optional<tenant_id> tenant_;
  std::string reason_;
};

} // namespace carillon
