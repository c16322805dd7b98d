#include "http/handlers/notifications/rendered_pages.hpp"

#include <utility>

namespace carillon::http::notifications {

std::size_t rendered_pages::entry::bytes() const noexcept {
  // Node, key, control block.
  constexpr std::size_t beside = 200;
  return beside + rows.capacity() * sizeof(row_version) + (text ? text->capacity() : 0);
}

rendered_pages::text_ptr rendered_pages::find(const mailbox_page& page, const std::vector<row_version>& rows) {
  const auto where = key_of(page);
  std::lock_guard lock{mutex_};
  if (const auto i = young_.find(where); i != young_.end())
    return i->second.rows == rows ? i->second.text : nullptr;
  const auto i = old_.find(where);
  if (i == old_.end() || i->second.rows != rows)
    return nullptr;
  auto found = std::move(i->second);
  old_bytes_ -= found.bytes();
  old_.erase(i);
  auto text = found.text;
  put(where, std::move(found));
  return text;
}

void rendered_pages::keep(const mailbox_page& page, std::vector<row_version> rows, text_ptr text) {
  const auto where = key_of(page);
  std::lock_guard lock{mutex_};
  if (const auto i = old_.find(where); i != old_.end()) {
    old_bytes_ -= i->second.bytes();
    old_.erase(i);
  }
  put(where, {std::move(rows), std::move(text)});
}

/// With the lock held; it is not in old_.
void rendered_pages::put(const key& where, entry what) {
  const auto [place, fresh] = young_.try_emplace(where);
  if (!fresh)
    young_bytes_ -= place->second.bytes();
  young_bytes_ += what.bytes();
  place->second = std::move(what);
  if (young_bytes_ <= most_bytes_ / 2)
    return;
  old_ = std::exchange(young_, {});
  old_bytes_ = std::exchange(young_bytes_, 0);
}

std::size_t rendered_pages::bytes() const {
  std::lock_guard lock{mutex_};
  return young_bytes_ + old_bytes_;
}

} // namespace carillon::http::notifications
