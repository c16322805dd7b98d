#pragma once

#include "domain/ports/delivery_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

class delivery_repository final : public delivery_store {
public:
  explicit delivery_repository(connection& db) : db_(db) {
  }

  result<notification_email> load_email(const job& job) override;
  result<done> conclude_email(const node_identity& me, const job& job,
                              const email_outcome& outcome) override;

private:
  connection& db_;
};

} // namespace carillon::storage
