// What the transaction in progress on this thread will tell once it is
// committed. connection::transact opens the page and hands it on; whoever
// writes rows in between adds to it, however deep in the call he is, so that
// nobody who writes can forget to pass it along.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "domain/enums.hpp"
#include "domain/notification.hpp"
#include "domain/ports/live_events.hpp"

namespace carillon::storage {

/// One transaction's page. Used on one thread, as the connection is.
class live_notes {
public:
  /// `port` may be null: then nothing is noted.
  explicit live_notes(live_events* port) noexcept;
  ~live_notes();
  live_notes(const live_notes&) = delete;
  live_notes& operator=(const live_notes&) = delete;

  /// After the commit, or when it may have happened: clients fetch what they
  /// are told of, so telling too much is harmless.
  void tell() noexcept;

  /// Events beyond what one transaction may hold in memory; their clients see
  /// the rows when they fetch next.
  std::size_t dropped() const noexcept {
    return dropped_;
  }

  /// Null outside of a transaction and when nobody listens to this session.
  static live_notes* current() noexcept;

  void add(live_event event);
  void add_rights_change(user_id user);

private:
  live_events* const port_;
  live_notes* const outer_;
  live_batch batch_;
  std::size_t bytes_ = 0;
  std::size_t dropped_ = 0;
};

/// The `notification.new` of a row.
live_event notification_event(const notification& n);

/// Nothing is told of a row that is stored already read: in-app is off.
void note_notification(const notification& n);

/// `post.status_changed` of posts of any workspace, as this transaction has
/// left them. One query, when anyone is told at all.
void note_post_status(pqxx::transaction_base& tx, const std::vector<post_id>& posts, post_status previous);
void note_post_status(pqxx::transaction_base& tx, post_id post, post_status previous);

/// `inbox.item_received`: the preview is cut to 100 characters.
struct received_item {
  uuid id;
  workspace_id workspace;
  std::string platform;
  std::string type;
  std::string author_name;
  std::string content;
  instant created_at{};
};
live_event inbox_event(const received_item& item);
void note_inbox_item(const received_item& item);

/// Tokens, memberships or status of this user changed.
void note_rights_change(user_id user);

} // namespace carillon::storage
