#include "tests/support/own_postgres.hpp"

#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/process.hpp"

namespace carillon::test {

own_postgres::own_postgres()
  : folder_(std::string{CARILLON_TEST_POSTGRES_DIR} + "-own-" + std::to_string(::getpid())) {
  std::istringstream lines{run("start")};
  std::string url;
  for (std::string line; std::getline(lines, line);)
    url = line;
  ::setenv("CARILLON_TEST_PG", url.substr(url.find("host=") + 5).c_str(), 1);
}

own_postgres::~own_postgres() {
  try {
    run("stop");
  } catch (const std::exception&) {
    // The folder goes all the same.
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void own_postgres::crash() {
  run("restart");
}

std::string own_postgres::run(const std::string& action) {
  // The server is crashed, the machine is not: what was written stays written
  // without reaching the disk.
  process script{{std::string{CARILLON_SOURCE_DIR} + "/scripts/postgres", action, folder_},
                 {{"CARILLON_PG_FAST", "1"}},
                 log_.path() / (action + ".log")};
  const auto status = script.wait(std::chrono::seconds{90});
  if (!status || !WIFEXITED(*status) || WEXITSTATUS(*status) != 0)
    throw std::runtime_error{"scripts/postgres " + action + ": " + script.output()};
  return script.output();
}

} // namespace carillon::test
