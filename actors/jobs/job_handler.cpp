#include "actors/jobs/job_handler.hpp"

#include "actors/jobs/kinds/cleanup_old_notifications.hpp"

namespace carillon {

job_handlers built_in_handlers() {
  return {
    {std::string{kinds::cleanup_old_notifications}, database_handler{cleanup_old_notifications}},
  };
}

} // namespace carillon
