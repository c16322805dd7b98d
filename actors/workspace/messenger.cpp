#include "actors/workspace/messenger.hpp"

#include <algorithm>
#include <deque>

#include "domain/ports/push_store.hpp"
#include "domain/ports/sms_store.hpp"
#include "domain/sms_text.hpp"

namespace carillon {

namespace {

using std::chrono::milliseconds;

/// Jobs that one workspace has under way at a time: as many as the feed hands
/// out, so that none waits here while its own time runs. What the outside is
/// spared is decided there, by the limits of its loop.
constexpr int concurrent_jobs = 64;
constexpr milliseconds retry_write_after{500};
constexpr int most_writes = 60;
constexpr milliseconds database_was_away{1'000};

struct messenger_state {
  static inline const char* name = "carillon.messenger";

  engine_context_ptr context;
  workspace_actor supervisor;
  int active = 0;
  std::deque<running_job_ptr> waiting;
  std::uint64_t pushed_total = 0;
  std::uint64_t texted_total = 0;
};

using self_pointer = job_runner_actor::stateful_pointer<messenger_state>;

void start_next(self_pointer self);

void finish(self_pointer self, const running_job_ptr& job, job_report::kind how, std::string error = {},
            std::optional<milliseconds> delay = {}, bool dependency_failed = false) {
  auto said = report_of(*job, how, std::move(error), delay);
  said.dependency_failed = dependency_failed;
  self->send(self->state.supervisor, atom::conclude_v, run_reports{{std::move(said)}});
  --self->state.active;
  start_next(self);
}

bool is_last_try(const running_job_ptr& job) {
  return job->work().attempt + 1 >= job->work().max_attempts;
}

/// The next try may help. Of a push, sending again what may have arrived is
/// harmless: its topic is the same.
bool is_worth_another_try(errc code) {
  return code == errc::transient || code == errc::throttled || code == errc::outcome_unknown
         || code == errc::cancelled;
}

/// Before anything was sent: the database did not answer as it should.
void report_unready(self_pointer self, const running_job_ptr& job, const failure& why) {
  if (why.code == errc::not_found)
    finish(self, job, job_report::kind::succeeded);
  else if (why.code == errc::invalid_argument)
    finish(self, job, job_report::kind::discarded, why.detail);
  else
    finish(self, job, job_report::kind::postponed, why.detail, database_was_away);
}

/// Runs `write(store&) -> result<done>` and then `after()`; keeps trying, so
/// that what left is not sent again for a moment's trouble with the database.
template <class Write, class After>
void write_down(self_pointer self, const running_job_ptr& job, Write write, After after, int tries = 0) {
  auto& context = *self->state.context;
  ask_database<done>(self, context.databases.background, "conclude-message", context.settings.database_timeout, write,
                     [self, job, write, after, tries](result<done> written) {
                       if (written) {
                         after();
                       } else if (written.error().code == errc::cancelled) {
                         finish(self, job, job_report::kind::concluded);
                       } else if (tries < most_writes) {
                         self->delayed_send(self, retry_write_after, atom::run_v,
                                            std::make_shared<std::function<void()>>(
                                              [=] { write_down(self, job, write, after, tries + 1); }));
                       } else {
                         finish(self, job, job_report::kind::retry, written.error().detail);
                       }
                     });
}

/// Brings what an outside call answered back to the actor.
template <class T, class Then>
std::function<void(result<T>)> back_to(self_pointer self, Then then) {
  return [handle = job_runner_actor{self}, then = std::move(then)](result<T> answer) {
    caf::anon_send(handle, atom::run_v,
                   std::make_shared<std::function<void()>>(
                     [then, answer = std::move(answer)]() mutable { then(std::move(answer)); }));
  };
}

// -- push ---------------------------------------------------------------------

/// One try: what each push service said.
struct push_try {
  push_order order;
  std::vector<push_receipt> receipts;
  std::size_t open = 0;
  std::string first_error;
  bool again = false;
  std::optional<milliseconds> wait;
};
using push_try_ptr = std::shared_ptr<push_try>;

void conclude_push(self_pointer self, const running_job_ptr& job, std::vector<push_receipt> receipts,
                   delivery_outcome outcome) {
  if (outcome.how == delivery_outcome::kind::sent)
    ++self->state.pushed_total;
  write_down(
    self, job,
    [job, receipts = std::move(receipts), outcome = std::move(outcome)](store& db) {
      return db.pushes().conclude(job->owner, job->work(), receipts, outcome);
    },
    [self, job] { finish(self, job, job_report::kind::concluded); });
}

delivery_outcome outcome_of(const push_try& t) {
  using kind = delivery_outcome::kind;
  const auto any = [&](push_receipt::kind how) {
    return std::any_of(t.receipts.begin(), t.receipts.end(), [how](const auto& r) { return r.how == how; });
  };
  if (t.order.had_one || any(push_receipt::kind::taken))
    return {kind::sent, {}};
  if (any(push_receipt::kind::failed))
    return {kind::failed, t.first_error};
  return {kind::skipped, "every subscription had ended"};
}

void all_answered(self_pointer self, const running_job_ptr& job, const push_try_ptr& t) {
  if (!t->again || is_last_try(job)) {
    conclude_push(self, job, std::move(t->receipts), outcome_of(*t));
    return;
  }
  // Those that failed are tried again and counted when that has ended.
  std::erase_if(t->receipts, [](const auto& r) { return r.how == push_receipt::kind::failed; });
  const auto retry = [self, job, t] { finish(self, job, job_report::kind::retry, t->first_error, t->wait); };
  if (t->receipts.empty()) {
    retry();
    return;
  }
  write_down(
    self, job,
    [job, t](store& db) { return db.pushes().record_receipts(job->owner, job->work(), t->receipts); }, retry);
}

void push_answered(self_pointer self, const running_job_ptr& job, const push_try_ptr& t, push_subscription_id id,
                   const result<done>& sent) {
  push_receipt receipt{id, push_receipt::kind::taken, {}};
  if (!sent) {
    const auto& why = sent.error();
    receipt.how = why.code == errc::not_found ? push_receipt::kind::gone : push_receipt::kind::failed;
    receipt.error = why.detail;
    if (receipt.how == push_receipt::kind::failed && t->first_error.empty())
      t->first_error = why.detail;
    if (is_worth_another_try(why.code)) {
      t->again = true;
      if (why.retry_after)
        t->wait = std::max(t->wait.value_or(milliseconds{0}), *why.retry_after);
    }
  }
  t->receipts.push_back(std::move(receipt));
  if (--t->open == 0)
    all_answered(self, job, t);
}

void send_push(self_pointer self, const running_job_ptr& job, push_order order) {
  const auto t = std::make_shared<push_try>();
  t->order = std::move(order);
  t->open = t->order.targets.size();
  push_message what;
  what.notification_id = to_string(t->order.item.id);
  what.type = to_string(t->order.item.type);
  what.title = t->order.item.title;
  what.message = t->order.item.message;
  what.action_url = t->order.item.action_url;
  what.urgent = is_urgent(t->order.item.type);
  for (const auto& target : t->order.targets)
    self->state.context->push->send(target.address, what,
                                    back_to<done>(self, [self, job, t, id = target.id](result<done> sent) {
                                      push_answered(self, job, t, id, sent);
                                    }));
}

void begin_push(self_pointer self, const running_job_ptr& job) {
  auto& context = *self->state.context;
  ask_database<push_order>(
    self, context.databases.background, "load-push", context.settings.database_timeout,
    [job](store& db) { return db.pushes().load_order(job->work()); },
    [self, job](result<push_order> order) {
      if (!order)
        report_unready(self, job, order.error());
      else if (order->settled)
        conclude_push(self, job, {}, *order->settled);
      else if (!self->state.context->push)
        conclude_push(self, job, {}, {delivery_outcome::kind::skipped, "push is not set up"});
      else
        send_push(self, job, std::move(*order));
    });
}

// -- SMS ----------------------------------------------------------------------

void conclude_sms(self_pointer self, const running_job_ptr& job, delivery_outcome outcome,
                  std::string provider_id = {}) {
  if (outcome.how == delivery_outcome::kind::sent)
    ++self->state.texted_total;
  write_down(
    self, job,
    [job, outcome = std::move(outcome), provider_id = std::move(provider_id)](store& db) {
      return db.texts().conclude(job->owner, job->work(), outcome, provider_id);
    },
    [self, job] { finish(self, job, job_report::kind::concluded); });
}

void sms_answered(self_pointer self, const running_job_ptr& job, const result<std::string>& sent) {
  using kind = delivery_outcome::kind;
  if (sent) {
    conclude_sms(self, job, {kind::sent, {}}, *sent);
    return;
  }
  const auto& why = sent.error();
  const bool not_sent = why.code == errc::transient || why.code == errc::throttled || why.code == errc::cancelled;
  if (!not_sent || is_last_try(job)) {
    const auto* doubt = why.code == errc::outcome_unknown ? "the text may have been sent: " : "";
    conclude_sms(self, job, {kind::failed, doubt + why.detail});
    return;
  }
  write_down(
    self, job, [job](store& db) { return db.texts().close_call(job->owner, job->work()); },
    [self, job, why] { finish(self, job, job_report::kind::retry, why.detail, why.retry_after, true); });
}

void begin_sms(self_pointer self, const running_job_ptr& job) {
  auto& context = *self->state.context;
  if (!context.sms) {
    conclude_sms(self, job, {delivery_outcome::kind::skipped, "no SMS provider is configured"});
    return;
  }
  ask_database<sms_order>(
    self, context.databases.background, "open-sms-call", context.settings.database_timeout,
    [job, cap = context.settings.sms_daily_cap](store& db) {
      return db.texts().open_call(job->owner, job->work(), cap);
    },
    [self, job](result<sms_order> order) {
      if (!order && order.error().code == errc::cancelled) {
        finish(self, job, job_report::kind::concluded);
      } else if (!order) {
        report_unready(self, job, order.error());
      } else if (order->settled) {
        conclude_sms(self, job, *order->settled);
      } else {
        auto& context = *self->state.context;
        const auto& item = order->item;
        const auto url = item.action_url.empty() ? std::string{} : context.settings.frontend_url + item.action_url;
        context.sms->send({order->phone,
                           sms_text(item.title, item.message, url, context.settings.sms_max_characters),
                           to_string(item.id)},
                          back_to<std::string>(self, [self, job](result<std::string> sent) {
                            sms_answered(self, job, sent);
                          }));
      }
    });
}

// -- the actor ------------------------------------------------------------------

void start_next(self_pointer self) {
  auto& state = self->state;
  while (!state.waiting.empty() && state.active < concurrent_jobs) {
    auto job = std::move(state.waiting.front());
    state.waiting.pop_front();
    ++state.active;
    if (job->work().kind == kinds::send_notification_sms)
      begin_sms(self, job);
    else
      begin_push(self, job);
  }
}

job_runner_actor::behavior_type messenger(self_pointer self, engine_context_ptr context, workspace_actor supervisor) {
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
      return actor_report{"messenger",
                          "running",
                          {{"active", std::to_string(state.active)},
                           {"waiting", std::to_string(state.waiting.size())},
                           {"pushed_total", std::to_string(state.pushed_total)},
                           {"texted_total", std::to_string(state.texted_total)}},
                          {}};
    },
    [](atom::run, const std::shared_ptr<std::function<void()>>& step) { (*step)(); },
  };
}

} // namespace

job_runner_actor spawn_messenger(caf::actor_system& system, engine_context_ptr context, workspace_actor supervisor) {
  return system.spawn(messenger, std::move(context), std::move(supervisor));
}

} // namespace carillon
