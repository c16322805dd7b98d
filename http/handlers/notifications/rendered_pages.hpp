// Pages of notifications as JSON text that were shown lately. The database
// names in every answer which rows a page shows and in which version of each:
// what has changed, come or gone since is never shown from here.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "domain/ports/notification_store.hpp"

namespace carillon::http::notifications {

/// Safe from any thread. Holds about `most_bytes` at most: what was not asked
/// for while half of that was filled anew goes.
class rendered_pages {
public:
  using text_ptr = std::shared_ptr<const std::string>;

  explicit rendered_pages(std::size_t most_bytes) : most_bytes_(most_bytes) {
  }

  /// The text of `page` when it shows exactly `rows`; null when it is not here.
  text_ptr find(const mailbox_page& page, const std::vector<row_version>& rows);

  void keep(const mailbox_page& page, std::vector<row_version> rows, text_ptr text);

  std::size_t bytes() const;

private:
  struct key {
    user_id user;
    int page = 1;
    int per_page = 0;
    bool operator==(const key&) const = default;
  };
  struct key_hash {
    std::size_t operator()(const key& k) const noexcept {
      return std::hash<user_id>{}(k.user) * 31 + static_cast<std::size_t>(k.page) * 101
             + static_cast<std::size_t>(k.per_page);
    }
  };
  struct entry {
    std::vector<row_version> rows;
    text_ptr text;

    std::size_t bytes() const noexcept;
  };
  using generation = std::unordered_map<key, entry, key_hash>;

  static key key_of(const mailbox_page& page) {
    return {page.whose.user, page.page, page.per_page};
  }
  void put(const key& where, entry what);

  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  generation young_;
  generation old_;
  std::size_t young_bytes_ = 0;
  std::size_t old_bytes_ = 0;
};

} // namespace carillon::http::notifications
