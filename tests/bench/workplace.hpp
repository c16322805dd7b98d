// Where a benchmark works: a folder and a server of its own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace carillon::bench {

/// Progress, for people: standard output is for the result alone.
void tell(const std::string& what);

/// For logs, mail and the private server's data. Open to the user that
/// PostgreSQL runs as; removed at the end unless it is kept.
class work_folder {
public:
  explicit work_folder(bool keep);
  ~work_folder();
  work_folder(const work_folder&) = delete;
  work_folder& operator=(const work_folder&) = delete;

  const std::filesystem::path& path() const noexcept {
    return path_;
  }
  std::filesystem::path next_log(const std::string& name);

private:
  std::filesystem::path path_;
  bool keep_;
  int logs_ = 0;
};

/// Runs to its end, for five minutes at most; what it printed. Throws when it
/// fails.
std::string run(work_folder& folder, std::vector<std::string> command,
                std::map<std::string, std::string> environment = {});

/// The server of this run alone, as durable as a new one is. Throws when it
/// does not start.
class private_postgres {
public:
  explicit private_postgres(work_folder& folder);
  ~private_postgres();
  private_postgres(const private_postgres&) = delete;
  private_postgres& operator=(const private_postgres&) = delete;

  const std::string& url() const noexcept {
    return url_;
  }

private:
  std::vector<std::string> command(const std::string& action) const;

  work_folder& folder_;
  std::string url_;
};

} // namespace carillon::bench
