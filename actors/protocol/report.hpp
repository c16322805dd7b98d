// What an actor tells operators about itself (`GET /internal/actors`).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "actors/caf.hpp"

namespace carillon {

struct actor_report {
  std::string name;
  /// "running", "restarting", "quarantined", "draining".
  std::string state = "running";
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<actor_report> children;
};

} // namespace carillon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::actor_report)
