// The job engine of a benchmark, composed as `carillon serve` composes it,
// without HTTP.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "actors/jobs/job_handler.hpp"
#include "config/settings.hpp"
#include "domain/hint.hpp"
#include "domain/ports/job_intake.hpp"
#include "domain/ports/log.hpp"
#include "domain/result.hpp"

namespace carillon::bench {

/// The defaults are the program's own.
struct engine_options {
  int batch_size = config::jobs_settings{}.batch_size;
  int max_in_flight = config::jobs_settings{}.max_in_flight;
  int background_connections = config::database_settings{}.background_connections;
  bool stealing = config::caf_settings{}.scheduler_policy == config::scheduling::stealing;
  int threads = config::caf_settings{}.worker_threads;
  int linger_ms = static_cast<int>(config::jobs_settings{}.conclude_linger.count());
};

/// Warnings and errors, told on standard error; lives as long as the process,
/// since actors may outlive whoever started them.
logger& warnings();

/// The value, or an exception that says what failed.
template <class T>
T expect(result<T> got, const char* what) {
  if (!got)
    throw std::runtime_error{std::string{what} + ": " + got.error().detail};
  return std::move(*got);
}

/// `count` new workspaces, on all shards in turn.
std::vector<workspace_id> make_workspaces(int count);

/// A node that takes every shard of the migrated database at `url`. At most
/// one a process; end the process with _Exit once it is stopped
/// (app/serve.cpp says why).
class engine {
public:
  engine(const engine_options& options, const std::string& url, const std::string& name, job_handlers handlers,
         logger& log);
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  /// For sessions whose transactions are the node's own; outlives it.
  job_intake* intake();

  /// What the owner's own node sends after a commit.
  void hint_at(const hint& h);

  /// Drains, gives back what it has not begun, ends its life. Throws when it
  /// does not come to an end.
  void stop();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace carillon::bench
