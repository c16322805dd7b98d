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

private:
  connection& db_;
};

} // namespace carillon::storage
