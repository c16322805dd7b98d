#include "storage/connection.hpp"

#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/run_deadline.hpp"
#include "tests/support/process.hpp"
#include "tests/support/test_database.hpp"

namespace carillon::storage {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class ConnectionTest : public ::testing::Test {
protected:
  ConnectionTest() {
    db.exec("CREATE TABLE carillon.box (id int PRIMARY KEY, note text, parent int REFERENCES carillon.box "
            "DEFERRABLE INITIALLY IMMEDIATE, CHECK (id < 100))");
    db.exec("GRANT ALL ON carillon.box TO carillon_app");
  }

  session_options options() const {
    session_options out;
    out.url = db.url();
    out.application_name = "subject";
    return out;
  }

  static result<std::string> ask(connection& c, const std::string& sql) {
    return c.transact("ask", [&](pqxx::work& tx) -> result<std::string> {
      const auto rows = tx.exec(sql);
      return rows.empty() || rows.columns() == 0 ? std::string{} : text_or_empty(rows[0][0]);
    });
  }

  static errc code_of(const result<std::string>& r) {
    EXPECT_FALSE(r);
    return r ? errc::permanent : r.error().code;
  }

  void terminate() {
    db.exec("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
            "WHERE application_name = 'subject' AND datname = current_database()");
  }

  bool subject_waits() {
    return test::eventually([this] {
      return db.exec("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'subject' "
                     "AND datname = current_database() AND wait_event_type = 'Lock'") == "1";
    });
  }

  test::test_database db;
  connection subject{options(), db.log()};
};

TEST_F(ConnectionTest, ASessionIsUtcAndActsAsTheProgramsRole) {
  EXPECT_EQ(*ask(subject, "SELECT current_user"), "carillon_app");
  EXPECT_EQ(*ask(subject, "SHOW timezone"), "UTC");
  EXPECT_EQ(*ask(subject, "SHOW client_encoding"), "UTF8");
  EXPECT_EQ(*ask(subject, "SHOW search_path"), "carillon, pg_temp");
  EXPECT_EQ(*ask(subject, "SHOW application_name"), "subject");
  EXPECT_EQ(*ask(subject, "SHOW statement_timeout"), "10s");
}

TEST_F(ConnectionTest, NoRoleIsTakenWhereItIsNotOfUse) {
  auto o = options();
  o.role.clear();
  connection plain{o, db.log()};
  EXPECT_EQ(*ask(plain, "SELECT current_user"), "carillon");
  o.role = "no_such_role";
  connection unknown{o, db.log()};
  EXPECT_EQ(*ask(unknown, "SELECT current_user"), "carillon");
  o.role = "carillon_app";
  o.url = test::server_url("postgres"); // which has no schema carillon
  connection unmigrated{o, db.log()};
  EXPECT_EQ(*ask(unmigrated, "SELECT current_user"), "carillon");
}

TEST_F(ConnectionTest, AValueCommitsAFailureRollsBack) {
  EXPECT_TRUE(ask(subject, "INSERT INTO box VALUES (1)"));
  const auto refused = subject.transact("refuse", [](pqxx::work& tx) -> result<done> {
    tx.exec("INSERT INTO box VALUES (2)");
    return failure{errc::forbidden, "not today", {}, {}};
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::forbidden);
  EXPECT_EQ(db.exec("SELECT string_agg(id::text, ',') FROM carillon.box"), "1");
}

TEST_F(ConnectionTest, AnExceptionOfTheBodyIsAFailureAndRollsBack) {
  const auto failed = subject.transact("throw", [](pqxx::work& tx) -> result<done> {
    tx.exec("INSERT INTO box VALUES (1)");
    throw std::runtime_error{"odd"};
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::permanent);
  EXPECT_THAT(failed.error().detail, HasSubstr("odd"));
  const auto stranger = subject.transact("throw", [](pqxx::work&) -> result<done> { throw 42; });
  EXPECT_EQ(stranger.error().code, errc::permanent);
  EXPECT_EQ(*ask(subject, "SELECT count(*) FROM box"), "0");
}

TEST_F(ConnectionTest, AfterItsBackendWasTerminatedTheNextCallButOneReconnects) {
  const auto first = *ask(subject, "SELECT pg_backend_pid()");
  terminate();
  EXPECT_EQ(code_of(ask(subject, "INSERT INTO box VALUES (1)")), errc::transient);
  const auto second = ask(subject, "SELECT pg_backend_pid()");
  ASSERT_TRUE(second) << second.error().detail;
  EXPECT_NE(*second, first);
  EXPECT_EQ(*ask(subject, "SELECT current_user || ' ' || count(*) FROM box"), "carillon_app 0");
}

TEST_F(ConnectionTest, AReadIsDoneAgainOnANewSessionWhenItsBackendWasTerminated) {
  const auto read = [&](const std::string& sql) {
    return subject.read("read", [&](pqxx::transaction_base& tx) -> result<std::string> {
      return text_or_empty(tx.exec(sql)[0][0]);
    });
  };
  const auto backend = *read("SELECT pg_backend_pid()");
  EXPECT_EQ(*read("SELECT pg_backend_pid()"), backend);
  terminate();
  const auto after = read("SELECT pg_backend_pid() || current_user");
  ASSERT_TRUE(after) << after.error().detail;
  EXPECT_NE(*after, backend + "carillon_app");
  EXPECT_THAT(*after, HasSubstr("carillon_app"));
  // What is wrong with the statement is no lost session.
  EXPECT_EQ(code_of(read("SELECT 1 / 0")), errc::permanent);
  EXPECT_EQ(*read("SELECT 'fine'"), "fine");
}

TEST_F(ConnectionTest, ABackendTerminatedInMidStatementIsTransient) {
  connection holder{options(), db.log()};
  db.exec("INSERT INTO carillon.box VALUES (1)");
  result<std::string> outcome{std::string{}};
  std::thread caller;
  const auto held = holder.transact("hold", [&](pqxx::work& tx) -> result<done> {
    tx.exec("UPDATE box SET note = 'held'");
    caller = std::thread{[&] { outcome = ask(subject, "UPDATE box SET note = 'late'"); }};
    EXPECT_TRUE(subject_waits());
    db.exec("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = 'subject' "
            "AND datname = current_database() AND wait_event_type = 'Lock'");
    return done{};
  });
  caller.join();
  EXPECT_TRUE(held);
  EXPECT_EQ(code_of(outcome), errc::transient);
  EXPECT_EQ(*ask(subject, "SELECT note FROM box"), "held");
}

// The one case where nobody can say whether it happened: COMMIT was sent and
// the answer never came.
TEST_F(ConnectionTest, ABackendTerminatedDuringCommitLeavesTheOutcomeUnknown) {
  db.exec("CREATE FUNCTION carillon.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
          "PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$");
  db.exec("CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON carillon.box DEFERRABLE INITIALLY DEFERRED "
          "FOR EACH ROW EXECUTE FUNCTION carillon.wait_for_test()");
  connection holder{options(), db.log()};
  result<std::string> outcome{std::string{}};
  std::thread caller;
  const auto held = holder.transact("hold", [&](pqxx::work& tx) -> result<done> {
    tx.exec("SELECT pg_advisory_xact_lock(4711)");
    caller = std::thread{[&] { outcome = ask(subject, "INSERT INTO box VALUES (1)"); }};
    EXPECT_TRUE(subject_waits());
    db.exec("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = 'subject' "
            "AND datname = current_database() AND wait_event_type = 'Lock'");
    return done{};
  });
  caller.join();
  EXPECT_TRUE(held);
  EXPECT_EQ(code_of(outcome), errc::outcome_unknown);
  EXPECT_TRUE(ask(subject, "SELECT 1"));
}

TEST_F(ConnectionTest, AStatementThatIsItsOwnTransactionNeedsNoCommitAndItsLossLeavesTheOutcomeUnknown) {
  const auto insert = [&](int id) {
    return subject.transact_at_once("insert", [&](pqxx::transaction_base& tx) -> result<std::string> {
      tx.exec("INSERT INTO carillon.box (id) VALUES (" + std::to_string(id) + ")");
      return std::string{"done"};
    });
  };
  ASSERT_TRUE(insert(1));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.box"), "1");
  EXPECT_EQ(code_of(insert(1)), errc::conflict);

  pqxx::connection other{db.url()};
  pqxx::work holder{other};
  holder.exec("INSERT INTO carillon.box (id) VALUES (2)");
  std::thread killer{[this] {
    EXPECT_TRUE(subject_waits());
    terminate();
  }};
  EXPECT_EQ(code_of(insert(2)), errc::outcome_unknown);
  killer.join();
  holder.abort();
  ASSERT_TRUE(insert(2)) << "on a session of its own";

  auto nowhere = options();
  nowhere.url = "postgresql://nobody@/nothing?host=/nonexistent";
  connection lost{nowhere, db.log()};
  EXPECT_EQ(code_of(lost.transact_at_once("ask", [](pqxx::transaction_base&) -> result<std::string> { return std::string{}; })),
            errc::transient)
    << "it was never asked";
}

TEST_F(ConnectionTest, OnASnapshotNothingOfOthersIsSeenAndWhatTheyChangedIsTransient) {
  db.exec("INSERT INTO carillon.box (id, note) VALUES (1, 'before')");
  const auto seen = subject.transact_on_snapshot("look", [&](snapshot_transaction& tx) -> result<std::string> {
    const auto first = tx.exec("SELECT note FROM carillon.box WHERE id = 1")[0][0].as<std::string>();
    db.exec("UPDATE carillon.box SET note = 'after' WHERE id = 1");
    return first + tx.exec("SELECT note FROM carillon.box WHERE id = 1")[0][0].as<std::string>();
  });
  EXPECT_EQ(seen.value_or("failed"), "beforebefore");
  EXPECT_EQ(code_of(subject.transact_on_snapshot("change", [&](snapshot_transaction& tx) -> result<std::string> {
              tx.exec("SELECT FROM carillon.box");
              db.exec("UPDATE carillon.box SET note = 'again' WHERE id = 1");
              tx.exec("UPDATE carillon.box SET note = 'mine' WHERE id = 1");
              return std::string{};
            })),
            errc::transient);
  EXPECT_EQ(db.exec("SELECT note FROM carillon.box"), "again");
}

TEST_F(ConnectionTest, AStatementThatTakesTooLongIsTransientAndTheSessionStays) {
  auto o = options();
  o.statement_timeout = 50ms;
  connection hurried{o, db.log()};
  const auto pid = *ask(hurried, "SELECT pg_backend_pid()");
  EXPECT_EQ(code_of(ask(hurried, "SELECT pg_sleep(60)")), errc::transient);
  EXPECT_EQ(*ask(hurried, "SELECT pg_backend_pid()"), pid);
}

TEST_F(ConnectionTest, ARunsStatementEndsWithItsTimeAndItsNextOneIsNotBegun) {
  const auto usual = *ask(subject, "SHOW statement_timeout");
  {
    const run_deadline bound{std::chrono::steady_clock::now() + 200ms};
    EXPECT_EQ(code_of(ask(subject, "SELECT pg_sleep(60)")), errc::transient);
    EXPECT_TRUE(test::eventually([&] { return std::chrono::steady_clock::now() > *run_deadline::current(); }));
    const auto late = ask(subject, "INSERT INTO carillon.box VALUES (1)");
    EXPECT_EQ(code_of(late), errc::transient);
    EXPECT_THAT(late.error().detail, HasSubstr("the time of the run is over"));
  }
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.box"), "0");
  EXPECT_EQ(*ask(subject, "SHOW statement_timeout"), usual);
  const run_deadline far{std::chrono::steady_clock::now() + 1h};
  EXPECT_EQ(*ask(subject, "SHOW statement_timeout"), usual);
}

TEST_F(ConnectionTest, ARunsTimeBoundsStatementsWhereNothingElseDoes) {
  auto o = options();
  o.statement_timeout = 0ms;
  connection unbounded{o, db.log()};
  ASSERT_EQ(*ask(unbounded, "SHOW statement_timeout"), "0");
  {
    const run_deadline bound{std::chrono::steady_clock::now() + 1h};
    EXPECT_NE(*ask(unbounded, "SHOW statement_timeout"), "0");
  }
  EXPECT_EQ(*ask(unbounded, "SHOW statement_timeout"), "0");
}

TEST_F(ConnectionTest, ATransactionLeftIdleIsEndedByTheServerAndWritesNothing) {
  auto o = options();
  o.idle_in_transaction_timeout = 50ms;
  o.application_name = "idler";
  connection idler{o, db.log()};
  const auto lost = idler.transact("idle", [&](pqxx::work& tx) -> result<done> {
    tx.exec("INSERT INTO box VALUES (1)");
    EXPECT_TRUE(test::eventually([this] {
      return db.exec("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idler' "
                     "AND datname = current_database()") == "0";
    }));
    return done{};
  });
  ASSERT_FALSE(lost);
  EXPECT_THAT(lost.error().code, ::testing::AnyOf(errc::transient, errc::outcome_unknown));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.box"), "0");
  EXPECT_TRUE(ask(idler, "SELECT 1"));
}

TEST_F(ConnectionTest, AUniqueViolationIsAConflictAndOtherConstraintsArePermanent) {
  db.exec("INSERT INTO carillon.box VALUES (1)");
  EXPECT_EQ(code_of(ask(subject, "INSERT INTO box VALUES (1)")), errc::conflict);
  const auto foreign = ask(subject, "INSERT INTO box VALUES (2, '', 77)");
  EXPECT_EQ(code_of(foreign), errc::permanent);
  EXPECT_THAT(foreign.error().detail, HasSubstr("[23503]"));
  const auto check = ask(subject, "INSERT INTO box VALUES (100)");
  EXPECT_EQ(code_of(check), errc::permanent);
  EXPECT_THAT(check.error().detail, HasSubstr("[23514]"));
  const auto null = ask(subject, "INSERT INTO box VALUES (NULL)");
  EXPECT_EQ(code_of(null), errc::permanent);
  EXPECT_THAT(null.error().detail, HasSubstr("[23502]"));
}

TEST_F(ConnectionTest, AUniqueViolationAtCommitIsAConflict) {
  db.exec("ALTER TABLE carillon.box ADD CONSTRAINT note_once UNIQUE (note) DEFERRABLE INITIALLY DEFERRED");
  EXPECT_EQ(code_of(ask(subject, "INSERT INTO box VALUES (1, 'same'), (2, 'same')")), errc::conflict);
  EXPECT_EQ(*ask(subject, "SELECT count(*) FROM box"), "0");
}

TEST_F(ConnectionTest, OfTwoThatDeadlockOneIsTransient) {
  db.exec("INSERT INTO carillon.box VALUES (1), (2)");
  auto o = options();
  o.application_name = "other";
  connection other{o, db.log()};
  const auto both = [this](connection& c, int first, int second, auto between) {
    return c.transact("lock", [&](pqxx::work& tx) -> result<done> {
      tx.exec("UPDATE box SET note = 'x' WHERE id = " + std::to_string(first));
      between();
      tx.exec("UPDATE box SET note = 'x' WHERE id = " + std::to_string(second));
      return done{};
    });
  };
  result<done> theirs{done{}};
  std::thread rival;
  const auto mine = both(other, 1, 2, [&] {
    rival = std::thread{[&] { theirs = both(subject, 2, 1, [] {}); }};
    EXPECT_TRUE(subject_waits());
  });
  rival.join();
  EXPECT_NE(mine.has_value(), theirs.has_value());
  EXPECT_EQ((mine ? theirs : mine).error().code, errc::transient);
}

TEST_F(ConnectionTest, TextThatCannotBeStoredIsInvalid) {
  const auto refused = subject.transact("odd-text", [](pqxx::work& tx) -> result<done> {
    tx.exec_params("INSERT INTO box VALUES (1, $1)", std::string{"cut \xc3 off"});
    return done{};
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::invalid_argument);
  EXPECT_EQ(code_of(ask(subject, "SELECT '{\"a\":\"\\u0000\"}'::jsonb ->> 'a'")), errc::invalid_argument);
}

TEST_F(ConnectionTest, AnyOtherSqlErrorIsPermanentWithItsState) {
  for (const auto& [sql, state] :
       {std::pair{"SELECT 1 / 0", "22012"}, std::pair{"SELEC 1", "42601"}, std::pair{"SELECT x", "42703"},
        std::pair{"SELECT x()", "42883"}, std::pair{"SELECT * FROM x", "42P01"},
        std::pair{"SELECT * FROM x.y", "42P01"}, std::pair{"CREATE TABLE x.y ()", "3F000"},
        std::pair{"DELETE FROM audit_logs", "42501"}, std::pair{"SET ROLE postgres_of_nobody", "22023"},
        std::pair{"FETCH x", "34000"}, std::pair{"DO 'BEGIN RAISE ''odd''; END'", "P0001"},
        std::pair{"DO 'BEGIN SELECT 1 INTO STRICT x; END'", "42601"},
        std::pair{"SELECT 'x'::regclass", "42P01"}, std::pair{"SELECT 'x'::int", "22P02"},
        std::pair{"LOCK TABLE box IN NONSENSE MODE", "42601"}, std::pair{"SELECT 2147483647 + 1", "22003"}}) {
    const auto failed = ask(subject, sql);
    ASSERT_FALSE(failed) << sql;
    EXPECT_EQ(failed.error().code, errc::permanent) << sql;
    EXPECT_THAT(failed.error().detail, HasSubstr("[" + std::string{state} + "]")) << sql;
  }
  EXPECT_TRUE(ask(subject, "SELECT 1"));
}

TEST_F(ConnectionTest, WithoutAServerEveryCallIsTransient) {
  auto o = options();
  o.url = "postgresql://carillon:hush-hush@127.0.0.1:1/none";
  connection nowhere{o, db.log()};
  for (int i = 0; i < 2; ++i) {
    const auto failed = ask(nowhere, "SELECT 1");
    EXPECT_EQ(code_of(failed), errc::transient);
    EXPECT_THAT(failed.error().detail, Not(HasSubstr("hush-hush")));
  }
}

TEST_F(ConnectionTest, BothFormsOfAnUrlAreExtended) {
  auto o = options();
  o.connect_timeout = 1500ms;
  for (const auto& [url, expected] :
       {std::pair{"postgresql:///db", "postgresql:///db?application_name=subject&connect_timeout=1"},
        std::pair{"postgres:///db?host=/run", "postgres:///db?host=/run&application_name=subject&connect_timeout=1"},
        std::pair{"host=/run dbname=db", "host=/run dbname=db application_name=subject connect_timeout=1"}}) {
    o.url = url;
    EXPECT_THAT(connection_string(o), ::testing::StartsWith(expected));
  }
}

} // namespace

} // namespace carillon::storage
