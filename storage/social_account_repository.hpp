// social_account_store on PostgreSQL. The only code that sees a token both
// in clear and encrypted (docs/adr/0001-token-encryption-in-storage.md).
#pragma once

#include "domain/ports/social_account_store.hpp"
#include "storage/connection.hpp"
#include "storage/token_cipher.hpp"

namespace carillon::storage {

/// What an encrypted token of the account belongs to: it decrypts with this
/// only (docs/adr/0001-token-encryption-in-storage.md).
std::string bound_to(social_account_id id, std::string_view column);

/// load_credentials inside the caller's transaction.
result<publishing_account>
load_publishing_account(pqxx::transaction_base& tx, const token_cipher& cipher,
                        const scope& s, social_account_id id);

/// mark_status inside the caller's transaction.
result<done> mark_account_status(pqxx::transaction_base& tx, const scope& s,
                                 social_account_id id,
                                 social_account_status status);

/// Lives on its connection's thread; `cipher` outlives it.
class social_account_repository final : public social_account_store {
public:
  social_account_repository(connection& db, const token_cipher& cipher)
    : db_(db), cipher_(cipher) {
  }

  result<social_account> connect(const scope& s,
                                 const new_social_account& account) override;
  result<social_account_page>
  list(const scope& s, workspace_id workspace,
       const social_account_filter& filter) override;
  result<social_account> load(const scope& s, workspace_id workspace,
                              social_account_id id) override;
  result<publishing_account> load_credentials(const scope& s,
                                              social_account_id id) override;
  result<done> mark_status(const scope& s, social_account_id id,
                           social_account_status status) override;

private:
  connection& db_;
  const token_cipher& cipher_;
};

} // namespace carillon::storage
