#include "http/handlers/admin/routes.hpp"

#include "http/handlers/admin/jobs.hpp"
#include "http/handlers/admin/mail.hpp"
#include "http/handlers/admin/publishing.hpp"
#include "http/handlers/admin/session.hpp"

namespace carillon::http {

std::vector<route> admin_routes(password_hasher& passwords, const auth_settings& settings,
                                std::chrono::milliseconds late_after) {
  const std::string auth = "/api/v1/admin/auth";
  const std::string jobs = "/api/v1/admin/jobs";
  std::vector<route> out{
    {.method = "POST",
     .pattern = auth + "/login",
     .need = access::open,
     .start = admin_session::start_login(passwords, settings.token_lifetime),
     .auth_limited = true},
    {"POST", auth + "/logout", access::admin, admin_session::run_logout},
    {"GET", auth + "/me", access::admin, admin_session::run_me},
    {"GET", jobs + "/stats", access::admin, admin_jobs::run_stats},
    {"GET", jobs, access::admin, admin_jobs::run_list},
    {"GET", jobs + "/controls", access::admin, admin_jobs::run_controls},
    {"PUT", jobs + "/controls", access::admin_writer, admin_jobs::run_set_control},
    {"GET", jobs + "/{job}", access::admin, admin_jobs::run_show},
    {"GET", "/api/v1/admin/mail/suppressions", access::admin, admin_mail::run_list_suppressions},
    {"POST", "/api/v1/admin/mail/suppressions/lift", access::admin_writer, admin_mail::run_lift_suppression},
    {"GET", "/api/v1/admin/publishing/lateness", access::admin,
     [late_after](call& c) { return admin_publishing::run_lateness(c, late_after); }},
  };
  const std::initializer_list<std::pair<const char*, job_action>> actions{
    {"/retry", job_action::retry}, {"/cancel", job_action::cancel}, {"/discard", job_action::discard}};
  for (const auto& [name, what] : actions) {
    out.push_back({"POST", jobs + name, access::admin_writer,
                   [what = what](call& c) { return admin_jobs::run_all(c, what); }});
    out.push_back({"POST", jobs + "/{job}" + name, access::admin_writer,
                   [what = what](call& c) { return admin_jobs::run_one(c, what); }});
  }
  return out;
}

} // namespace carillon::http
