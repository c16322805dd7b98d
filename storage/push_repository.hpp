#pragma once

#include "domain/ports/push_store.hpp"
#include "storage/connection.hpp"
#include "storage/token_cipher.hpp"

namespace carillon::storage {

/// Lives on its connection's thread; `cipher` outlives it.
class push_repository final : public push_store {
public:
  push_repository(connection& db, const token_cipher& cipher) : db_(db), cipher_(cipher) {
  }

  result<std::vector<push_subscription>> list(const scope& s, user_id user) override;
  result<push_subscription> subscribe(const scope& s, user_id user, const push_address& address, int limit) override;
  result<done> unsubscribe(const scope& s, user_id user, const std::string& endpoint) override;
  result<push_order> load_order(const job& work) override;
  result<done> record_receipts(const node_identity& me, const job& work,
                               const std::vector<push_receipt>& receipts) override;
  result<done> conclude(const node_identity& me, const job& work, const std::vector<push_receipt>& receipts,
                        const delivery_outcome& outcome) override;
  result<std::string> share_secret(const std::string& name, const std::string& candidate) override;

private:
  connection& db_;
  const token_cipher& cipher_;
};

} // namespace carillon::storage
