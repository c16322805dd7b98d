#include "storage/migrator.hpp"

#include <array>
#include <map>

#include <openssl/evp.h>

#include "storage/connection.hpp"

namespace carillon::storage {

namespace {

// Any constant will do; it only has to be ours.
constexpr auto lock_migrations = "SELECT pg_advisory_lock(4211009178126)";

constexpr auto prepare_schema = R"sql(
  CREATE SCHEMA IF NOT EXISTS carillon;
  CREATE TABLE IF NOT EXISTS carillon.schema_migrations (
    name varchar(100) PRIMARY KEY,
    checksum varchar(64) NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now())
)sql";

constexpr auto find_schema = "SELECT to_regclass('carillon.schema_migrations') IS NOT NULL";

constexpr auto select_applied = "SELECT name, checksum FROM carillon.schema_migrations";

constexpr auto record_applied
  = "INSERT INTO carillon.schema_migrations (name, checksum) VALUES ($1, $2)";

// Owner: migrations. App: the program; audit rows are insert-only for it.
constexpr auto grant_roles = R"sql(
  DO $$ BEGIN
    IF NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
      RETURN;
    END IF;
    -- Two databases of one server may be migrated at the same time.
    BEGIN CREATE ROLE carillon_owner NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    BEGIN CREATE ROLE carillon_app NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    GRANT USAGE ON SCHEMA carillon TO carillon_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA carillon TO carillon_app;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA carillon TO carillon_app;
    GRANT ALL ON ALL TABLES IN SCHEMA carillon TO carillon_owner;
    REVOKE UPDATE, DELETE ON carillon.audit_logs, carillon.config_changes FROM carillon_app;
    REVOKE INSERT, UPDATE, DELETE ON carillon.schema_migrations FROM carillon_app;
  END $$
)sql";

std::string sha256_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr);
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    out += digits[digest[i] >> 4];
    out += digits[digest[i] & 0x0f];
  }
  return out;
}

using checksums = std::map<std::string, std::string>;

result<checksums> read_applied(connection& db) {
  return db.transact("read-applied-migrations", [](pqxx::work& tx) -> result<checksums> {
    checksums out;
    for (const auto& row : tx.exec(select_applied))
      out.emplace(row[0].as<std::string>(), row[1].as<std::string>());
    return out;
  });
}

result<done> check_history(const checksums& applied, const std::vector<migration>& files) {
  checksums known;
  for (const auto& file : files)
    known.emplace(file.name, sha256_hex(file.sql));
  for (const auto& [name, checksum] : applied) {
    const auto i = known.find(name);
    if (i == known.end())
      return failure{errc::conflict,
                     "the database has migration " + name
                       + ", which this program does not know: it is older than the database", {}, {}};
    if (i->second != checksum)
      return failure{errc::conflict,
                     "migration " + name + " was edited after it had been applied; "
                       "restore the file and put the change into a new one", {}, {}};
  }
  return done{};
}

} // namespace

result<std::vector<std::string>> migrate(const std::string& url,
                                         const std::vector<migration>& files,
                                         logger& log) {
  session_options options;
  options.url = url;
  options.application_name = "carillon-migrate";
  options.statement_timeout = std::chrono::milliseconds{0};
  options.idle_in_transaction_timeout = std::chrono::milliseconds{0};
  connection db{options, log};

  // Session-level: held until this connection is closed.
  auto prepared = db.transact("prepare-schema", [](pqxx::work& tx) -> result<done> {
    tx.exec(lock_migrations);
    tx.exec("SET LOCAL client_min_messages = warning");
    tx.exec(prepare_schema);
    return done{};
  });
  if (!prepared)
    return prepared.error();
  const auto applied = read_applied(db);
  if (!applied)
    return applied.error();
  if (auto checked = check_history(*applied, files); !checked)
    return checked.error();

  std::vector<std::string> fresh;
  for (const auto& file : files) {
    if (applied->contains(file.name))
      continue;
    auto ran = db.transact(file.name, [&](pqxx::work& tx) -> result<done> {
      tx.exec(std::string{file.sql});
      tx.exec_params(record_applied, file.name, sha256_hex(file.sql));
      return done{};
    });
    if (!ran)
      return ran.error();
    log.info("migration-applied", {{"name", file.name}});
    fresh.push_back(file.name);
  }
  if (!fresh.empty()) {
    auto granted = db.transact("grant-roles", [](pqxx::work& tx) -> result<done> {
      tx.exec(grant_roles);
      return done{};
    });
    if (!granted)
      return granted.error();
  }
  return fresh;
}

result<done> check_schema(const std::string& url, const std::vector<migration>& files,
                          logger& log) {
  session_options options;
  options.url = url;
  options.application_name = "carillon-check";
  connection db{options, log};
  auto present = db.transact("find-schema", [](pqxx::work& tx) -> result<bool> {
    return tx.exec(find_schema)[0][0].as<bool>();
  });
  if (!present)
    return present.error();
  const failure missing{errc::conflict, "the database is not migrated; run: carillon migrate", {}, {}};
  if (!*present)
    return missing;
  const auto applied = read_applied(db);
  if (!applied)
    return applied.error();
  if (auto checked = check_history(*applied, files); !checked)
    return checked.error();
  for (const auto& file : files)
    if (!applied->contains(file.name))
      return missing;
  return done{};
}

} // namespace carillon::storage
