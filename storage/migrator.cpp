#include "storage/migrator.hpp"

#include <array>
#include <map>

#include <openssl/evp.h>

#include "storage/connection.hpp"

namespace carillon::storage {

namespace {

// Any constant will do; it only has to be ours.
constexpr auto lock_migrations = "SELECT pg_advisory_lock(4211009178126)";

// carillon_owner owns the schema and runs the migrations, carillon_app is the
// program. Whoever may make roles makes them; else a person can, beforehand.
// Two databases of one server may be migrated at the same time. From
// PostgreSQL 16 on, who made a role may not take it on without a grant.
constexpr auto prepare_roles = R"sql(
  DO $$
  DECLARE
    wanted text;
    use text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
  BEGIN
    IF NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
      RETURN;
    END IF;
    FOREACH wanted IN ARRAY ARRAY['carillon_owner', 'carillon_app'] LOOP
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
      BEGIN
        IF NOT pg_has_role(wanted, use) THEN
          EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
      EXCEPTION WHEN insufficient_privilege THEN NULL;
      END;
    END LOOP;
  END $$
)sql";

// A schema that somebody else made stays his.
constexpr auto select_owner = R"sql(
  SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'carillon_owner' AND pg_has_role(oid,
           CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END))
    AND coalesce((SELECT pg_get_userbyid(nspowner) = 'carillon_owner' FROM pg_namespace
                  WHERE nspname = 'carillon'), true)
)sql";

constexpr auto become_owner = "SET LOCAL ROLE carillon_owner";

// What the owner makes later is the program's to use from its first moment;
// a migration takes away what it must not do (carillon.make_insert_only).
constexpr auto prepare_schema = R"sql(
  CREATE TABLE IF NOT EXISTS carillon.schema_migrations (
    name varchar(100) PRIMARY KEY,
    checksum varchar(64) NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now());
  DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'carillon_app')
       OR has_schema_privilege('carillon_app', 'carillon', 'USAGE') THEN
      RETURN;
    END IF;
    GRANT USAGE ON SCHEMA carillon TO carillon_app;
    GRANT SELECT ON carillon.schema_migrations TO carillon_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA carillon
      GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO carillon_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA carillon GRANT USAGE ON SEQUENCES TO carillon_app;
  END $$
)sql";

constexpr auto find_schema = "SELECT to_regclass('carillon.schema_migrations') IS NOT NULL";

constexpr auto select_applied = "SELECT name, checksum FROM carillon.schema_migrations";

constexpr auto record_applied
  = "INSERT INTO carillon.schema_migrations (name, checksum) VALUES ($1, $2)";

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
  options.role.clear();
  options.statement_timeout = std::chrono::milliseconds{0};
  options.idle_in_transaction_timeout = std::chrono::milliseconds{0};
  connection db{options, log};

  // Session-level: held until this connection is closed.
  auto present = db.transact("lock-migrations", [](pqxx::work& tx) -> result<bool> {
    tx.exec(lock_migrations);
    return tx.exec(find_schema)[0][0].as<bool>();
  });
  if (!present)
    return present.error();
  checksums applied;
  if (*present) {
    auto found = read_applied(db);
    if (!found)
      return found.error();
    if (auto checked = check_history(*found, files); !checked)
      return checked.error();
    applied = std::move(*found);
    if (applied.size() == files.size())
      return std::vector<std::string>{};
  }

  auto owned = db.transact("prepare-schema", [](pqxx::work& tx) -> result<bool> {
    tx.exec("SET LOCAL client_min_messages = warning");
    tx.exec(prepare_roles);
    const auto by_owner = tx.exec(select_owner)[0][0].as<bool>();
    tx.exec(std::string{"CREATE SCHEMA IF NOT EXISTS carillon"}
            + (by_owner ? " AUTHORIZATION carillon_owner" : ""));
    if (by_owner)
      tx.exec(become_owner);
    tx.exec(prepare_schema);
    return by_owner;
  });
  if (!owned)
    return owned.error();

  std::vector<std::string> fresh;
  for (const auto& file : files) {
    if (applied.contains(file.name))
      continue;
    auto ran = db.transact(file.name, [&](pqxx::work& tx) -> result<done> {
      if (*owned)
        tx.exec(become_owner);
      tx.exec(std::string{file.sql});
      tx.exec_params(record_applied, file.name, sha256_hex(file.sql));
      return done{};
    });
    if (!ran) {
      auto failed = std::move(ran).error();
      if (failed.code != errc::transient && failed.code != errc::outcome_unknown)
        failed.code = errc::permanent;
      return failed;
    }
    log.info("migration-applied", {{"name", file.name}});
    fresh.push_back(file.name);
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
