#include "domain/notification_email.hpp"

namespace carillon {

email_decision decide_email(const notification_email& mail) {
  if (mail.item.sent_at)
    return {email_step::already_sent, {}, {}};
  if (mail.recipient_address.empty())
    return {email_step::fail, "the user or the address is missing", {}};
  auto facts = mail.facts;
  facts.digest_at.reset();
  auto decision = decide_delivery(notification_channel::email, facts);
  switch (decision.state) {
    case delivery_state::skipped:
      return {email_step::skip, std::move(decision.reason), {}};
    case delivery_state::deferred:
      return {email_step::defer, std::move(decision.reason), decision.until};
    case delivery_state::queued:
    case delivery_state::sent:
    case delivery_state::failed:
      break;
  }
  return {email_step::send, {}, {}};
}

} // namespace carillon
