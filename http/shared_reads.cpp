#include "http/shared_reads.hpp"

#include "http/gates.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace carillon::http {

namespace {

/// Bounds what one query holds in memory and how long its first waits for
/// its last.
constexpr std::size_t most_together = 64;
/// A round that runs is waited for, as the next then answers more with the
/// same statements; but no longer than it may take, and not by so many. Some
/// of the pool is always left to others.
constexpr int most_running = 3;
constexpr std::size_t enough_to_start = 16;
constexpr std::chrono::milliseconds usual_round{5};

failure read_crashed(const std::string& what) {
  return {errc::permanent, "exception: " + what, {}, {}};
}

} // namespace

struct shared_reads::entry {
  request req;
  presented_token token;
  server::respond respond;
  clock::time_point expires;
  std::atomic<bool> answered{false};

  void answer(reply r) {
    if (!answered.exchange(true))
      respond(std::move(r));
  }
};

shared_reads::shared_reads(caf::actor_system& system, database_actor pool, std::string name, shared_read read,
                           refusal refuse)
  : system_(system), pool_(std::move(pool)), name_(std::move(name)), read_(std::move(read)),
    refuse_(std::move(refuse)) {
}

void shared_reads::ask(request req, presented_token token, server::respond respond,
                       std::chrono::milliseconds deadline) {
  auto one = std::make_shared<entry>();
  one->req = std::move(req);
  one->token = std::move(token);
  one->respond = std::move(respond);
  one->expires = clock::now() + deadline;
  {
    std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(one));
    const auto now = clock::now();
    const bool start = running_ == 0
                       || (running_ < most_running
                           && (waiting_.size() >= enough_to_start || now - launched_ > usual_round));
    if (!start)
      return;
    ++running_;
    launched_ = now;
  }
  launch(deadline);
}

/// One more round, already counted in running_.
void shared_reads::launch(std::chrono::milliseconds timeout) {
  system_.spawn<caf::hidden>([me = shared_from_this(), timeout](caf::event_based_actor* self) {
    auto taken = std::make_shared<entries>();
    ask_database<done>(
      self, me->pool_, me->name_, timeout,
      [me, taken](store& db) -> result<done> {
        me->answer_waiting(db, *taken);
        return done{};
      },
      [me, taken](const result<done>& outcome) { me->on_end(*taken, outcome); });
  });
}

/// On a database worker.
void shared_reads::answer_waiting(store& db, entries& taken) {
  // Only this thread changes `taken`; whoever reads it meanwhile has the lock.
  {
    auto fresh = take();
    std::lock_guard lock{mutex_};
    taken = std::move(fresh);
  }
  try {
    run(db, taken);
  } catch (const std::exception& e) {
    for (const auto& one : taken)
      refuse(one, read_crashed(e.what()));
  } catch (...) {
    for (const auto& one : taken)
      refuse(one, read_crashed("unknown"));
  }
}

shared_reads::entries shared_reads::take() {
  entries out;
  entries late;
  const auto now = clock::now();
  {
    std::lock_guard lock{mutex_};
    while (!waiting_.empty() && out.size() < most_together) {
      auto& list = waiting_.front()->expires > now ? out : late;
      list.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  for (const auto& one : late)
    refuse(one, {errc::cancelled, name_ + ": waited too long for a connection", {}, {}});
  return out;
}

void shared_reads::run(store& db, const entries& taken) {
  if (taken.empty())
    return;
  std::vector<presented_token> tokens;
  tokens.reserve(taken.size());
  for (const auto& one : taken)
    tokens.push_back(one->token);
  auto callers = identify(db, tokens);
  std::vector<shared_call> calls;
  entries admitted;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (!callers[i]) {
      refuse(taken[i], std::move(callers[i]).error());
      continue;
    }
    calls.push_back({taken[i]->req, std::move(*callers[i])});
    admitted.push_back(taken[i]);
  }
  if (calls.empty())
    return;
  auto answers = read_.run(db, calls);
  for (std::size_t i = 0; i < admitted.size(); ++i) {
    if (!answers)
      refuse(admitted[i], answers.error());
    else
      admitted[i]->answer(std::move(answers->at(i)));
  }
}

/// In the round's own actor.
void shared_reads::on_end(entries& taken, const result<done>& outcome) {
  entries given_up;
  bool more = false;
  std::chrono::milliseconds timeout{0};
  {
    std::lock_guard lock{mutex_};
    if (!outcome) {
      // The queue is full, or the pool hangs or has ended: a further round
      // would fare no better.
      given_up = taken;
      given_up.insert(given_up.end(), waiting_.begin(), waiting_.end());
      waiting_.clear();
    }
    more = !waiting_.empty();
    launched_ = clock::now();
    if (more)
      timeout = std::max(std::chrono::milliseconds{1}, std::chrono::ceil<std::chrono::milliseconds>(
                                                         waiting_.front()->expires - clock::now()));
    else
      --running_;
  }
  for (const auto& one : given_up) {
    auto why = outcome.error();
    // It concerns the server's load, not this caller's; and a read that was
    // not answered has changed nothing.
    if (why.code == errc::throttled || why.code == errc::outcome_unknown)
      why.code = errc::transient;
    refuse(one, std::move(why));
  }
  if (more)
    launch(timeout);
}

void shared_reads::refuse(const entry_ptr& one, failure why) const {
  if (!one->answered.load())
    one->answer(refuse_(one->req, why));
}

} // namespace carillon::http
