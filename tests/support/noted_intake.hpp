// A node's hands that hold nothing: what transactions took for it is noted.
#pragma once

#include <utility>
#include <vector>

#include "domain/ports/job_intake.hpp"
#include "storage/connection.hpp"
#include "tests/support/test_database.hpp"

namespace carillon::test {

/// Reserves for one life, whatever it is asked for, and keeps what it is told.
class noted_intake final : public job_intake {
public:
  std::optional<reserved_take> reserve(const job_id& id, const workspace_id& workspace) override {
    ++reserved;
    return reserved_take{owner, first_batch + reserved, id, workspace};
  }
  void settle(const reserved_take& what, take_outcome how, job work) noexcept override {
    ended.push_back({what, how});
    if (how == take_outcome::taken)
      taken.push_back(std::move(work));
  }

  static constexpr std::int64_t first_batch = 70;
  node_identity owner;
  int reserved = 0;
  std::vector<std::pair<reserved_take, take_outcome>> ended;
  std::vector<job> taken;
};

/// Of this database, as the node's own.
inline storage::session_options session_with(const test_database& db, job_intake& intake) {
  storage::session_options out;
  out.url = db.url();
  out.intake = &intake;
  return out;
}

} // namespace carillon::test
