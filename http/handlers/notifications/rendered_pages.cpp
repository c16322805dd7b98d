#include "http/handlers/notifications/rendered_pages.hpp"

#include <utility>

namespace carillon::http::notifications {

std::size_t rendered_pages::entry::bytes() const noexcept {
  // Nodes, keys, control block.
  constexpr std::size_t beside = 300;
  return beside + versions.capacity() + text.rows->capacity();
}

bool rendered_pages::knows(const mailbox_page& page) const {
  std::lock_guard lock{mutex_};
  return places_.contains(key_of(page));
}

std::optional<page_text> rendered_pages::find(const mailbox_page& page, const std::string& versions) {
  std::lock_guard lock{mutex_};
  const auto i = places_.find(key_of(page));
  if (i == places_.end() || i->second->versions != versions)
    return std::nullopt;
  entries_.splice(entries_.begin(), entries_, i->second);
  return i->second->text;
}

void rendered_pages::keep(const mailbox_page& page, std::string versions, page_text text) {
  entry fresh{key_of(page), std::move(versions), std::move(text)};
  std::list<entry> gone; // Is freed without the lock.
  std::lock_guard lock{mutex_};
  bytes_ += fresh.bytes();
  entries_.push_front(std::move(fresh));
  const auto [place, is_new] = places_.try_emplace(entries_.front().where, entries_.begin());
  if (!is_new) {
    bytes_ -= place->second->bytes();
    gone.splice(gone.begin(), entries_, place->second);
    place->second = entries_.begin();
  }
  while (bytes_ > most_bytes_) {
    bytes_ -= entries_.back().bytes();
    places_.erase(entries_.back().where);
    gone.splice(gone.begin(), entries_, std::prev(entries_.end()));
  }
}

std::size_t rendered_pages::bytes() const {
  std::lock_guard lock{mutex_};
  return bytes_;
}

} // namespace carillon::http::notifications
