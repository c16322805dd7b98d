#pragma once

#include "domain/ports/delivery_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

class delivery_repository final : public delivery_store {
public:
  explicit delivery_repository(connection& db) : db_(db) {
  }

  result<email_order> begin_email(const job& job) override;
  result<done> conclude_email(const node_identity& me, const job& job,
                              const email_outcome& outcome) override;
  result<done> note_deferral(const job& job, instant until, const std::string& reason) override;
  result<digest_order> begin_digest(const node_identity& me, const job& job) override;
  result<done> conclude_digest(const node_identity& me, const job& job, const digest_order& digest,
                               const email_outcome& outcome) override;
  result<std::vector<mail_suppression>> suppressions(const scope& s, const mail_suppression_filter& filter) override;
  result<mail_suppression> lift_suppression(const scope& s, const operator_identity& by,
                                            const std::string& address) override;

private:
  connection& db_;
};

} // namespace carillon::storage
