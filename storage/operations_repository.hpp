#pragma once

#include "domain/ports/operations_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

class operations_repository final : public operations_store {
public:
  explicit operations_repository(connection& db) : db_(db) {
  }

  result<done> record_config_changes(const std::string& node, const std::string& source,
                                     const std::vector<config_change>& changes) override;
  result<lateness_report> lateness(const scope& s, const lateness_filter& filter) override;
  result<std::optional<lateness_report>> claim_lateness_alarm(const lateness_promise& promise,
                                                              std::chrono::milliseconds every) override;
  result<done> record_lateness_told(bool told) override;

private:
  connection& db_;
};

} // namespace carillon::storage
