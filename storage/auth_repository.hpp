// Users' credentials and tokens in carillon.users and
// carillon.personal_access_tokens.
#pragma once

#include "domain/ports/auth_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

/// Used on the connection's thread only.
class auth_repository final : public auth_store {
public:
  explicit auth_repository(connection& db) : db_(db) {}

  result<std::optional<stored_token>> find_token(const scope& s,
                                                 std::int64_t id) override;
  result<std::optional<stored_token>>
  find_token_by_hash(const scope& s, const std::string& secret_hash) override;
  result<std::vector<token_holder>> find_holders(const scope& s, const std::vector<std::int64_t>& ids) override;
  result<done> touch_token(const scope& s, std::int64_t id) override;
  result<done> touch_tokens(const scope& s, const std::vector<std::int64_t>& ids) override;
  result<std::optional<credentials>>
  find_credentials(const scope& s, const std::string& email) override;
  result<account> load_account(const scope& s, user_id user) override;
  result<std::int64_t> add_token(const scope& s, user_id user,
                                 const new_token& token, bool login) override;
  result<std::int64_t> replace_tokens(const scope& s, user_id user,
                                      const new_token& token) override;
  result<done> revoke_token(const scope& s, user_id user,
                            std::int64_t id) override;
  result<std::optional<stored_admin_token>> find_admin_token(const scope& s, std::int64_t id) override;
  result<std::optional<stored_admin_token>>
  find_admin_token_by_hash(const scope& s, const std::string& secret_hash) override;
  result<std::optional<admin_credentials>> find_admin_credentials(const scope& s,
                                                                  const std::string& email) override;
  result<std::int64_t> replace_admin_tokens(const scope& s, super_admin_id admin,
                                            const new_token& token) override;
  result<done> revoke_admin_token(const scope& s, super_admin_id admin, std::int64_t id) override;

private:
  connection& db_;
};

} // namespace carillon::storage
