// A real child process, killed with real signals.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace carillon::test {

/// How long any test waits for something that must happen.
inline constexpr std::chrono::seconds patience{30};

/// Looks again every few milliseconds until `holds` or `within` is over.
/// Between processes there is no event to wait on.
bool eventually(const std::function<bool()>& holds, std::chrono::seconds within = patience);

/// Dies with the test. Standard output and error go to `log`.
class process {
public:
  process(std::vector<std::string> command, std::map<std::string, std::string> environment,
          std::filesystem::path log);
  /// SIGKILL when it still runs.
  ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  void signal(int number) const;
  pid_t pid() const noexcept {
    return pid_;
  }

  /// The wait status, once it has ended; nothing when it still runs after
  /// `within`.
  std::optional<int> wait(std::chrono::seconds within = patience);
  bool is_running();
  /// True when it was ended by `number`.
  static bool died_of(int status, int number);

  /// What it has written so far.
  std::string output() const;

private:
  pid_t pid_ = -1;
  std::optional<int> status_;
  std::filesystem::path log_;
};

} // namespace carillon::test
