#include "domain/workspace_schedule.hpp"

namespace carillon {

time_zone zone_or_utc(std::string_view name) {
  return find_time_zone(name).value_or(time_zone{});
}

} // namespace carillon
