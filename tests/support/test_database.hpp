// A fresh, migrated database of the test run's private PostgreSQL, dropped
// at the end.
#pragma once

#include <memory>
#include <string>

#include "domain/ports/log.hpp"
#include "storage/connection.hpp"

namespace carillon::test {

/// Swallows everything.
class silent_logger final : public logger {
public:
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

class test_database {
public:
  test_database();
  ~test_database();
  test_database(const test_database&) = delete;
  test_database& operator=(const test_database&) = delete;

  const std::string& url() const noexcept {
    return url_;
  }

  /// One connection for the test's own thread, as the role carillon_app: what
  /// a repository does here, the program may do.
  storage::connection& connection() {
    return *connection_;
  }

  /// Another session on the same database, for races.
  std::unique_ptr<storage::connection> connect();

  /// Runs one statement as the server's owner; the first column of the first row as text, empty
  /// when there is none or it is NULL. Fails the test on an SQL error.
  std::string exec(const std::string& sql);

  logger& log() noexcept {
    return log_;
  }

private:
  std::string name_;
  std::string url_;
  silent_logger log_;
  std::unique_ptr<storage::connection> connection_;
  std::unique_ptr<storage::connection> owner_;
};

/// The URL of database `name` on the test run's server: CARILLON_TEST_PG (a
/// socket folder) or the server that CTest's fixture `postgres` started.
std::string server_url(const std::string& name);

} // namespace carillon::test
