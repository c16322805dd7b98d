#include "tests/support/test_database.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <gtest/gtest.h>

#include "storage/migrator.hpp"

namespace carillon::test {

namespace {

constexpr auto template_name = "carillon_template";

/// One template per server and migration text; a stale one is rebuilt.
void ensure_template(logger& log) {
  pqxx::connection admin{server_url("postgres")};
  pqxx::nontransaction tx{admin};
  tx.exec("SELECT pg_advisory_lock(77001)");
  const auto& files = storage::embedded_migrations();
  std::string fingerprint;
  for (const auto& file : files)
    fingerprint += file.name + ":" + std::to_string(std::hash<std::string_view>{}(file.sql)) + " ";
  const auto found = tx.exec_params(
    "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", template_name);
  if (!found.empty() && storage::text_or_empty(found[0][0]) == fingerprint)
    return;
  if (!found.empty())
    tx.exec("DROP DATABASE carillon_template WITH (FORCE)");
  tx.exec("CREATE DATABASE carillon_template");
  auto migrated = storage::migrate(server_url(template_name), files, log);
  if (!migrated)
    throw std::runtime_error{"cannot migrate the template database: " + migrated.error().detail};
  tx.exec("COMMENT ON DATABASE carillon_template IS " + tx.quote(fingerprint));
}

std::string output_of(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe{popen(command.c_str(), "r"), pclose};
  std::string out;
  std::array<char, 256> buffer;
  while (pipe && fgets(buffer.data(), buffer.size(), pipe.get()))
    out += buffer.data();
  while (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out;
}

} // namespace

std::string server_url(const std::string& name) {
  static const char* socket = std::getenv("CARILLON_TEST_PG");
  if (socket)
    return "postgresql://carillon@/" + name + "?host=" + socket;
  static const auto base = output_of(std::string{CARILLON_SOURCE_DIR} + "/scripts/postgres url '"
                                     + CARILLON_TEST_POSTGRES_DIR + "' DATABASE");
  auto url = base;
  url.replace(url.find("DATABASE"), 8, name);
  return url;
}

test_database::test_database()
  : name_{"test_" + to_string(make_uuid_v7())}, url_{server_url(name_)} {
  ensure_template(log_);
  pqxx::connection admin{server_url("postgres")};
  pqxx::nontransaction tx{admin};
  // Two copies of one template at a time are refused.
  tx.exec("SELECT pg_advisory_lock(77001)");
  tx.exec("CREATE DATABASE " + tx.quote_name(name_) + " TEMPLATE carillon_template");
  connection_ = connect();
  storage::session_options options;
  options.url = url_;
  options.application_name = "carillon-test-owner";
  options.role.clear();
  owner_ = std::make_unique<storage::connection>(options, log_);
}

test_database::~test_database() {
  connection_.reset();
  owner_.reset();
  try {
    pqxx::connection admin{server_url("postgres")};
    pqxx::nontransaction tx{admin};
    tx.exec("DROP DATABASE " + tx.quote_name(name_) + " WITH (FORCE)");
  } catch (const std::exception& e) {
    ADD_FAILURE() << "cannot drop the test database: " << e.what();
  }
}

std::unique_ptr<storage::connection> test_database::connect() {
  storage::session_options options;
  options.url = url_;
  options.application_name = "carillon-test";
  return std::make_unique<storage::connection>(options, log_);
}

std::string test_database::exec(const std::string& sql) {
  const auto run = [&] {
    return owner_->transact("test", [&](pqxx::work& tx) -> result<std::string> {
      const auto rows = tx.exec(sql);
      return rows.empty() || rows.columns() == 0 ? std::string{} : storage::text_or_empty(rows[0][0]);
    });
  };
  auto out = run();
  // The test may have restarted the server.
  if (!out && out.error().code == errc::transient)
    out = run();
  EXPECT_TRUE(out) << sql << ": " << (out ? "" : out.error().detail);
  return out ? *out : std::string{};
}

} // namespace carillon::test
