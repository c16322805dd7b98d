// Every enumeration of contract §6.2, with its wire text and its label.
// NotificationType has a page of its own: domain/notification_type.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace carillon {

// X(name, label): the wire text is the name itself.
#define CARILLON_POST_STATUS(X)                                                \
  X(draft, "Draft")                                                            \
  X(submitted, "Submitted")                                                    \
  X(approved, "Approved")                                                      \
  X(rejected, "Rejected")                                                      \
  X(scheduled, "Scheduled")                                                    \
  X(publishing, "Publishing")                                                  \
  X(published, "Published")                                                    \
  X(failed, "Failed")                                                          \
  X(cancelled, "Cancelled")
#define CARILLON_TARGET_STATUS(X)                                              \
  X(pending, "Pending")                                                        \
  X(publishing, "Publishing")                                                  \
  X(published, "Published")                                                    \
  X(failed, "Failed")
#define CARILLON_POST_TYPE(X)                                                  \
  X(standard, "Standard Post")                                                 \
  X(reel, "Reel")                                                              \
  X(story, "Story")                                                            \
  X(thread, "Thread")                                                          \
  X(article, "Article")
#define CARILLON_MEDIA_TYPE(X)                                                 \
  X(image, "Image")                                                            \
  X(video, "Video")                                                            \
  X(gif, "GIF")                                                                \
  X(document, "Document")
#define CARILLON_MEDIA_PROCESSING_STATUS(X)                                    \
  X(pending, "Pending")                                                        \
  X(processing, "Processing")                                                  \
  X(completed, "Completed")                                                    \
  X(failed, "Failed")
#define CARILLON_APPROVAL_DECISION(X)                                          \
  X(approved, "Approved")                                                      \
  X(rejected, "Rejected")
#define CARILLON_SOCIAL_ACCOUNT_STATUS(X)                                      \
  X(connected, "Connected")                                                    \
  X(token_expired, "Token Expired")                                            \
  X(revoked, "Revoked")                                                        \
  X(disconnected, "Disconnected")
#define CARILLON_INBOX_ITEM_TYPE(X)                                            \
  X(comment, "Comment")                                                        \
  X(mention, "Mention")                                                        \
  X(dm, "Direct Message")                                                      \
  X(whatsapp_message, "WhatsApp Message")                                      \
  X(review, "Review")
#define CARILLON_INBOX_ITEM_STATUS(X)                                          \
  X(unread, "Unread")                                                          \
  X(read, "Read")                                                              \
  X(resolved, "Resolved")                                                      \
  X(archived, "Archived")
#define CARILLON_TENANT_STATUS(X)                                              \
  X(pending, "Pending")                                                        \
  X(active, "Active")                                                          \
  X(suspended, "Suspended")                                                    \
  X(terminated, "Terminated")
#define CARILLON_TENANT_TYPE(X)                                                \
  X(b2b_enterprise, "B2b Enterprise")                                          \
  X(b2b_smb, "B2b Smb")                                                        \
  X(b2c_brand, "B2c Brand")                                                    \
  X(individual, "Individual")                                                  \
  X(influencer, "Influencer")                                                  \
  X(non_profit, "Non Profit")
#define CARILLON_USER_STATUS(X)                                                \
  X(pending, "Pending")                                                        \
  X(active, "Active")                                                          \
  X(suspended, "Suspended")                                                    \
  X(deactivated, "Deactivated")
#define CARILLON_TENANT_ROLE(X)                                                \
  X(owner, "Owner")                                                            \
  X(admin, "Admin")                                                            \
  X(member, "Member")
// In ascending order of rights, so that roles compare with `<`.
#define CARILLON_WORKSPACE_ROLE(X)                                             \
  X(viewer, "Viewer")                                                          \
  X(editor, "Editor")                                                          \
  X(admin, "Admin")                                                            \
  X(owner, "Owner")
#define CARILLON_WORKSPACE_STATUS(X)                                           \
  X(active, "Active")                                                          \
  X(suspended, "Suspended")                                                    \
  X(deleted, "Deleted")
#define CARILLON_DATA_REQUEST_STATUS(X)                                        \
  X(pending, "Pending")                                                        \
  X(processing, "Processing")                                                  \
  X(completed, "Completed")                                                    \
  X(failed, "Failed")                                                          \
  X(cancelled, "Cancelled")
#define CARILLON_DATA_REQUEST_TYPE(X)                                          \
  X(export_, "Export")                                                         \
  X(deletion, "Deletion")                                                      \
  X(rectification, "Rectification")                                            \
  X(access, "Access")
#define CARILLON_AUDIT_ACTION(X)                                               \
  X(create, "Create")                                                          \
  X(update, "Update")                                                          \
  X(delete_, "Delete")                                                         \
  X(restore, "Restore")                                                        \
  X(view, "View")                                                              \
  X(export_, "Export")                                                         \
  X(import, "Import")                                                          \
  X(login, "Login")                                                            \
  X(logout, "Logout")                                                          \
  X(permission_change, "Permission Change")                                    \
  X(settings_change, "Settings Change")                                        \
  X(subscription_change, "Subscription Change")
#define CARILLON_AUDITABLE_TYPE(X)                                             \
  X(user, "User")                                                              \
  X(tenant, "Tenant")                                                          \
  X(workspace, "Workspace")                                                    \
  X(social_account, "Social Account")                                          \
  X(post, "Post")                                                              \
  X(subscription, "Subscription")                                              \
  X(invoice, "Invoice")                                                        \
  X(support_ticket, "Support Ticket")                                          \
  X(team, "Team")                                                              \
  X(api_key, "Api Key")                                                        \
  X(settings, "Settings")                                                      \
  X(platform_integration, "Platform Integration")                              \
  X(other, "Other")
#define CARILLON_DEVICE_TYPE(X)                                                \
  X(desktop, "Desktop")                                                        \
  X(mobile, "Mobile")                                                          \
  X(tablet, "Tablet")                                                          \
  X(api, "Api")
#define CARILLON_INTEGRATION_STATUS(X)                                         \
  X(active, "Active")                                                          \
  X(maintenance, "Maintenance")                                                \
  X(disabled, "Disabled")
#define CARILLON_SUPER_ADMIN_ROLE(X)                                           \
  X(SUPER_ADMIN, "Super Admin")                                                \
  X(ADMIN, "Admin")                                                            \
  X(SUPPORT, "Support")                                                        \
  X(VIEWER, "Viewer")
#define CARILLON_SUPER_ADMIN_STATUS(X)                                         \
  X(ACTIVE, "Active")                                                          \
  X(INACTIVE, "Inactive")                                                      \
  X(SUSPENDED, "Suspended")
#define CARILLON_NOTIFICATION_CHANNEL(X)                                       \
  X(in_app, "In-App")                                                          \
  X(email, "Email")                                                            \
  X(push, "Push Notification")                                                 \
  X(sms, "SMS")

// E(type, list)
#define CARILLON_ENUMS(E)                                                      \
  E(post_status, CARILLON_POST_STATUS)                                         \
  E(target_status, CARILLON_TARGET_STATUS)                                     \
  E(post_type, CARILLON_POST_TYPE)                                             \
  E(media_type, CARILLON_MEDIA_TYPE)                                           \
  E(media_processing_status, CARILLON_MEDIA_PROCESSING_STATUS)                 \
  E(approval_decision, CARILLON_APPROVAL_DECISION)                             \
  E(social_account_status, CARILLON_SOCIAL_ACCOUNT_STATUS)                     \
  E(inbox_item_type, CARILLON_INBOX_ITEM_TYPE)                                 \
  E(inbox_item_status, CARILLON_INBOX_ITEM_STATUS)                             \
  E(tenant_status, CARILLON_TENANT_STATUS)                                     \
  E(tenant_type, CARILLON_TENANT_TYPE)                                         \
  E(user_status, CARILLON_USER_STATUS)                                         \
  E(tenant_role, CARILLON_TENANT_ROLE)                                         \
  E(workspace_role, CARILLON_WORKSPACE_ROLE)                                   \
  E(workspace_status, CARILLON_WORKSPACE_STATUS)                               \
  E(data_request_status, CARILLON_DATA_REQUEST_STATUS)                         \
  E(data_request_type, CARILLON_DATA_REQUEST_TYPE)                             \
  E(audit_action, CARILLON_AUDIT_ACTION)                                       \
  E(auditable_type, CARILLON_AUDITABLE_TYPE)                                   \
  E(device_type, CARILLON_DEVICE_TYPE)                                         \
  E(integration_status, CARILLON_INTEGRATION_STATUS)                           \
  E(super_admin_role, CARILLON_SUPER_ADMIN_ROLE)                               \
  E(super_admin_status, CARILLON_SUPER_ADMIN_STATUS)                           \
  E(notification_channel, CARILLON_NOTIFICATION_CHANNEL)

/// Maps the wire text to its value; nothing for an unknown text.
template <class Enum>
std::optional<Enum> parse(std::string_view text) noexcept;

/// All values in declaration order.
template <class Enum>
std::span<const Enum> values_of() noexcept;

#define CARILLON_ENUMERATOR(name, label) name,
#define CARILLON_DECLARE_ENUM(type, list)                                      \
  enum class type : std::uint8_t { list(CARILLON_ENUMERATOR) };                \
  std::string_view to_string(type value) noexcept;                             \
  std::string_view label(type value) noexcept;                                 \
  template <>                                                                  \
  std::optional<type> parse<type>(std::string_view text) noexcept;             \
  template <>                                                                  \
  std::span<const type> values_of<type>() noexcept;

CARILLON_ENUMS(CARILLON_DECLARE_ENUM)

#undef CARILLON_DECLARE_ENUM

} // namespace carillon
