// Holds what the database says about targets against what the networks have.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "domain/instant.hpp"

namespace carillon::test {

/// A target at the end of a run.
struct judged_target {
  std::string network; ///< The test's own name of it.
  std::string account;
  std::string text;
  instant due{};
  std::string status;
  std::string error_code;  ///< Of a failed one.
  std::string external_id; ///< Of a published one.
};

/// A post that a network has accepted, shown or not.
struct seen_post {
  std::string network;
  std::string account;
  std::string text;
  std::string id;
  instant created_at{};
};

struct network_verdict {
  int targets = 0;
  int published = 0;
  std::map<std::string, int> failed; ///< By error code.
  int at_network = 0;

  int open = 0;    ///< Neither published nor failed.
  int lost = 0;    ///< Said to be published, and not there.
  int doubled = 0; ///< There more often than targets may have put it there.
  int early = 0;   ///< There before its instant.
  int strange = 0; ///< Published under an id that no such post has, or that another target has too.

  /// Account and text of whatever is wrong.
  std::set<std::pair<std::string, std::string>> suspects;

  bool is_clean() const noexcept {
    return open == 0 && lost == 0 && doubled == 0 && early == 0 && strange == 0;
  }
};

/// By network. Targets that failed with OUTCOME_UNKNOWN may be there or not.
std::map<std::string, network_verdict> judge(const std::vector<judged_target>& targets,
                                             const std::vector<seen_post>& seen);

} // namespace carillon::test
