// What operators see of all tenants, are told, and leave behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/ids.hpp"
#include "domain/lateness_budget.hpp"
#include "domain/network.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

struct config_change {
  std::string key;
  std::string old_value; ///< Masked when secret.
  std::string new_value;
};

/// Of one network; an account's post is one. Retried ones are in no other
/// number: their time was the network's, or a crash's.
struct workspace_lateness {
  tenant_id tenant;
  workspace_id workspace;
  std::string workspace_name;
  std::string platform;
  std::int64_t posts = 0;   ///< Accepted at the first try, or waiting.
  std::int64_t late = 0;    ///< Of these: accepted too late, or waiting.
  std::int64_t waiting = 0; ///< Due for too long, and not tried yet.
  std::int64_t retried = 0;
  std::optional<std::chrono::milliseconds> p50; ///< Nothing when all were retried.
  std::optional<std::chrono::milliseconds> p99;
  std::optional<std::chrono::milliseconds> max;
};

struct lateness_report {
  std::int64_t posts = 0;
  std::int64_t late = 0;
  std::int64_t waiting = 0;
  std::int64_t retried = 0;
  std::vector<workspace_lateness> worst; ///< Most late ones first.
};

struct lateness_filter {
  std::chrono::hours within{24};
  std::chrono::milliseconds late_after{60'000};
  std::optional<workspace_id> workspace;
  std::optional<network> platform;
  int limit = 50;
};

class operations_store {
public:
  virtual ~operations_store() = default;

  /// One audit row per changed key, all or none.
  virtual result<done> record_config_changes(const std::string& node, const std::string& source,
                                             const std::vector<config_change>& changes)
    = 0;

  /// How late posts were accepted; the sums are of all, `worst` is cut.
  virtual result<lateness_report> lateness(const scope& s, const lateness_filter& filter) = 0;

  /// The last hour's, when more are late than promised and nobody was told for
  /// an hour. One caller among all nodes looks in each `every`, and only one is
  /// given the report: it tells operators and calls record_lateness_told. When
  /// it dies before, somebody else is given it eleven minutes later.
  virtual result<std::optional<lateness_report>> claim_lateness_alarm(const lateness_promise& promise,
                                                                      std::chrono::milliseconds every)
    = 0;

  /// `told` false: the next look may give the report again.
  virtual result<done> record_lateness_told(bool told) = 0;
};

} // namespace carillon
