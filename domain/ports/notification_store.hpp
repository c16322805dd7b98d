// Notifications and their preferences (spec §5.1, contract §3.1).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/delivery_decision.hpp"
#include "domain/hint.hpp"
#include "domain/job.hpp"
#include "domain/notification.hpp"
#include "domain/notification_email.hpp"
#include "domain/notification_settings.hpp"
#include "domain/ownership.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

struct notification_filter {
  enum class column : std::uint8_t { created_at, read_at, type, title };

  std::optional<notification_type> type;
  std::optional<notification_category> category;
  std::optional<bool> is_read;
  std::optional<instant> from; ///< Created then or later.
  std::optional<instant> to;   ///< Created then or earlier.
  std::string search;          ///< In title and message; empty for all.
  column sort = column::created_at;
  bool ascending = false;
  int page = 1; ///< From 1.
  int per_page = 20;
};

struct notification_page {
  std::vector<notification> items;
  std::int64_t total = 0;
};

/// What one user has been told.
struct mailbox {
  tenant_id tenant;
  user_id user;
};

/// A page of it, newest first, without filter.
struct mailbox_page {
  mailbox whose;
  int page = 1; ///< From 1.
  int per_page = 20;
};

/// What a mailbox_page shows, without the rows themselves.
struct mailbox_index {
  /// Equal for two pages only when they show the same rows, in the same order
  /// and state: any change of a row makes it another.
  std::string versions;
  std::int64_t total = 0; ///< Of the mailbox.
};

/// What a mailbox_page shows, all of one moment.
struct mailbox_rows {
  mailbox_index index;
  std::vector<notification> items; ///< Newest first; without failed_at and failure_reason.
};

struct notification_preference {
  uuid id;
  user_id user;
  notification_type type = notification_type::system_announcement;
  channel_preferences channels;
  instant created_at{};
  instant updated_at{};
};

/// A null flag keeps what is stored.
struct preference_change {
  notification_type type = notification_type::system_announcement;
  std::optional<bool> in_app;
  std::optional<bool> email;
  std::optional<bool> push;
  std::optional<bool> sms;
};

/// What became of a notification on one channel, and why.
struct notification_delivery {
  notification_channel channel = notification_channel::in_app;
  delivery_state state = delivery_state::queued;
  std::string reason;
  std::optional<instant> deferred_until;
  int attempts = 0; ///< Tries that were begun.
  std::optional<instant> attempted_at;
  std::optional<instant> sent_at;
  instant updated_at{};
};

/// A send to a whole tenant; a job carries it out.
struct tenant_broadcast {
  uuid id;
  std::int64_t recipients = 0; ///< Active users at that moment.
};

struct broadcast_progress {
  bool finished = false; ///< Also when it is gone.
  std::int64_t written = 0;
  std::int64_t delivered = 0;
};

/// What another program asks for.
struct notification_request {
  new_notification message;   ///< `user` is ignored.
  std::vector<user_id> users; ///< Empty: every active user of the tenant.
  std::string idempotency_key; ///< Empty: none.
  std::string fingerprint;     ///< Equal for equal requests.
};

struct notification_answer {
  std::vector<notification_id> ids;
  std::optional<uuid> broadcast;
  std::int64_t recipients = 0;
  bool repeated = false; ///< The key was known: nothing was done again.
};

/// Every call needs a tenant scope unless it says otherwise; what another
/// tenant owns is not there. Every call also fails as storage's
/// connection::transact says, and then nothing of it is written.
class notification_store {
public:
  virtual ~notification_store() = default;

  /// Stores the notice and what its channels need (storage's
  /// write_notification). `out` grows only on success. errc::not_found: no
  /// such user.
  virtual result<notification>
  send(const scope& s, const new_notification& message, hints& out) = 0;

  /// The same notice to each of `users`, once each, all or none;
  /// `message.user` is ignored.
  virtual result<std::vector<notification>>
  send_to_users(const scope& s, const new_notification& message,
                const std::vector<user_id>& users, hints& out)
    = 0;

  /// To every active user of the scope's tenant, however many: stores the
  /// send and its job in one transaction (carillon.start_broadcast).
  virtual result<tenant_broadcast>
  send_to_tenant(const scope& s, const new_notification& message, hints& out)
    = 0;

  /// The next at most `most` recipients of the job's broadcast, fenced. No
  /// user gets it twice, whoever runs this and however often.
  /// errc::invalid_argument: the payload names none.
  virtual result<broadcast_progress> continue_broadcast(const node_identity& me, const job& work, int most) = 0;

  /// For other programs: all or nothing, and once for one key. Also
  /// errc::invalid_argument on `idempotency_key`: it was used for another
  /// request; on `user_ids.N` or `workspace_id`: not the tenant's;
  /// errc::not_found: no such tenant.
  virtual result<notification_answer> send_once(const scope& s, const notification_request& request, hints& out) = 0;

  /// What became of it on each channel. errc::forbidden: another user's of
  /// the same tenant.
  virtual result<std::vector<notification_delivery>>
  deliveries(const scope& s, user_id user, notification_id id) = 0;

  /// errc::not_found: no such user.
  virtual result<notification_settings> settings(const scope& s, user_id user) = 0;

  /// What then holds. errc::invalid_argument on `quiet_hours.end`: the window
  /// would be empty.
  virtual result<notification_settings> update_settings(const scope& s, user_id user, const settings_change& change)
    = 0;

  /// No e-mail about these types any more. errc::not_found: no such user.
  virtual result<done> unsubscribe_email(const scope& s, user_id user, const std::vector<notification_type>& types)
    = 0;

  /// Idempotent: the first read_at stays. errc::forbidden: another user's of
  /// the same tenant.
  virtual result<notification>
  mark_as_read(const scope& s, user_id user, notification_id id) = 0;

  /// Of every channel; returns how many were unread.
  virtual result<std::int64_t> mark_all_as_read(const scope& s, user_id user)
    = 0;

  /// Skips other users' and already read ones; returns how many it marked.
  /// errc::invalid_argument on `ids.N`: no such notification in the tenant;
  /// then none is marked.
  virtual result<std::int64_t>
  mark_multiple_as_read(const scope& s, user_id user,
                        const std::vector<notification_id>& ids)
    = 0;

  /// In-app ones only, like unread_count and recent.
  virtual result<notification_page>
  list(const scope& s, user_id user, const notification_filter& filter) = 0;
  virtual result<std::int64_t> unread_count(const scope& s, user_id user) = 0;

  /// unread_count and list for many at once, one each and in their order.
  /// With a maintenance scope of several tenants, each within his own.
  virtual result<std::vector<std::int64_t>> unread_counts(const scope& s, const std::vector<mailbox>& whose) = 0;
  virtual result<std::vector<mailbox_index>> newest(const scope& s, const std::vector<mailbox_page>& pages) = 0;
  virtual result<std::vector<mailbox_rows>> newest_rows(const scope& s, const std::vector<mailbox_page>& pages) = 0;

  /// Newest first.
  virtual result<std::vector<notification>>
  recent(const scope& s, user_id user, int limit) = 0;

  /// One per type, in declaration order; missing rows are created with the
  /// default channels. errc::not_found: no such user.
  virtual result<std::vector<notification_preference>>
  preferences(const scope& s, user_id user) = 0;

  virtual result<notification_preference>
  update_preference(const scope& s, user_id user,
                    const preference_change& change)
    = 0;

  /// In order, all or none; returns what preferences() then says.
  virtual result<std::vector<notification_preference>>
  update_preferences(const scope& s, user_id user,
                     const std::vector<preference_change>& changes)
    = 0;

  /// Removes what was created more than `days` ago, read or not, by the
  /// database's clock, in transactions of at most 1,000 rows; returns how
  /// many. A maintenance scope reaches all tenants.
  virtual result<std::int64_t> delete_old(const scope& s, int days = 90) = 0;

  /// CleanupOldNotifications: of the job's tenant, older than `keep`, read
  /// ones not before `keep_after_reading` (contract §4.2, reading (a)). One
  /// chunk of at most `limit`, fenced; how many went.
  virtual result<std::int64_t> delete_expired(const node_identity& me, const job& work,
                                              std::chrono::hours keep, std::chrono::hours keep_after_reading,
                                              int limit)
    = 0;

  /// For the e-mail job; a maintenance scope reaches all tenants.
  /// errc::not_found: deleted meanwhile.
  virtual result<notification_email>
  load_email(const scope& s, notification_id id) = 0;
};

} // namespace carillon
