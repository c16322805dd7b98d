// What a committed transaction tells the owner of a workspace. A lost hint
// makes a thing late by one sweep, never lost (architecture page, idea 1).
#pragma once

#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"

namespace carillon {

struct hint {
  enum class subject {
    post_due,  ///< A post of this workspace is due at `at`.
    job_ready, ///< A job of this workspace may run from `at` on.
  };
  subject about = subject::job_ready;
  workspace_id workspace;
  instant at{};
};

using hints = std::vector<hint>;

} // namespace carillon
