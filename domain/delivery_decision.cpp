#include "domain/delivery_decision.hpp"

#include <array>

namespace carillon {

namespace {

constexpr std::array<std::string_view, 5> state_texts{"queued", "deferred", "sent", "skipped", "failed"};
constexpr auto off_by_preference = "off by preference";

/// Empty: nothing stands against it.
std::string obstacle_of(notification_channel channel, const delivery_facts& facts) {
  const auto& wanted = facts.preferences;
  if (channel == notification_channel::in_app)
    return wanted.in_app || facts.overrides ? "" : off_by_preference;
  if (facts.in_app_only)
    return "in-app notice";
  switch (channel) {
    case notification_channel::in_app:
      break;
    case notification_channel::email:
      return wanted.email || facts.overrides ? facts.email_obstacle : off_by_preference;
    case notification_channel::push:
      return wanted.push ? facts.push_obstacle : off_by_preference;
    case notification_channel::sms:
      return wanted.sms ? facts.sms_obstacle : off_by_preference;
  }
  return {};
}

} // namespace

std::string_view to_string(delivery_state value) noexcept {
  return state_texts[static_cast<std::size_t>(value)];
}

template <>
std::optional<delivery_state> parse<delivery_state>(std::string_view text) noexcept {
  for (std::size_t i = 0; i < state_texts.size(); ++i)
    if (state_texts[i] == text)
      return static_cast<delivery_state>(i);
  return std::nullopt;
}

bool overrides_opt_out(notification_type value) noexcept {
  return value == notification_type::data_deletion_scheduled;
}

delivery_decision decide_delivery(notification_channel channel, const delivery_facts& facts) {
  if (auto obstacle = obstacle_of(channel, facts); !obstacle.empty())
    return {delivery_state::skipped, std::move(obstacle), {}, false};
  if (channel == notification_channel::in_app)
    return {delivery_state::sent, {}, {}, false};
  if (facts.urgent)
    return {};
  // Digests are a matter of e-mail; one that falls into quiet hours has been
  // put behind them.
  if (channel == notification_channel::email && facts.digest_at)
    return {delivery_state::deferred, facts.digest_reason, facts.digest_at, true};
  if (facts.quiet_until)
    return {delivery_state::deferred, facts.quiet_reason, facts.quiet_until, false};
  return {};
}

} // namespace carillon
