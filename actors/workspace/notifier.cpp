#include "actors/workspace/notifier.hpp"

#include <algorithm>
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

using write = std::function<result<done>(store&)>;

/// Records and concludes in one transaction; keeps trying, so that a mail
/// that left is not sent again for a moment's trouble with the database.
void conclude(self_pointer self, const running_job_ptr& job, write record, int tries = 0) {
  auto& state = self->state;
  ask_database<done>(
    self, state.context->databases.background, "conclude-email", state.context->settings.database_timeout, record,
    [self, job, record, tries](result<done> concluded) {
      if (concluded || concluded.error().code == errc::cancelled) {
        finish(self, job, job_report::kind::concluded);
        return;
      }
      if (tries < 60) {
        self->delayed_send(self, retry_write_after, atom::run_v,
                           std::make_shared<std::function<void()>>(
                             [=] { conclude(self, job, record, tries + 1); }));
        return;
      }
      finish(self, job, job_report::kind::retry, concluded.error().detail);
    });
}

void conclude_mail(self_pointer self, const running_job_ptr& job, email_outcome outcome) {
  conclude(self, job, [job, outcome = std::move(outcome)](store& db) {
    return db.deliveries().conclude_email(job->owner, job->work(), outcome);
  });
}

void conclude_digest(self_pointer self, const running_job_ptr& job, const std::shared_ptr<const digest_order>& digest,
                     email_outcome outcome) {
  conclude(self, job, [job, digest, outcome = std::move(outcome)](store& db) {
    return db.deliveries().conclude_digest(job->owner, job->work(), *digest, outcome);
  });
}

bool refuses_the_address(const failure& why) {
  return std::any_of(why.fields.begin(), why.fields.end(), [](const auto& f) { return f.field == "to_address"; });
}

/// Sends, then ends the job by `then` or reports a try to be repeated.
void send_letter(self_pointer self, const running_job_ptr& job, const notification_mail& letter,
                 std::function<void(email_outcome)> then) {
  auto& context = *self->state.context;
  auto answered = [self, job, address = letter.recipient_address, then = std::move(then)](const result<done>& sent) {
    if (sent) {
      ++self->state.sent_total;
      then({email_outcome::kind::sent, {}});
      return;
    }
    const auto& why = sent.error();
    const bool last = job->work().attempt + 1 >= job->work().max_attempts;
    // A mail whose fate is unknown is sent again with the same Message-ID.
    if (why.code == errc::permanent || why.code == errc::invalid_argument || last)
      then({email_outcome::kind::failed, why.detail, refuses_the_address(why) ? address : std::string{}});
    else
      finish(self, job, job_report::kind::retry, why.detail, why.retry_after, true);
  };
  context.mail->send(context.mail_templates->render(letter),
                     [handle = job_runner_actor{self}, answered = std::move(answered)](result<done> sent) {
                       caf::anon_send(handle, atom::run_v,
                                      std::make_shared<std::function<void()>>(
                                        [answered, sent = std::move(sent)] { answered(sent); }));
                     });
}

std::string link_to(const engine_context& context, const std::string& action_url) {
  return action_url.empty() ? std::string{} : context.settings.frontend_url + action_url;
}

void send_mail(self_pointer self, const running_job_ptr& job, const notification_email& mail) {
  const auto& context = *self->state.context;
  notification_mail letter;
  letter.recipient_name = mail.recipient_name;
  letter.recipient_address = mail.recipient_address;
  letter.notification_id = to_string(mail.item.id);
  letter.title = mail.item.title;
  letter.message = mail.item.message;
  letter.action_url = link_to(context, mail.item.action_url);
  letter.urgent = is_urgent(mail.item.type);
  letter.date = mail.item.created_at;
  letter.type = to_string(mail.item.type);
  letter.language = mail.language;
  if (context.unsubscribe_url && !overrides_opt_out(mail.item.type))
    letter.unsubscribe_url = context.unsubscribe_url(mail.item.tenant, mail.item.user, letter.type);
  send_letter(self, job, letter, [self, job](email_outcome outcome) { conclude_mail(self, job, std::move(outcome)); });
}

void send_digest(self_pointer self, const running_job_ptr& job, const std::shared_ptr<const digest_order>& digest) {
  const auto& context = *self->state.context;
  notification_mail letter;
  letter.recipient_name = digest->recipient_name;
  letter.recipient_address = digest->recipient_address;
  letter.notification_id = to_string(digest->id);
  letter.date = digest->composed_at;
  letter.type = "digest";
  letter.language = digest->language;
  letter.category = to_string(digest->category);
  letter.entry_count = digest->count;
  for (const auto& item : digest->items)
    letter.entries.push_back({item.title, item.message, link_to(context, item.action_url), is_urgent(item.type),
                              item.created_at});
  if (context.unsubscribe_url && !digest->items.empty())
    letter.unsubscribe_url = context.unsubscribe_url(job->work().tenant, digest->items.front().user, letter.category);
  send_letter(self, job, letter, [self, job, digest](email_outcome outcome) {
    conclude_digest(self, job, digest, std::move(outcome));
  });
}

/// What a job is that could not even be read.
void give_up(self_pointer self, const running_job_ptr& job, const failure& why) {
  if (why.code == errc::not_found)
    finish(self, job, job_report::kind::succeeded);
  else if (why.code == errc::cancelled)
    finish(self, job, job_report::kind::concluded);
  else if (why.code == errc::invalid_argument)
    finish(self, job, job_report::kind::discarded, why.detail);
  else
    finish(self, job, job_report::kind::postponed, why.detail, std::chrono::milliseconds{1'000});
}

/// Quiet hours have begun since the mail was queued, or it is tried again in
/// them: no try is used up.
void defer_mail(self_pointer self, const running_job_ptr& job, const email_decision& decision) {
  auto& state = self->state;
  const auto until = decision.until.value_or(instant{});
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
    until - std::chrono::time_point_cast<instant::duration>(std::chrono::system_clock::now()));
  ask_database<done>(
    self, state.context->databases.background, "note-deferral", state.context->settings.database_timeout,
    [job, until, reason = decision.reason](store& db) { return db.deliveries().note_deferral(job->work(), until, reason); },
    [self, job, wait, reason = decision.reason](const result<done>&) {
      finish(self, job, job_report::kind::postponed, reason, std::max(wait, std::chrono::milliseconds{1'000}));
    });
}

void begin_digest(self_pointer self, const running_job_ptr& job) {
  auto& state = self->state;
  ask_database<digest_order>(
    self, state.context->databases.background, "begin-digest", state.context->settings.database_timeout,
    [job](store& db) { return db.deliveries().begin_digest(job->owner, job->work()); },
    [self, job](result<digest_order> order) {
      if (!order) {
        give_up(self, job, order.error());
        return;
      }
      const auto digest = std::make_shared<const digest_order>(std::move(*order));
      if (digest->id.is_nil())
        conclude_digest(self, job, digest, {email_outcome::kind::skipped, "nothing waits"});
      else if (digest->recipient_address.empty())
        conclude_digest(self, job, digest, {email_outcome::kind::skipped, "no e-mail address"});
      else if (!digest->obstacle.empty())
        conclude_digest(self, job, digest, {email_outcome::kind::skipped, digest->obstacle});
      else
        send_digest(self, job, digest);
    });
}

void begin(self_pointer self, const running_job_ptr& job) {
  if (job->work().kind == kinds::send_notification_digest) {
    begin_digest(self, job);
    return;
  }
  auto& state = self->state;
  ask_database<email_order>(
    self, state.context->databases.background, "begin-email", state.context->settings.database_timeout,
    [job](store& db) { return db.deliveries().begin_email(job->work()); },
    [self, job](result<email_order> order) {
      if (!order) {
        give_up(self, job, order.error());
        return;
      }
      const auto& decision = order->decision;
      switch (decision.step) {
        case email_step::send:
          send_mail(self, job, order->mail);
          break;
        case email_step::already_sent:
          finish(self, job, job_report::kind::succeeded);
          break;
        case email_step::defer:
          defer_mail(self, job, decision);
          break;
        case email_step::skip:
          conclude_mail(self, job, {email_outcome::kind::skipped, decision.reason});
          break;
        case email_step::fail:
          conclude_mail(self, job, {email_outcome::kind::failed, decision.reason});
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
