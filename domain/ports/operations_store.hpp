// What operators' actions leave behind.
#pragma once

#include <string>
#include <vector>

#include "domain/result.hpp"

namespace carillon {

struct config_change {
  std::string key;
  std::string old_value; ///< Masked when secret.
  std::string new_value;
};

class operations_store {
public:
  virtual ~operations_store() = default;

  /// One audit row per changed key, all or none.
  virtual result<done> record_config_changes(const std::string& node, const std::string& source,
                                             const std::vector<config_change>& changes)
    = 0;
};

} // namespace carillon
