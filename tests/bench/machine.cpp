#include "tests/bench/machine.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <unistd.h>

namespace carillon::bench {

namespace {

using seconds = std::chrono::duration<double>;

struct process_stat {
  std::string command;
  pid_t parent = 0;
  seconds own{};
  seconds waited_for{};
};

std::filesystem::path proc(pid_t process) {
  return std::filesystem::path{"/proc"} / std::to_string(process);
}

/// proc(5): pid (comm) state ppid … utime stime cutime cstime are the fields
/// 14 to 17, and comm may hold anything.
std::optional<process_stat> read_stat(pid_t process) {
  std::ifstream in{proc(process) / "stat"};
  std::string text;
  if (!std::getline(in, text))
    return std::nullopt;
  const auto open = text.find('(');
  const auto close = text.rfind(')');
  if (open == text.npos || close == text.npos)
    return std::nullopt;
  process_stat out;
  out.command = text.substr(open + 1, close - open - 1);
  std::istringstream rest{text.substr(close + 1)};
  std::string skipped;
  rest >> skipped >> out.parent;
  for (int field = 5; field < 14; ++field)
    rest >> skipped;
  double user = 0, system = 0, children_user = 0, children_system = 0;
  if (!(rest >> user >> system >> children_user >> children_system))
    return std::nullopt;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  out.own = seconds{(user + system) / ticks};
  out.waited_for = seconds{(children_user + children_system) / ticks};
  return out;
}

} // namespace

std::optional<seconds> cpu_time(pid_t process) {
  const auto stat = read_stat(process);
  if (!stat)
    return std::nullopt;
  return stat->own;
}

std::optional<seconds> cpu_time_of_family(pid_t parent) {
  const auto stat = read_stat(parent);
  if (!stat)
    return std::nullopt;
  auto out = stat->own + stat->waited_for;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", gone}) {
    const auto name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; }))
      continue;
    const auto child = read_stat(static_cast<pid_t>(std::stol(name)));
    if (child && child->parent == parent)
      out += child->own + child->waited_for;
  }
  return out;
}

std::optional<double> peak_memory(pid_t process) {
  std::ifstream in{proc(process) / "status"};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("VmHWM:"))
      return std::stod(line.substr(6)) / 1024.0;
  return std::nullopt;
}

std::optional<pid_t> postmaster_of(pid_t backend) {
  const auto stat = read_stat(backend);
  if (!stat || stat->command != "postgres")
    return std::nullopt;
  return stat->parent;
}

} // namespace carillon::bench
