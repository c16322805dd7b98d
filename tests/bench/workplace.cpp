#include "tests/bench/workplace.hpp"

#include <cerrno>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <utility>

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/support/process.hpp"

namespace carillon::bench {

void tell(const std::string& what) {
  std::cerr << program_invocation_short_name << ": " << what << std::endl;
}

work_folder::work_folder(bool keep) : keep_(keep) {
  std::string pattern = std::filesystem::temp_directory_path() / "carillon-bench-XXXXXX";
  if (!::mkdtemp(pattern.data()))
    throw std::runtime_error{"cannot make a folder for this run"};
  path_ = pattern;
  ::chmod(path_.c_str(), 0755);
}

work_folder::~work_folder() {
  if (keep_) {
    tell("logs and data stay in " + path_.string());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path work_folder::next_log(const std::string& name) {
  return path_ / (name + "-" + std::to_string(++logs_) + ".log");
}

std::string run(work_folder& folder, std::vector<std::string> command,
                std::map<std::string, std::string> environment) {
  test::process child{command, std::move(environment), folder.next_log("command")};
  const auto status = child.wait(std::chrono::seconds{300});
  if (!status || !WIFEXITED(*status) || WEXITSTATUS(*status) != 0)
    throw std::runtime_error{command.front() + " failed: " + child.output()};
  return child.output();
}

private_postgres::private_postgres(work_folder& folder) : folder_(folder) {
  const auto printed = run(folder, command("start"));
  url_ = printed.substr(0, printed.find('\n'));
}

private_postgres::~private_postgres() {
  try {
    run(folder_, command("stop"));
  } catch (const std::exception& e) {
    tell(e.what());
  }
}

std::vector<std::string> private_postgres::command(const std::string& action) const {
  return {std::string{CARILLON_SOURCE_DIR} + "/scripts/postgres", action, (folder_.path() / "postgres").string()};
}

} // namespace carillon::bench
