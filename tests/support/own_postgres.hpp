// A PostgreSQL of one test's own, which it may crash.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/scratch_folder.hpp"

namespace carillon::test {

/// While it lives, test_database uses it: construct it first.
class own_postgres {
public:
  own_postgres();
  ~own_postgres();
  own_postgres(const own_postgres&) = delete;
  own_postgres& operator=(const own_postgres&) = delete;

  /// Stopped without a checkpoint, as a crash does, and started again.
  void crash();

private:
  std::string run(const std::string& action);

  scratch_folder log_;
  std::string folder_;
};

} // namespace carillon::test
