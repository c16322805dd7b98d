#include "actors/jobs/lateness_alarm.hpp"

#include <cstdio>

#include "domain/text.hpp"

namespace carillon {

namespace {

/// Of a look's interval: two clocks do not skip each other's turn.
constexpr double early_share = 0.9;

/// `1.5` for 1500 ms.
std::string in_seconds(std::chrono::milliseconds value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.1f", static_cast<double>(value.count()) / 1'000);
  std::string text{out};
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

std::string in_percent(double share) {
  char out[32];
  std::snprintf(out, sizeof out, "%g %%", share * 100);
  return out;
}

void settle_alarm(const engine_context_ptr& context, bool told) {
  auto task = std::make_shared<db_task>();
  task->name = "settle-lateness-alarm";
  task->expires = std::chrono::steady_clock::now() + context->settings.database_timeout;
  task->run = [context, told](store& db) {
    if (auto settled = db.operations().record_lateness_told(told); !settled)
      context->log->warn("operators-told-not-recorded", {{"error", settled.error().detail}});
  };
  task->refuse = [context](failure f) { context->log->warn("operators-told-not-recorded", {{"error", f.detail}}); };
  caf::anon_send(context->databases.background, atom::run_v, std::move(task));
}

/// What the mails to all addresses came to.
struct alarm_mails {
  std::atomic<int> open{0};
  std::atomic<bool> any_sent{false};
};

void tell_operators(const engine_context_ptr& context, const lateness_report& report) {
  const auto& rules = context->settings.operations;
  const auto now = std::chrono::time_point_cast<instant::duration>(std::chrono::system_clock::now());
  const auto words = lateness_mail(report, rules.lateness, now);
  auto mails = std::make_shared<alarm_mails>();
  mails->open = static_cast<int>(rules.notify.size());
  for (std::size_t i = 0; i < rules.notify.size(); ++i) {
    const auto& address = rules.notify[i];
    auto mail = words;
    mail.recipient_address = address;
    mail.notification_id += "-" + std::to_string(i + 1);
    context->mail->send(context->mail_templates->render(mail), [context, mails, address](result<done> sent) {
      // One that may have been sent is not sent again every minute.
      if (sent || sent.error().code == errc::outcome_unknown)
        mails->any_sent = true;
      if (sent)
        context->log->info("operator-told", {{"of", "publish_lateness"}, {"address", address}});
      else
        context->log->error("operator-not-told", {{"of", "publish_lateness"}, {"address", address}, {"error", sent.error().detail}});
      if (--mails->open == 0)
        settle_alarm(context, mails->any_sent);
    });
  }
}

} // namespace

notification_mail lateness_mail(const lateness_report& report, const lateness_promise& promise, instant now) {
  const auto late = std::to_string(report.late) + " of " + std::to_string(report.posts) + " posts";
  notification_mail out;
  out.notification_id
    = "publish-lateness-" + std::to_string(std::chrono::floor<std::chrono::hours>(now.time_since_epoch()).count());
  out.title = "Posts leave late: " + late + " within the hour";
  out.message = "Within the last hour " + late + " were accepted by their networks more than "
                + in_seconds(promise.late_after) + " s after their instant; promised are at most "
                + in_percent(promise.allowed_share) + ".";
  if (report.waiting > 0)
    out.message += " " + std::to_string(report.waiting) + " of them have not gone out yet.";
  if (!report.worst.empty())
    out.message += " Most of them, by workspace and network:";
  for (const auto& one : report.worst) {
    if (one.late == 0)
      break;
    out.message += (&one == &report.worst.front() ? " " : "; ") + one.workspace_name + " ("
                   + to_string(one.workspace) + ") on " + one.platform + " "
                   + std::to_string(one.late) + " of " + std::to_string(one.posts);
    if (one.max)
      out.message += ", at most " + in_seconds(*one.max) + " s";
  }
  out.message += ". All of them: GET /api/v1/admin/publishing/lateness. The next such mail comes after an hour, if it lasts.";
  out.urgent = true;
  out.date = now;
  out.type = "system_announcement";
  return out;
}

void look_at_lateness(const engine_context_ptr& context) {
  if (context->settings.operations.notify.empty())
    return;
  auto task = std::make_shared<db_task>();
  task->name = "claim-lateness-alarm";
  task->expires = std::chrono::steady_clock::now() + context->settings.database_timeout;
  task->run = [context](store& db) {
    const auto every = std::chrono::duration_cast<std::chrono::milliseconds>(
      context->settings.publish_sweep_every * early_share);
    const auto claimed = db.operations().claim_lateness_alarm(context->settings.operations.lateness, every);
    if (!claimed)
      context->log->warn("lateness-not-measured", {{"error", claimed.error().detail}});
    else if (*claimed)
      tell_operators(context, **claimed);
  };
  task->refuse = [context](failure f) { context->log->warn("lateness-not-measured", {{"error", f.detail}}); };
  caf::anon_send(context->databases.background, atom::run_v, std::move(task));
}

} // namespace carillon
