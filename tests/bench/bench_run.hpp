// Runs a benchmark as a shell would.
#pragma once

#include <array>
#include <cstdio>
#include <string>

#include <sys/wait.h>

namespace carillon::bench {

struct bench_run {
  int exit_code = -1;
  std::string output;
};

/// With a PostgreSQL of its own.
inline bench_run run_bench(const std::string& program, const std::string& arguments) {
  bench_run out;
  FILE* pipe = ::popen(("unset DATABASE_URL; '" + program + "' " + arguments).c_str(), "r");
  if (!pipe)
    return out;
  std::array<char, 4096> buffer;
  while (std::fgets(buffer.data(), buffer.size(), pipe))
    out.output += buffer.data();
  const int status = ::pclose(pipe);
  if (WIFEXITED(status))
    out.exit_code = WEXITSTATUS(status);
  return out;
}

} // namespace carillon::bench
