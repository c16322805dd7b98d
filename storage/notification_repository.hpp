// notification_store on PostgreSQL.
#pragma once

#include "domain/ports/notification_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

/// Lives on its connection's thread.
class notification_repository final : public notification_store {
public:
  explicit notification_repository(connection& db) : db_(db) {
  }

  result<notification> send(const scope& s, const new_notification& message,
                            hints& out) override;
  result<std::vector<notification>>
  send_to_users(const scope& s, const new_notification& message,
                const std::vector<user_id>& users, hints& out) override;
  result<tenant_broadcast>
  send_to_tenant(const scope& s, const new_notification& message,
                 hints& out) override;

  result<broadcast_progress> continue_broadcast(const node_identity& me, const job& work, int most) override;
  result<notification_answer> send_once(const scope& s, const notification_request& request, hints& out) override;
  result<std::vector<notification_delivery>> deliveries(const scope& s, user_id user, notification_id id) override;
  result<notification_settings> settings(const scope& s, user_id user) override;
  result<notification_settings> update_settings(const scope& s, user_id user, const settings_change& change) override;
  result<done> unsubscribe_email(const scope& s, user_id user,
                                 const std::vector<notification_type>& types) override;

  result<notification> mark_as_read(const scope& s, user_id user,
                                    notification_id id) override;
  result<std::int64_t> mark_all_as_read(const scope& s, user_id user) override;
  result<std::int64_t>
  mark_multiple_as_read(const scope& s, user_id user,
                        const std::vector<notification_id>& ids) override;

  result<notification_page> list(const scope& s, user_id user,
                                 const notification_filter& filter) override;
  result<std::int64_t> unread_count(const scope& s, user_id user) override;
  result<std::vector<std::int64_t>> unread_counts(const scope& s, const std::vector<mailbox>& whose) override;
  result<std::vector<mailbox_index>> newest(const scope& s, const std::vector<mailbox_page>& pages) override;
  result<std::vector<mailbox_rows>> newest_rows(const scope& s, const std::vector<mailbox_page>& pages) override;
  result<std::vector<notification>> recent(const scope& s, user_id user,
                                           int limit) override;

  result<std::vector<notification_preference>>
  preferences(const scope& s, user_id user) override;
  result<notification_preference>
  update_preference(const scope& s, user_id user,
                    const preference_change& change) override;
  result<std::vector<notification_preference>>
  update_preferences(const scope& s, user_id user,
                     const std::vector<preference_change>& changes) override;

  result<std::int64_t> delete_old(const scope& s, int days) override;
  result<std::int64_t> delete_expired(const node_identity& me, const job& work, std::chrono::hours keep,
                                      std::chrono::hours keep_after_reading, int limit) override;

  result<notification_email> load_email(const scope& s,
                                        notification_id id) override;

private:
  connection& db_;
};

} // namespace carillon::storage
