#include "actors/workspace/notifier.hpp"

#include <deque>

#include "domain/ports/delivery_store.hpp"

namespace carillon {

namespace {

/// Mails that one workspace has under way at a time.
constexpr int concurrent_mails = 8;
constexpr std::chrono::milliseconds retry_write_after{500};

struct notifier_state {
  static inline const char* name = "carillon.notifier";

  engine_context_ptr context;
  workspace_actor supervisor;
  int active = 0;
  std::deque<running_job_ptr> waiting;
  std::uint64_t sent_total = 0;
};

using self_pointer = job_runner_actor::stateful_pointer<notifier_state>;

void start_next(self_pointer self);

void finish(self_pointer self, const running_job_ptr& job, job_report::kind how,
            std::string error = {}, std::optional<std::chrono::milliseconds> delay = {},
            bool dependency_failed = false) {
  auto said = report_of(*job, how, std::move(error), delay);
  said.dependency_failed = dependency_failed;
  self->send(self->state.supervisor, atom::conclude_v, run_reports{{std::move(said)}});
  --self->state.active;
  start_next(self);
}

/// Records and concludes in one transaction; keeps trying, so that a mail
/// that left is not sent again for a moment's trouble with the database.
void conclude(self_pointer self, const running_job_ptr& job, email_outcome outcome, int tries = 0) {
  auto& state = self->state;
  ask_database<done>(
    self, state.context->databases.background, "conclude-email", state.context->settings.database_timeout,
    [job, outcome](store& db) { return db.deliveries().conclude_email(job->owner, job->work(), outcome); },
    [self, job, outcome, tries](result<done> concluded) {
      if (concluded || concluded.error().code == errc::cancelled) {
        finish(self, job, job_report::kind::concluded);
        return;
      }
      if (tries < 60) {
        self->delayed_send(self, retry_write_after, atom::run_v,
                           std::make_shared<std::function<void()>>(
                             [=] { conclude(self, job, outcome, tries + 1); }));
        return;
      }
      finish(self, job, job_report::kind::retry, concluded.error().detail);
    });
}

void mail_answered(self_pointer self, const running_job_ptr& job, const result<done>& sent) {
  if (sent) {
    ++self->state.sent_total;
    conclude(self, job, {email_outcome::kind::sent, {}});
    return;
  }
  const auto& why = sent.error();
  const bool last = job->work().attempt + 1 >= job->work().max_attempts;
  // A mail whose fate is unknown is sent again with the same Message-ID.
  if (why.code == errc::permanent || why.code == errc::invalid_argument || last)
    conclude(self, job, {email_outcome::kind::failed, why.detail});
  else
    finish(self, job, job_report::kind::retry, why.detail, why.retry_after, true);
}

void send_mail(self_pointer self, const running_job_ptr& job, const notification_email& mail) {
  auto& context = *self->state.context;
  notification_mail letter;
  letter.recipient_name = mail.recipient_name;
  letter.recipient_address = mail.recipient_address;
  letter.notification_id = to_string(mail.item.id);
  letter.title = mail.item.title;
  letter.message = mail.item.message;
  if (!mail.item.action_url.empty())
    letter.action_url = context.settings.frontend_url + mail.item.action_url;
  letter.urgent = is_urgent(mail.item.type);
  letter.date = mail.item.created_at;
  context.mail->send(context.mail_templates->render(letter),
                     [handle = job_runner_actor{self}, self, job](result<done> sent) {
                       caf::anon_send(handle, atom::run_v,
                                      std::make_shared<std::function<void()>>(
                                        [self, job, sent = std::move(sent)] { mail_answered(self, job, sent); }));
                     });
}

void begin(self_pointer self, const running_job_ptr& job) {
  auto& state = self->state;
  ask_database<notification_email>(
    self, state.context->databases.background, "load-email", state.context->settings.database_timeout,
    [job](store& db) { return db.deliveries().load_email(job->work()); },
    [self, job](result<notification_email> mail) {
      if (!mail) {
        const auto code = mail.error().code;
        if (code == errc::not_found)
          finish(self, job, job_report::kind::succeeded);
        else if (code == errc::invalid_argument)
          finish(self, job, job_report::kind::discarded, mail.error().detail);
        else
          finish(self, job, job_report::kind::postponed, mail.error().detail, std::chrono::milliseconds{1'000});
        return;
      }
      const auto decision = decide_email(*mail);
      switch (decision.step) {
        case email_step::send:
          send_mail(self, job, *mail);
          break;
        case email_step::already_sent:
          finish(self, job, job_report::kind::succeeded);
          break;
        case email_step::skip:
          conclude(self, job, {email_outcome::kind::skipped, decision.reason});
          break;
        case email_step::fail:
          conclude(self, job, {email_outcome::kind::failed, decision.reason});
          break;
      }
    });
}

void start_next(self_pointer self) {
  auto& state = self->state;
  while (!state.waiting.empty() && state.active < concurrent_mails) {
    auto job = std::move(state.waiting.front());
    state.waiting.pop_front();
    ++state.active;
    begin(self, job);
  }
}

job_runner_actor::behavior_type notifier(self_pointer self, engine_context_ptr context,
                                         workspace_actor supervisor) {
  self->state.context = std::move(context);
  self->state.supervisor = std::move(supervisor);
  return {
    [self](atom::job, const job_handout& handout) {
      auto& waiting = self->state.waiting;
      waiting.insert(waiting.end(), handout.jobs.begin(), handout.jobs.end());
      start_next(self);
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"notifier",
                          "running",
                          {{"active", std::to_string(state.active)},
                           {"waiting", std::to_string(state.waiting.size())},
                           {"sent_total", std::to_string(state.sent_total)}},
                          {}};
    },
    [](atom::run, const std::shared_ptr<std::function<void()>>& step) { (*step)(); },
  };
}

} // namespace

job_runner_actor spawn_notifier(caf::actor_system& system, engine_context_ptr context,
                                workspace_actor supervisor) {
  return system.spawn(notifier, std::move(context), std::move(supervisor));
}

} // namespace carillon
