// Pages of notifications as JSON text that were shown lately. The database
// names in every answer which rows a page shows and in which version of each:
// what has changed, come or gone since is never shown from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "domain/ports/notification_store.hpp"

namespace carillon::http::notifications {

/// The rows of a page.
struct page_text {
  std::shared_ptr<const std::string> rows; ///< `[...]`
  std::int64_t count = 0;
};

/// Safe from any thread. Holds about `most_bytes` at most: what was not asked
/// for the longest goes first.
class rendered_pages {
public:
  explicit rendered_pages(std::size_t most_bytes) : most_bytes_(most_bytes) {
  }

  /// Some version of `page` is here, whether it still holds or not.
  bool knows(const mailbox_page& page) const;

  /// `page`, when `versions` (mailbox_index) are what is here.
  std::optional<page_text> find(const mailbox_page& page, const std::string& versions);

  void keep(const mailbox_page& page, std::string versions, page_text text);

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
    key where;
    std::string versions;
    page_text text;

    std::size_t bytes() const noexcept;
  };

  static key key_of(const mailbox_page& page) {
    return {page.whose.user, page.page, page.per_page};
  }

  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  std::list<entry> entries_; ///< What was asked for last is first.
  std::unordered_map<key, std::list<entry>::iterator, key_hash> places_;
  std::size_t bytes_ = 0;
};

} // namespace carillon::http::notifications
