#include "storage/migrator.hpp"

#include <algorithm>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/process.hpp"
#include "tests/support/test_database.hpp"

namespace carillon::storage {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using files = std::vector<migration>;

const migration make_fruit{"0001_create_fruit", "CREATE TABLE carillon.fruit (name text PRIMARY KEY);"};
const migration add_apple{"0002_add_apple", "INSERT INTO carillon.fruit VALUES ('apple');"};
const migration add_pear{"0003_add_pear", "INSERT INTO carillon.fruit VALUES ('pear');"};

/// With an empty database of its own.
class MigratorTest : public ::testing::Test {
protected:
  MigratorTest() : name_{"migrator_" + to_string(make_uuid_v7())}, url{test::server_url(name_)} {
    as_admin("CREATE DATABASE \"" + name_ + "\"");
  }

  ~MigratorTest() override {
    as_admin("DROP DATABASE \"" + name_ + "\" WITH (FORCE)");
    for (const auto& role : logins_)
      as_admin("DROP ROLE " + role);
  }

  static void as_admin(const std::string& sql) {
    pqxx::connection admin{test::server_url("postgres")};
    pqxx::nontransaction tx{admin};
    tx.exec(sql);
  }

  std::string exec(const std::string& sql) {
    pqxx::connection session{url};
    pqxx::nontransaction tx{session};
    const auto rows = tx.exec(sql);
    return rows.empty() || rows.columns() == 0 ? std::string{} : text_or_empty(rows[0][0]);
  }

  /// Its lines, `|` between columns.
  std::vector<std::string> lines(const std::string& sql) {
    pqxx::connection session{url};
    pqxx::nontransaction tx{session};
    std::vector<std::string> out;
    for (const auto& row : tx.exec(sql)) {
      std::string line;
      for (const auto& field : row)
        line += (line.empty() ? "" : "|") + text_or_empty(field);
      out.push_back(line);
    }
    return out;
  }

  std::vector<std::string> fruit() {
    return lines("SELECT name FROM carillon.fruit ORDER BY name");
  }
  std::vector<std::string> recorded() {
    return lines("SELECT name FROM carillon.schema_migrations ORDER BY name");
  }

  result<std::vector<std::string>> run(const files& wanted) {
    return migrate(url, wanted, log);
  }
  std::vector<std::string> applied_by(const files& wanted) {
    auto out = run(wanted);
    EXPECT_TRUE(out) << (out ? "" : out.error().detail);
    return out ? *out : std::vector<std::string>{};
  }

  /// A role that may log in, and owns the test's database if asked.
  std::string url_of_plain_role(const std::string& name, bool owns = true) {
    as_admin("DROP ROLE IF EXISTS " + name);
    as_admin("CREATE ROLE " + name + " LOGIN");
    logins_.push_back(name);
    if (owns)
      as_admin("ALTER DATABASE \"" + name_ + "\" OWNER TO " + name);
    auto out = url;
    return out.replace(out.find("carillon@"), 8, name);
  }

  /// Sessions of the migrator that wait for a lock.
  bool waiting(int count) {
    return test::eventually([&] {
      return exec("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'carillon-migrate' "
                  "AND datname = current_database() AND wait_event_type = 'Lock'")
             == std::to_string(count);
    });
  }

private:
  std::string name_;
  std::vector<std::string> logins_;

protected:
  std::string url;
  test::silent_logger log;
};

/// A file that waits for the test, and the test's hand on it.
class gate {
public:
  explicit gate(const std::string& url) : session_{url}, held_{session_} {
    held_.exec("SELECT pg_advisory_lock(815)");
  }
  static migration file() {
    return {"0002_wait", "SELECT pg_advisory_xact_lock(815); INSERT INTO carillon.fruit VALUES ('waited');"};
  }
  void open() {
    held_.exec("SELECT pg_advisory_unlock(815)");
  }

private:
  pqxx::connection session_;
  pqxx::nontransaction held_;
};

TEST_F(MigratorTest, FilesAreAppliedInOrderAndTheirChecksumsRecorded) {
  EXPECT_THAT(applied_by({make_fruit, add_apple}), ElementsAre("0001_create_fruit", "0002_add_apple"));
  EXPECT_THAT(fruit(), ElementsAre("apple"));
  EXPECT_THAT(lines("SELECT name, checksum FROM carillon.schema_migrations ORDER BY name"),
              ElementsAre("0001_create_fruit|" + exec("SELECT encode(sha256('" + std::string{make_fruit.sql} + "'), 'hex')"),
                          "0002_add_apple|" + exec("SELECT encode(sha256($$" + std::string{add_apple.sql} + "$$), 'hex')")));
  EXPECT_EQ(exec("SELECT count(*) FROM carillon.schema_migrations WHERE applied_at > now() - interval '5 minutes'"), "2");
}

TEST_F(MigratorTest, ASecondRunDoesNothing) {
  applied_by({make_fruit, add_apple});
  const auto before = lines("SELECT name, applied_at, xmin FROM carillon.schema_migrations ORDER BY name");
  const auto rights = exec("SELECT nspacl::text || xmin FROM pg_namespace WHERE nspname = 'carillon'");
  EXPECT_THAT(applied_by({make_fruit, add_apple}), IsEmpty());
  EXPECT_EQ(lines("SELECT name, applied_at, xmin FROM carillon.schema_migrations ORDER BY name"), before);
  EXPECT_EQ(exec("SELECT nspacl::text || xmin FROM pg_namespace WHERE nspname = 'carillon'"), rights);
}

TEST_F(MigratorTest, OnlyWhatIsMissingIsApplied) {
  applied_by({make_fruit, add_apple});
  EXPECT_THAT(applied_by({make_fruit, add_apple, add_pear}), ElementsAre("0003_add_pear"));
  EXPECT_THAT(fruit(), ElementsAre("apple", "pear"));
}

TEST_F(MigratorTest, AnEditedAppliedFileIsRefusedByItsNameAndNothingIsApplied) {
  applied_by({make_fruit, add_apple});
  auto edited = add_apple;
  edited.sql = "INSERT INTO carillon.fruit VALUES ('apple'); -- edited";
  const auto refused = run({make_fruit, edited, add_pear});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_THAT(refused.error().detail, HasSubstr("0002_add_apple"));
  EXPECT_THAT(fruit(), ElementsAre("apple"));
  const auto checked = check_schema(url, {make_fruit, edited}, log);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, errc::conflict);
  EXPECT_THAT(checked.error().detail, HasSubstr("0002_add_apple"));
}

TEST_F(MigratorTest, ADatabaseThatIsNewerThanTheProgramIsReported) {
  applied_by({make_fruit, add_apple});
  const auto refused = run({make_fruit});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_THAT(refused.error().detail, HasSubstr("0002_add_apple"));
  EXPECT_THAT(refused.error().detail, HasSubstr("older"));
  const auto checked = check_schema(url, {make_fruit}, log);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, errc::conflict);
  EXPECT_THAT(checked.error().detail, HasSubstr("0002_add_apple"));
}

TEST_F(MigratorTest, AFailingFileLeavesNothingOfItself) {
  const migration broken{"0003_break", "INSERT INTO carillon.fruit VALUES ('plum'); "
                                       "CREATE TABLE carillon.stones (); "
                                       "INSERT INTO carillon.fruit VALUES ('apple');"};
  const auto failed = run({make_fruit, add_apple, broken, add_pear});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::permanent);
  EXPECT_THAT(failed.error().detail, HasSubstr("0003_break"));
  EXPECT_THAT(fruit(), ElementsAre("apple"));
  EXPECT_EQ(exec("SELECT to_regclass('carillon.stones') IS NULL"), "t");
  EXPECT_THAT(recorded(), ElementsAre("0001_create_fruit", "0002_add_apple"));

  EXPECT_THAT(applied_by({make_fruit, add_apple, {"0003_break", "SELECT 1"}, add_pear}),
              ElementsAre("0003_break", "0003_add_pear"));
}

TEST_F(MigratorTest, AFileWithASyntaxErrorIsPermanent) {
  const auto failed = run({make_fruit, {"0002_typo", "CREAT TABLE carillon.x ()"}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::permanent);
  EXPECT_THAT(failed.error().detail, HasSubstr("0002_typo"));
  EXPECT_THAT(recorded(), ElementsAre("0001_create_fruit"));
}

TEST_F(MigratorTest, TwoMigratorsAtOnceApplyEachFileOnce) {
  applied_by({make_fruit});
  gate closed{url};
  const files wanted{make_fruit, gate::file(), add_pear};
  std::vector<std::vector<std::string>> applied(2);
  std::vector<std::thread> migrators;
  for (auto& mine : applied)
    migrators.emplace_back([&] { mine = applied_by(wanted); });
  EXPECT_TRUE(waiting(2)) << "one at the gate, one for the first";
  closed.open();
  for (auto& m : migrators)
    m.join();
  std::sort(applied.begin(), applied.end());
  EXPECT_THAT(applied[0], IsEmpty());
  EXPECT_THAT(applied[1], ElementsAre("0002_wait", "0003_add_pear"));
  EXPECT_THAT(fruit(), ElementsAre("pear", "waited"));
}

TEST_F(MigratorTest, AMigratorThatLosesItsConnectionLeavesTheWayFree) {
  applied_by({make_fruit});
  gate closed{url};
  std::optional<failure> lost;
  std::thread migrator{[&] {
    if (auto out = run({make_fruit, gate::file()}); !out)
      lost = out.error();
  }};
  EXPECT_TRUE(waiting(1));
  exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
       "WHERE application_name = 'carillon-migrate' AND datname = current_database()");
  migrator.join();
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->code, errc::transient) << lost->detail;
  EXPECT_THAT(recorded(), ElementsAre("0001_create_fruit"));
  closed.open();
  EXPECT_THAT(applied_by({make_fruit, gate::file()}), ElementsAre("0002_wait"));
}

TEST_F(MigratorTest, AServerThatIsNotThereIsTransient) {
  const auto nowhere = migrate("postgresql://carillon@127.0.0.1:1/none", {make_fruit}, log);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, errc::transient);
  const auto checked = check_schema("postgresql://carillon@127.0.0.1:1/none", {make_fruit}, log);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, errc::transient);
}

TEST_F(MigratorTest, CheckSaysWhatToDoAboutAnUnmigratedDatabase) {
  for (const auto& there : {files{}, files{make_fruit}}) {
    if (!there.empty())
      applied_by(there);
    const auto checked = check_schema(url, {make_fruit, add_apple}, log);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, errc::conflict);
    EXPECT_THAT(checked.error().detail, HasSubstr("carillon migrate"));
  }
  applied_by({make_fruit, add_apple});
  EXPECT_TRUE(check_schema(url, {make_fruit, add_apple}, log));
}

// -- roles --------------------------------------------------------------------

TEST_F(MigratorTest, CarillonOwnerOwnsEverything) {
  applied_by(embedded_migrations());
  EXPECT_EQ(exec("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'carillon'"), "carillon_owner");
  EXPECT_THAT(lines("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'carillon'::regnamespace"),
              ElementsAre("carillon_owner"));
  EXPECT_THAT(lines("SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'carillon'::regnamespace"),
              ElementsAre("carillon_owner"));
}

TEST_F(MigratorTest, CarillonAppMayUseEveryTableButAuditRowsItMayOnlyAdd) {
  applied_by(embedded_migrations());
  const auto without = [&](const std::string& privilege) {
    return lines("SELECT relname FROM pg_class WHERE relnamespace = 'carillon'::regnamespace AND relkind IN ('r', 'p') "
                 "AND NOT has_table_privilege('carillon_app', oid, '" + privilege + "') ORDER BY relname");
  };
  EXPECT_THAT(without("SELECT"), IsEmpty());
  EXPECT_THAT(without("INSERT"), ElementsAre("schema_migrations"));
  EXPECT_THAT(without("UPDATE"), ElementsAre("audit_logs", "config_changes", "schema_migrations"));
  EXPECT_THAT(without("DELETE"), ElementsAre("audit_logs", "config_changes", "schema_migrations"));
  EXPECT_EQ(exec("SELECT count(*) FROM pg_class WHERE relnamespace = 'carillon'::regnamespace AND relkind IN ('r', 'p') "
                 "AND has_table_privilege('carillon_app', oid, 'TRUNCATE')"), "0");
  EXPECT_EQ(exec("SELECT has_schema_privilege('carillon_app', 'carillon', 'CREATE')"), "f");
}

TEST_F(MigratorTest, TheProgramCannotRewriteItsAuditTrail) {
  applied_by(embedded_migrations());
  session_options options;
  options.url = url;
  connection app{options, log};
  const auto tried = [&](const std::string& sql) {
    return app.transact("try", [&](pqxx::work& tx) -> result<done> {
      tx.exec(sql);
      return done{};
    });
  };
  EXPECT_TRUE(tried("INSERT INTO carillon.audit_logs (id, action, auditable_type) VALUES (gen_random_uuid(), 'a', 'post')"));
  EXPECT_TRUE(tried("INSERT INTO carillon.config_changes (node, key, old_value, new_value, source) VALUES ('n', 'k', '1', '2', 's')"));
  for (const auto* sql : {"UPDATE carillon.audit_logs SET action = 'b'", "DELETE FROM carillon.audit_logs",
                          "TRUNCATE carillon.audit_logs", "UPDATE carillon.config_changes SET key = 'b'",
                          "DELETE FROM carillon.config_changes", "DROP TABLE carillon.audit_logs",
                          "DELETE FROM carillon.schema_migrations", "CREATE TABLE carillon.mine ()"}) {
    const auto refused = tried(sql);
    ASSERT_FALSE(refused) << sql;
    EXPECT_THAT(refused.error().detail, HasSubstr("42501")) << sql;
  }
  EXPECT_EQ(exec("SELECT count(*) FROM carillon.audit_logs WHERE action = 'a'"), "1");
}

TEST_F(MigratorTest, ATableOfALaterMigrationIsTheProgramsFromItsFirstMoment) {
  applied_by({make_fruit});
  EXPECT_EQ(exec("SELECT has_table_privilege('carillon_app', 'carillon.fruit', 'SELECT, INSERT, UPDATE, DELETE')"), "t");
  const migration later{"0002_number", "CREATE TABLE carillon.seeds (id bigint GENERATED ALWAYS AS IDENTITY, n serial);"};
  applied_by({make_fruit, later});
  EXPECT_EQ(exec("SELECT has_table_privilege('carillon_app', 'carillon.seeds', 'INSERT')"), "t");
  EXPECT_EQ(exec("SELECT has_sequence_privilege('carillon_app', 'carillon.seeds_n_seq', 'USAGE')"), "t");
}

TEST_F(MigratorTest, WhereTheUrlsRoleIsAMemberOfTheRolesTheyAreUsed) {
  applied_by({}); // the roles are there
  const auto login = url_of_plain_role("migrator_member");
  exec("DROP SCHEMA carillon CASCADE");
  as_admin("GRANT carillon_owner, carillon_app TO migrator_member");
  const auto out = migrate(login, embedded_migrations(), log);
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(exec("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'carillon'"), "carillon_owner");
  EXPECT_EQ(exec("SELECT tableowner FROM pg_tables WHERE tablename = 'audit_logs'"), "carillon_owner");
}

TEST_F(MigratorTest, WhereTheUrlsRoleMayNeitherMakeNorTakeRolesAllIsItsOwn) {
  applied_by({});
  const auto login = url_of_plain_role("migrator_stranger");
  exec("DROP SCHEMA carillon CASCADE");
  const auto out = migrate(login, embedded_migrations(), log);
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(exec("SELECT tableowner FROM pg_tables WHERE tablename = 'audit_logs'"), "migrator_stranger");
  EXPECT_TRUE(check_schema(login, embedded_migrations(), log));
  EXPECT_THAT(*migrate(login, embedded_migrations(), log), IsEmpty());
}

TEST_F(MigratorTest, AMemberOfCarillonAppAloneSeesThatNothingIsMissingAndMayUseTheProgram) {
  applied_by(embedded_migrations());
  auto login = url_of_plain_role("migrator_app_login", false);
  as_admin("GRANT carillon_app TO migrator_app_login");
  const auto again = migrate(login, embedded_migrations(), log);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_THAT(*again, IsEmpty());
  EXPECT_TRUE(check_schema(login, embedded_migrations(), log));
  session_options options;
  options.url = login;
  connection app{options, log};
  const auto who = app.transact("ask", [](pqxx::work& tx) -> result<std::string> {
    return text_or_empty(tx.exec("SELECT current_user || ' for ' || session_user")[0][0]);
  });
  ASSERT_TRUE(who) << who.error().detail;
  EXPECT_EQ(*who, "carillon_app for migrator_app_login");

  auto more = embedded_migrations();
  more.push_back({"9999_create_more", "CREATE TABLE carillon.more ();"});
  const auto refused = migrate(login, more, log);
  ASSERT_FALSE(refused);
  EXPECT_EQ(exec("SELECT to_regclass('carillon.more') IS NULL"), "t");
}

} // namespace

} // namespace carillon::storage
