// Jobs that the transaction in progress on this thread takes for its own node.
// connection::transact opens the page and closes it with the transaction's
// outcome (storage/live_notes.hpp does the same for live events).
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "domain/ports/job_intake.hpp"

namespace carillon::storage {

/// One transaction's page. Used on one thread, as the connection is.
class job_takes {
public:
  enum class ending { committed, rolled_back, unknown };

  /// `port` may be null: then nothing is taken.
  explicit job_takes(job_intake* port) noexcept;
  /// Not settled by then: rolled back.
  ~job_takes();
  job_takes(const job_takes&) = delete;
  job_takes& operator=(const job_takes&) = delete;

  void settle(ending how) noexcept;

  /// Null outside of a transaction and where nobody takes.
  static job_takes* current() noexcept;

  /// What a statement of this transaction has to write; nothing: no manifest.
  std::optional<reserved_take> reserve(const job_id& id, const workspace_id& workspace);
  /// The one that was reserved last is taken, if the transaction commits.
  void took(job work);

private:
  struct entry {
    reserved_take what;
    std::optional<job> work; ///< Where it was taken.
  };

  job_intake* const port_;
  job_takes* const outer_;
  std::vector<entry> entries_;
};

} // namespace carillon::storage
