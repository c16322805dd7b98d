// How a job gets into its owner's hands with the transaction that enqueues it,
// where the node that enqueues is the owner: its manifest is written beside
// its row, and nobody has to read it first (docs/adr/0008).
#pragma once

#include <cstdint>
#include <optional>

#include "domain/job.hpp"
#include "domain/ownership.hpp"

namespace carillon {

/// For whom, and under which number, the manifest is to be written.
struct reserved_take {
  node_identity owner;
  std::int64_t batch = 0;
  job_id id;
  workspace_id workspace;
};

/// What came of it.
enum class take_outcome : std::uint8_t {
  taken,     ///< Committed, the manifest too: the job runs.
  not_taken, ///< No manifest. Whoever wrote the job all the same tells its owner.
  unknown,   ///< Both are there, or neither.
};

/// Safe from any thread; must not block.
class job_intake {
public:
  virtual ~job_intake() = default;

  /// Before the job is written: from now on no read hands it out, until settle
  /// is called, once. Nothing: this node does not own the workspace, or has
  /// enough to do; the job is read when its turn comes.
  virtual std::optional<reserved_take> reserve(const job_id& id, const workspace_id& workspace) = 0;

  /// After the transaction has ended. `work` is read where it was taken.
  virtual void settle(const reserved_take& what, take_outcome how, job work) noexcept = 0;
};

} // namespace carillon
