#include "storage/live_notes.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

/// About 100,000 notices of ordinary length.
constexpr std::size_t most_bytes = 64 * 1024 * 1024;
constexpr std::size_t preview_characters = 100;

thread_local live_notes* page_of_this_thread = nullptr;

constexpr auto select_changed_posts = R"sql(
  SELECT id, workspace_id, content_text, status, updated_at FROM carillon.posts
  WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL
)sql";

std::string dump(const json& payload) {
  return payload.dump(-1, ' ', false, json::error_handler_t::replace);
}

json text_or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

} // namespace

live_notes::live_notes(live_events* port) noexcept
  : port_(port), outer_(std::exchange(page_of_this_thread, port ? this : nullptr)) {
}

live_notes::~live_notes() {
  page_of_this_thread = outer_;
}

live_notes* live_notes::current() noexcept {
  return page_of_this_thread;
}

void live_notes::tell() noexcept {
  if (port_ && !batch_.empty())
    port_->publish(std::exchange(batch_, {}));
}

void live_notes::add(live_event event) {
  bytes_ += sizeof(event) + event.channel.size() + event.name.size() + event.id.size() + event.data.size();
  if (bytes_ > most_bytes)
    ++dropped_;
  else
    batch_.events.push_back(std::move(event));
}

void live_notes::add_rights_change(user_id user) {
  batch_.rights_changed.push_back(user);
}

live_event notification_event(const notification& n) {
  return {to_string(live_channel{live_channel::audience::user, n.user.value}),
          std::string{live_events_named::notification_new}, to_string(n.id),
          dump({{"id", to_string(n.id)},
                {"type", to_string(n.type)},
                {"title", n.title},
                {"message", n.message},
                {"action_url", text_or_null(n.action_url)},
                {"created_at", format_api_time(n.created_at)}})};
}

void note_notification(const notification& n) {
  if (auto* page = live_notes::current(); page && !n.read_at)
    page->add(notification_event(n));
}

void note_post_status(pqxx::transaction_base& tx, const std::vector<post_id>& posts, post_status previous) {
  auto* page = live_notes::current();
  if (!page || posts.empty())
    return;
  for (const auto& row : exec_planned(tx, select_changed_posts, uuid_array(posts))) {
    const auto id = row[0].as<std::string>();
    page->add({to_string(live_channel{live_channel::audience::workspace, read_uuid(row[1])}),
               std::string{live_events_named::post_status_changed}, id,
               dump({{"post_id", id},
                     {"title", excerpt(text_or_empty(row[2]), "(post without text)")},
                     {"status", row[3].as<std::string>()},
                     {"previous_status", to_string(previous)},
                     {"updated_at", format_api_time(read_instant(row[4]))}})});
  }
}

void note_post_status(pqxx::transaction_base& tx, post_id post, post_status previous) {
  note_post_status(tx, std::vector<post_id>{post}, previous);
}

live_event inbox_event(const received_item& item) {
  return {to_string(live_channel{live_channel::audience::inbox, item.workspace.value}),
          std::string{live_events_named::inbox_item_received}, to_string(item.id),
          dump({{"id", to_string(item.id)},
                {"platform", item.platform},
                {"type", item.type},
                {"author_name", item.author_name},
                {"content_preview", std::string{first_characters(item.content, preview_characters)}},
                {"created_at", format_api_time(item.created_at)}})};
}

void note_inbox_item(const received_item& item) {
  if (auto* page = live_notes::current())
    page->add(inbox_event(item));
}

void note_rights_change(user_id user) {
  if (auto* page = live_notes::current())
    page->add_rights_change(user);
}

} // namespace carillon::storage
