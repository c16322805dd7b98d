// What is fixed from the first migration (architecture page): checked against
// the migrated schema itself, so that no later migration breaks it unseen.
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/enums.hpp"
#include "domain/notification_type.hpp"
#include "domain/ownership.hpp"
#include "storage/migrator.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SchemaTest : public ::testing::Test {
protected:
  std::set<std::string> names(const std::string& sql) {
    auto out = db.connection().transact("names", [&](pqxx::work& tx) -> result<std::set<std::string>> {
      std::set<std::string> all;
      for (const auto& row : tx.exec(sql))
        all.insert(text_or_empty(row[0]));
      return all;
    });
    EXPECT_TRUE(out) << (out ? "" : out.error().detail);
    return out ? *out : std::set<std::string>{};
  }

  /// The values that a CHECK of `column IN (…)` allows.
  std::set<std::string> allowed(const std::string& table, const std::string& column) {
    const auto text = db.exec(
      "SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE c.conrelid = 'carillon." + table
      + "'::regclass AND c.contype = 'c' AND c.conname = '" + table + "_" + column + "_check'");
    std::set<std::string> out;
    static const std::regex literal{"'([^']*)'::"};
    for (auto i = std::sregex_iterator{text.begin(), text.end(), literal}; i != std::sregex_iterator{}; ++i)
      out.insert((*i)[1]);
    return out;
  }

  template <class Enum>
  static std::set<std::string> labels() {
    std::set<std::string> out;
    for (const auto value : values_of<Enum>())
      out.insert(std::string{to_string(value)});
    return out;
  }

  test::test_database db;
};

TEST_F(SchemaTest, EverythingLivesInTheSchemaCarillon) {
  EXPECT_THAT(names("SELECT n.nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                    "WHERE n.nspname NOT IN ('carillon', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"),
              IsEmpty());
}

TEST_F(SchemaTest, EveryTableWithTenantDataNamesItsTenant) {
  const auto without = names(
    "SELECT relname FROM pg_class c WHERE relnamespace = 'carillon'::regnamespace AND relkind IN ('r', 'p') "
    "AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND attname = 'tenant_id')");
  // The tenants themselves, the platform's own, and what a node is and does.
  // A password reset begins with an e-mail address, before any tenant is known.
  const std::set<std::string> of_no_tenant{
    "config_changes", "job_blocks", "job_controls", "job_kinds", "job_manifests", "node_incarnations", "node_leases",
    "notification_types", "operator_alarms", "password_reset_tokens", "platform_secrets", "schema_migrations", "shard_leases", "social_platform_integrations",
    "super_admin_users", "tenants"};
  for (const auto& table : without)
    EXPECT_TRUE(of_no_tenant.contains(table)) << table;
}

TEST_F(SchemaTest, TenantIdMayOnlyBeMissingWhereAnActionBelongsToNoTenant) {
  EXPECT_THAT(names("SELECT relname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "
                    "WHERE relnamespace = 'carillon'::regnamespace AND relkind IN ('r', 'p') "
                    "AND attname = 'tenant_id' AND NOT attnotnull"),
              ElementsAre("audit_logs", "personal_access_tokens"));
}

TEST_F(SchemaTest, TheShardIsTheLastByteOfTheWorkspacesId) {
  test::seed data{db};
  for (const int last : {0, 1, 127, 128, 255}) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(last));
    const auto id = std::string{"01890000-0000-7000-8000-0000000000"} + hex;
    const auto workspace = *workspace_id::parse(id);
    EXPECT_EQ(shard_of(workspace), last);
    db.exec("INSERT INTO carillon.workspaces (id, tenant_id, name, slug) VALUES ('" + id + "', "
            + test::sql_literal(data.tenant) + ", 'w', '" + id + "')");
    EXPECT_EQ(db.exec("SELECT shard FROM carillon.workspaces WHERE id = '" + id + "'"), std::to_string(last));
    const auto post = data.add_scheduled_post(workspace, "text", "now()");
    EXPECT_EQ(db.exec("SELECT shard FROM carillon.posts WHERE id = " + test::sql_literal(post)), std::to_string(last));
    db.exec("INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, payload, max_attempts) VALUES ("
            + test::sql_literal(job_id::make()) + ", 'k', 'q', " + test::sql_literal(data.tenant) + ", '" + id
            + "', '{\"v\":1}', 1)");
    EXPECT_EQ(db.exec("SELECT shard FROM carillon.jobs WHERE workspace_id = '" + id + "'"), std::to_string(last));
  }
  EXPECT_EQ(db.exec("SELECT count(*) || ' ' || min(shard) || ' ' || max(shard) FROM carillon.shard_leases"), "256 0 255");
}

TEST_F(SchemaTest, AJobNeedsAWorkspaceIdButNoWorkspace) {
  EXPECT_EQ(db.exec("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'carillon.jobs'::regclass "
                    "AND attname = 'workspace_id'"), "t");
  EXPECT_EQ(db.exec("SELECT count(*) FROM pg_constraint WHERE conrelid = 'carillon.jobs'::regclass AND contype = 'f'"), "0");
}

TEST_F(SchemaTest, IdsMadeInTheDatabaseSortAsTheyWereMadeAndAreNeverOfTheFuture) {
  EXPECT_EQ(db.exec("SELECT count(*) FROM generate_series(1, 1000) WHERE carillon.uuid_v7() > carillon.uuid_v7()"), "0");
  const auto id = parse_uuid(db.exec("SELECT carillon.uuid_v7()"));
  ASSERT_TRUE(id);
  EXPECT_EQ(id->bytes[6] >> 4, 7) << "the version";
  EXPECT_EQ(id->bytes[8] >> 6, 2) << "the variant";
  EXPECT_EQ(db.exec("SELECT count(*) FROM generate_series(1, 1000) WHERE "
                    "('x' || left(replace(carillon.uuid_v7()::text, '-', ''), 12))::bit(48)::bigint > extract(epoch FROM clock_timestamp()) * 1000"),
            "0");
}

TEST_F(SchemaTest, APayloadWithoutItsVersionIsRefused) {
  for (const auto* payload : {"{}", "[1]", "\"v\"", "{\"v\":\"1\"}", "{\"v\":null}", "null"}) {
    const auto refused = db.connection().transact("insert", [&](pqxx::work& tx) -> result<done> {
      tx.exec_params("INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, payload, max_attempts) VALUES "
                     "(gen_random_uuid(), 'k', 'q', gen_random_uuid(), gen_random_uuid(), $1::jsonb, 1)", payload);
      return done{};
    });
    EXPECT_FALSE(refused) << payload;
  }
}

TEST_F(SchemaTest, ANoticeHasOneDeliveryRowAChannel) {
  EXPECT_EQ(db.exec("SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                    "WHERE conrelid = 'carillon.notification_deliveries'::regclass AND contype = 'p'"),
            "PRIMARY KEY (notification_id, channel)");
}

TEST_F(SchemaTest, ChecksAllowWhatTheDomainKnows) {
  EXPECT_EQ(allowed("posts", "status"), labels<post_status>());
  EXPECT_EQ(allowed("posts", "post_type"), labels<post_type>());
  EXPECT_EQ(allowed("post_targets", "status"), labels<target_status>());
  EXPECT_EQ(allowed("social_accounts", "status"), labels<social_account_status>());
  EXPECT_EQ(allowed("workspaces", "status"), labels<workspace_status>());
  EXPECT_EQ(allowed("workspace_memberships", "role"), labels<workspace_role>());
  EXPECT_EQ(allowed("tenants", "status"), labels<tenant_status>());
  EXPECT_EQ(allowed("tenants", "type"), labels<tenant_type>());
  EXPECT_EQ(allowed("users", "status"), labels<user_status>());
  EXPECT_EQ(allowed("users", "role_in_tenant"), labels<tenant_role>());
  EXPECT_EQ(allowed("notifications", "channel"), labels<notification_channel>());
  EXPECT_EQ(allowed("notification_deliveries", "channel"), labels<notification_channel>());
}

// A release reads and writes the schema of the next one, so a migration adds
// and never takes away; what is taken away has been unused for a release.
TEST(MigrationFilesTest, EachSaysWhyAndWhatItLocks) {
  int number = 0;
  for (const auto& file : embedded_migrations()) {
    char prefix[6];
    std::snprintf(prefix, sizeof prefix, "%04d_", ++number);
    EXPECT_TRUE(file.name.starts_with(prefix)) << file.name;
    EXPECT_TRUE(std::regex_match(file.name, std::regex{"[0-9]{4}_[a-z]+(_[a-z0-9]+)+"})) << file.name;
    EXPECT_TRUE(file.sql.starts_with("-- " + file.name + ".sql\n-- Why: ")) << file.name;
    EXPECT_NE(file.sql.find("\n-- Lock: "), file.sql.npos) << file.name;
    EXPECT_NE(file.sql.find("Backfill: "), file.sql.npos) << file.name;
  }
  EXPECT_GE(number, 2);
}

TEST(MigrationFilesTest, TheProgramCarriesThemAsTheyAre) {
  for (const auto& file : embedded_migrations()) {
    std::ifstream in{std::string{CARILLON_SOURCE_DIR} + "/migrations/" + file.name + ".sql"};
    std::ostringstream text;
    text << in.rdbuf();
    EXPECT_EQ(file.sql, text.str()) << file.name;
  }
}

} // namespace

} // namespace carillon::storage
