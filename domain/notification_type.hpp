// The 32 notification types of spec §3.1 with label, category, default icon
// and urgency (contract §6.1).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "domain/enums.hpp"

namespace carillon {

enum class notification_category : std::uint8_t {
  content,
  engagement,
  team,
  billing,
  social,
  support,
  data,
  system,
};

std::string_view to_string(notification_category value) noexcept;
template <>
std::optional<notification_category>
parse<notification_category>(std::string_view text) noexcept;

// X(name, label, category, icon, urgent)
#define CARILLON_NOTIFICATION_TYPES(X) \
  X(post_submitted, "Post Submitted", content, "document-check", false) \
  X(post_approved, "Post Approved", content, "check-circle", false) \
  X(post_rejected, "Post Rejected", content, "x-circle", false) \
  X(post_published, "Post Published", content, "globe-alt", false) \
  X(post_failed, "Post Failed", content, "exclamation-triangle", true) \
  X(post_scheduled, "Post Scheduled", content, "clock", false) \
  X(new_comment, "New Comment", engagement, "chat-bubble-left", false) \
  X(new_mention, "New Mention", engagement, "at-symbol", false) \
  X(inbox_assigned, "Inbox Assigned", engagement, "inbox", false) \
  X(invitation_received, "Invitation Received", team, "envelope", false) \
  X(invitation_accepted, "Invitation Accepted", team, "user-plus", false) \
  X(member_added, "Member Added", team, "user-group", false) \
  X(member_removed, "Member Removed", team, "user-minus", false) \
  X(role_changed, "Role Changed", team, "shield-check", false) \
  X(subscription_created, "Subscription Created", billing, "credit-card", false) \
  X(subscription_renewed, "Subscription Renewed", billing, "arrow-path", false) \
  X(subscription_cancelled, "Subscription Cancelled", billing, "x-mark", false) \
  X(payment_failed, "Payment Failed", billing, "exclamation-circle", true) \
  X(trial_ending, "Trial Ending", billing, "clock", false) \
  X(trial_ended, "Trial Ended", billing, "clock", true) \
  X(account_connected, "Account Connected", social, "link", false) \
  X(account_disconnected, "Account Disconnected", social, "link-slash", false) \
  X(account_token_expiring, "Account Token Expiring", social, "key", false) \
  X(account_token_expired, "Account Token Expired", social, "key", true) \
  X(ticket_created, "Ticket Created", support, "ticket", false) \
  X(ticket_replied, "Ticket Replied", support, "chat-bubble-left-right", false) \
  X(ticket_resolved, "Ticket Resolved", support, "check-badge", false) \
  X(data_export_ready, "Data Export Ready", data, "arrow-down-tray", false) \
  X(data_deletion_scheduled, "Data Deletion Scheduled", data, "trash", true) \
  X(data_deletion_completed, "Data Deletion Completed", data, "trash", false) \
  X(system_announcement, "System Announcement", system, "megaphone", false) \
  X(maintenance_scheduled, "Maintenance Scheduled", system, "wrench", false)

#define CARILLON_NOTIFICATION_NAME(name, label, category, icon, urgent) name,
enum class notification_type : std::uint8_t {
  CARILLON_NOTIFICATION_TYPES(CARILLON_NOTIFICATION_NAME)
};

std::string_view to_string(notification_type value) noexcept;
std::string_view label(notification_type value) noexcept;
notification_category category(notification_type value) noexcept;

/// Shown when the row names none.
std::string_view default_icon(notification_type value) noexcept;
bool is_urgent(notification_type value) noexcept;

template <>
std::optional<notification_type>
parse<notification_type>(std::string_view text) noexcept;
template <>
std::span<const notification_type> values_of<notification_type>() noexcept;

} // namespace carillon
