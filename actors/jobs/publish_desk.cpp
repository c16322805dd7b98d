#include "actors/jobs/publish_desk.hpp"

#include <algorithm>
#include <deque>
#include <vector>

namespace carillon {

namespace {

/// Orders that one transaction carries out.
constexpr std::size_t most_together = 64;
/// Transactions of each kind at once: what comes meanwhile shares the next one,
/// so they are the larger the longer the database takes.
constexpr int most_running = 2;
/// Of one batch, of what passes by itself: one to blame among 64 takes seven,
/// two at most thirteen; more than this is not the fault of a few. What does not
/// pass is found however many there are, so that nobody answers for another.
constexpr int most_passing_failures = 16;

template <class Order>
struct desk_entry {
  std::shared_ptr<Order> order;
  caf::typed_response_promise<atom::done> promise;

  void refuse(failure why) {
    order->answer = std::move(why);
    promise.deliver(atom::done_v);
  }
};

template <class Order>
using desk_batch = std::vector<desk_entry<Order>>;

template <class Order>
struct desk_lane {
  std::deque<desk_entry<Order>> waiting;
  int running = 0;

  ~desk_lane() {
    for (auto& one : waiting)
      one.refuse({errc::cancelled, "the publish desk has ended", {}, {}});
  }
};

/// One batch, and what it was divided into because it failed.
template <class Order>
struct desk_round {
  desk_batch<Order> current; ///< Its transaction runs.
  std::vector<desk_batch<Order>> parts; ///< The last one is next.
  int passing_failures = 0;

  ~desk_round() {
    for (auto& one : current)
      one.refuse({errc::outcome_unknown, "the publish desk has ended", {}, {}});
    for (auto& part : parts)
      for (auto& one : part)
        one.refuse({errc::cancelled, "the publish desk has ended", {}, {}});
  }
};
template <class Order>
using desk_round_ptr = std::shared_ptr<desk_round<Order>>;

struct publish_desk_state {
  static inline const char* name = "carillon.publish_desk";

  engine_context_ptr context;
  job_feed_actor feed;
  desk_lane<plan_order> plans;
  desk_lane<record_order> records;
  bool flush_pending = false;
  std::uint64_t transactions_total = 0;
  std::uint64_t orders_total = 0;

  auto& lane_of(const plan_order*) {
    return plans;
  }
  auto& lane_of(const record_order*) {
    return records;
  }
};

using self_pointer = publish_desk_actor::stateful_pointer<publish_desk_state>;

template <class Order>
desk_lane<Order>& lane_of(self_pointer self) {
  return self->state.lane_of(static_cast<const Order*>(nullptr));
}

template <class Order>
const node_identity& owner_of(const desk_batch<Order>& batch) {
  return batch.front().order->job->owner;
}

/// As long as the last of them may still be begun: one that waited long takes
/// no time away from the others.
template <class Order>
std::chrono::milliseconds time_left(const desk_batch<Order>& batch) {
  auto last = batch.front().order->expires;
  for (const auto& one : batch)
    last = std::max(last, one.order->expires);
  return std::chrono::ceil<std::chrono::milliseconds>(last - std::chrono::steady_clock::now());
}

template <class Order>
bool refuse_late(desk_entry<Order>& one) {
  if (one.order->expires > std::chrono::steady_clock::now())
    return false;
  one.refuse({errc::transient, "waited too long for a transaction", {}, {}});
  return true;
}

/// Perhaps nobody's fault: trouble that the database has.
bool is_passing_trouble(const failure& why) {
  return why.code == errc::transient || why.code == errc::throttled;
}

using plan_answers = std::vector<publish_plan>;

template <class Then>
void carry_out(self_pointer self, const desk_batch<plan_order>& batch, Then then) {
  std::vector<running_job_ptr> jobs;
  std::chrono::milliseconds call_timeout{0};
  for (const auto& one : batch) {
    jobs.push_back(one.order->job);
    call_timeout = std::max(call_timeout, one.order->call_timeout);
  }
  ask_database<plan_answers>(
    self, self->state.context->databases.background, "plan-publishing", time_left(batch),
    [jobs = std::move(jobs), call_timeout, &rules = self->state.context->settings.publishing](store& db) {
      std::vector<const job*> works;
      for (const auto& one : jobs)
        works.push_back(&one->work());
      return db.publishing().plan(jobs.front()->owner, works, rules, call_timeout);
    },
    std::move(then), db_lane::urgent);
}

/// What was committed has made jobs. The desk says so, since a publisher may
/// have ended meanwhile.
void pass_on_hints(self_pointer self, bool any) {
  if (any)
    self->send(self->state.feed, atom::hint_v, std::int64_t{0});
}

void fill_in(self_pointer self, desk_batch<plan_order>& batch, plan_answers answers) {
  pass_on_hints(self, std::any_of(answers.begin(), answers.end(),
                                  [](const publish_plan& plan) { return !plan.after_commit.empty(); }));
  for (std::size_t i = 0; i < batch.size(); ++i)
    batch[i].order->answer = std::move(answers.at(i));
}

template <class Then>
void carry_out(self_pointer self, const desk_batch<record_order>& batch, Then then) {
  std::vector<record_order_ptr> orders;
  for (const auto& one : batch)
    orders.push_back(one.order);
  ask_database<recorded_outcomes>(
    self, self->state.context->databases.background, "record-outcomes", time_left(batch),
    [orders = std::move(orders), &rules = self->state.context->settings.publishing](store& db) {
      std::vector<call_outcome> outcomes;
      for (const auto& one : orders)
        outcomes.push_back({&one->job->work(), one->attempt, one->said.get(), one->latency});
      return db.publishing().record(orders.front()->job->owner, outcomes, rules);
    },
    std::move(then));
}

void fill_in(self_pointer self, desk_batch<record_order>& batch, const recorded_outcomes& answers) {
  pass_on_hints(self, !answers.after_commit.empty());
  for (std::size_t i = 0; i < batch.size(); ++i)
    batch[i].order->answer = answers.settled.at(i);
}

template <class Order>
void work(self_pointer self);

template <class Order>
void next_part(self_pointer self, const desk_round_ptr<Order>& round) {
  while (round->current.empty() && !round->parts.empty()) {
    round->current = std::move(round->parts.back());
    round->parts.pop_back();
    std::erase_if(round->current, [](auto& one) { return refuse_late(one); });
  }
  if (round->current.empty()) {
    --lane_of<Order>(self).running;
    work<Order>(self);
    return;
  }
  ++self->state.transactions_total;
  carry_out(self, round->current, [self, round](auto outcome) {
    auto part = std::exchange(round->current, {});
    if (outcome) {
      fill_in(self, part, std::move(*outcome));
      for (auto& one : part)
        one.promise.deliver(atom::done_v);
    } else if (const auto& why = outcome.error();
               part.size() > 1 && why.code != errc::outcome_unknown && why.code != errc::cancelled
               && (!is_passing_trouble(why) || ++round->passing_failures <= most_passing_failures)) {
      const auto middle = part.begin() + std::ssize(part) / 2;
      round->parts.emplace_back(std::make_move_iterator(middle), std::make_move_iterator(part.end()));
      round->parts.emplace_back(std::make_move_iterator(part.begin()), std::make_move_iterator(middle));
    } else {
      for (auto& one : part)
        one.refuse(why);
    }
    next_part(self, round);
  });
}

/// The longest that waited, of one life of this node; who waited too long gets
/// no place.
template <class Order>
desk_batch<Order> take(desk_lane<Order>& lane) {
  desk_batch<Order> out;
  while (!lane.waiting.empty() && out.size() < most_together) {
    auto& next = lane.waiting.front();
    if (!refuse_late(next)) {
      if (!out.empty() && next.order->job->owner.incarnation != owner_of(out).incarnation)
        break;
      out.push_back(std::move(next));
    }
    lane.waiting.pop_front();
  }
  return out;
}

template <class Order>
void work(self_pointer self) {
  auto& lane = lane_of<Order>(self);
  while (lane.running < most_running) {
    auto batch = take(lane);
    if (batch.empty())
      return;
    self->state.orders_total += batch.size();
    ++lane.running;
    auto round = std::make_shared<desk_round<Order>>();
    round->parts.push_back(std::move(batch));
    next_part(self, round);
  }
}

template <class Order>
caf::typed_response_promise<atom::done> accept(self_pointer self, const std::shared_ptr<Order>& order) {
  auto promise = self->make_response_promise<atom::done>();
  lane_of<Order>(self).waiting.push_back({order, promise});
  // After what lies in the mailbox already, so that it goes along.
  if (!std::exchange(self->state.flush_pending, true))
    self->send(self, atom::flush_v);
  return promise;
}

publish_desk_actor::behavior_type publish_desk(self_pointer self, engine_context_ptr context, job_feed_actor feed) {
  self->state.context = std::move(context);
  self->state.feed = std::move(feed);
  return {
    [self](atom::run, const plan_order_ptr& order) -> caf::result<atom::done> { return accept(self, order); },
    [self](atom::run, const record_order_ptr& order) -> caf::result<atom::done> { return accept(self, order); },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"publish_desk",
                          "running",
                          {{"plans_waiting", std::to_string(state.plans.waiting.size())},
                           {"outcomes_waiting", std::to_string(state.records.waiting.size())},
                           {"transactions_total", std::to_string(state.transactions_total)},
                           {"orders_total", std::to_string(state.orders_total)},
                           {"mailbox", std::to_string(mailbox_depth(self))}},
                          {}};
    },
    [self](atom::flush) {
      self->state.flush_pending = false;
      work<plan_order>(self);
      work<record_order>(self);
    },
  };
}

} // namespace

publish_desk_actor spawn_publish_desk(caf::actor_system& system, engine_context_ptr context, job_feed_actor feed) {
  return system.spawn(publish_desk, std::move(context), std::move(feed));
}

} // namespace carillon
