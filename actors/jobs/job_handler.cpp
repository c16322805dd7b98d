#include "actors/jobs/job_handler.hpp"

#include "actors/jobs/kinds/cleanup_old_notifications.hpp"
#include "actors/jobs/kinds/send_tenant_notification.hpp"

namespace carillon {

job_handlers built_in_handlers() {
  return {
    {std::string{kinds::cleanup_old_notifications}, stoppable_handler{cleanup_old_notifications}},
    {std::string{kinds::send_tenant_notification}, stoppable_handler{send_tenant_notification}},
  };
}

} // namespace carillon
