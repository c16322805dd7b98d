// What stands in the link that ends a kind of mail: whose and which, signed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.hpp"
#include "domain/notification_type.hpp"

namespace carillon::http {

struct unsubscribe_link {
  tenant_id tenant;
  user_id user;
  /// A notification type or a category.
  std::string about;
};

/// URL-safe. It does not expire: a mail may be read years later, and all that
/// it allows is to get fewer mails.
std::string make_unsubscribe_token(const std::string& key, const unsubscribe_link& link);

/// Nothing unless one of the keys signed it.
std::optional<unsubscribe_link> read_unsubscribe_token(const std::vector<std::string>& keys, std::string_view token);

/// The types that `about` names; none when it names nothing that there is.
std::vector<notification_type> types_about(std::string_view about);

/// The key of these links, from the program's secret: what it encrypts and
/// what it signs share no key.
std::string unsubscribe_key(std::string_view secret);

} // namespace carillon::http
