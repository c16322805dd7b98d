#include "domain/notification_email.hpp"

namespace carillon {

email_decision decide_email(const notification_email& mail) {
  if (mail.item.sent_at)
    return {email_step::already_sent, {}};
  if (mail.recipient_address.empty())
    return {email_step::fail, "the user or the address is missing"};
  if (!mail.enabled)
    return {email_step::skip, "off by preference"};
  return {email_step::send, {}};
}

} // namespace carillon
