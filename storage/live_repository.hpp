#pragma once

#include "domain/ports/live_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

class live_repository final : public live_store {
public:
  explicit live_repository(connection& db) : db_(db) {
  }

  result<std::vector<std::size_t>> refused(const scope& s, const std::vector<live_grant>& grants) override;
  result<std::vector<live_event>> recent(const scope& s, user_id user, std::chrono::seconds since,
                                         int limit) override;
  result<std::vector<live_event>> of_notifications(const scope& s,
                                                   const std::vector<notification_id>& ids) override;

private:
  connection& db_;
};

} // namespace carillon::storage
