// What a committed transaction tells the people who are looking at this
// moment (contract §5). A lost one makes a client late until it fetches
// again, never wrong: the rows are in the database before anyone is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.hpp"

namespace carillon {

/// The three events of the web client.
namespace live_events_named {
inline constexpr std::string_view notification_new = "notification.new";
inline constexpr std::string_view post_status_changed = "post.status_changed";
inline constexpr std::string_view inbox_item_received = "inbox.item_received";
} // namespace live_events_named

/// Who may listen: the user alone, or those who may enter the workspace.
struct live_channel {
  enum class audience : std::uint8_t { user, workspace, inbox };
  audience of = audience::user;
  uuid id; ///< Of the user or the workspace.

  bool operator==(const live_channel&) const = default;
};

/// `private-user.{id}`, `private-workspace.{id}`, `private-workspace.{id}.inbox`.
std::string to_string(const live_channel& channel);

/// Nothing for any other text, also for an id in another form than
/// to_string writes: events find their listeners by the text.
std::optional<live_channel> parse_live_channel(std::string_view text);

struct live_event {
  std::string channel;
  std::string name;
  std::string id;   ///< Of what it tells about, so that clients drop repeats.
  std::string data; ///< The payload: a JSON object on one line.
};

/// All that one transaction tells.
struct live_batch {
  std::vector<live_event> events;
  /// Their tokens, memberships or status changed: what they listen to has to
  /// be allowed anew.
  std::vector<user_id> rights_changed;
  /// How long ago this was committed, where that is more than a moment:
  /// another node was cut off meanwhile. Who came since has read the rows.
  std::chrono::milliseconds age{0};

  bool empty() const noexcept {
    return events.empty() && rights_changed.empty();
  }
};

/// `user` may listen to `channel` on `socket` for as long as `token` lives
/// and he may enter.
struct live_grant {
  std::string socket; ///< `123.456`
  std::string channel;
  user_id user;
  tenant_id tenant;
  std::int64_t token = 0;
};

} // namespace carillon
