#pragma once

#include "domain/ports/sms_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

class sms_repository final : public sms_store {
public:
  explicit sms_repository(connection& db) : db_(db) {
  }

  result<std::string> phone(const scope& s, user_id user) override;
  result<done> set_phone(const scope& s, user_id user, const std::string& phone) override;
  result<sms_order> open_call(const node_identity& me, const job& work, int daily_cap) override;
  result<done> close_call(const node_identity& me, const job& work) override;
  result<done> conclude(const node_identity& me, const job& work, const delivery_outcome& outcome,
                        const std::string& provider_id) override;

private:
  connection& db_;
};

} // namespace carillon::storage
