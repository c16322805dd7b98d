#include "http/shared_reads.hpp"

#include "http/gates.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <tuple>
#include <utility>

namespace carillon::http {

namespace {

/// Bounds what one query holds in memory and how long its first waits for
/// its last.
constexpr std::size_t most_together = 64;
/// A round that runs is waited for, as the next then answers more with the
/// same statements; but no longer than it may take, and not by so many.
constexpr std::size_t enough_to_start = 16;
constexpr std::chrono::milliseconds usual_round{5};
/// Beyond its deadline, as for any other request.
constexpr std::chrono::seconds grace{1};
/// That fail, of one round. One culprit among 64 takes seven, two at most
/// thirteen; more than this is not the fault of a few.
constexpr int most_failed_attempts = 16;

failure read_crashed(const std::string& what) {
  return {errc::permanent, "exception: " + what, {}, {}};
}

/// What the gates say of a caller, not what keeps them from saying it.
bool is_verdict(const failure& f) {
  return f.code == errc::unauthorized || f.code == errc::forbidden || f.code == errc::not_found;
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

shared_reads::shared_reads(caf::actor_system& system, database_actor pool, shared_limits limits, refusal refuse)
  : system_(system), pool_(std::move(pool)), limits_(limits), refuse_(std::move(refuse)) {
}

void shared_reads::ask(const route& r, request req, presented_token token, server::respond respond,
                       std::chrono::milliseconds deadline) {
  const auto now = clock::now();
  auto one = std::make_shared<entry>();
  one->req = std::move(req);
  one->token = std::move(token);
  one->respond = std::move(respond);
  one->expires = now + deadline;
  entries late;
  lane* of = nullptr;
  bool room = false;
  std::optional<std::chrono::milliseconds> start;
  {
    std::lock_guard lock{mutex_};
    of = &lane_of(r);
    room = has_room(now, late);
    if (room) {
      of->waiting.push_back(one);
      if (wants_round(*of, now) && running_ < limits_.most_running)
        start = begin(*of, now);
    }
  }
  refuse_late(late);
  if (!room)
    refuse(one, {errc::transient, of->name + ": too many wait already", {}, std::chrono::seconds{1}});
  if (start)
    launch(*of, *start);
}

shared_reads::lane& shared_reads::lane_of(const route& r) {
  auto& of = lanes_[&r];
  if (!of.read.run) {
    of.name = r.method + " " + r.pattern;
    of.read = *r.shared;
  }
  return of;
}

/// Of all routes, as one may wait while only others have a round.
void shared_reads::take_late(clock::time_point now, entries& out) {
  for (auto& [_, of] : lanes_)
    while (!of.waiting.empty() && of.waiting.front()->expires <= now) {
      out.push_back(std::move(of.waiting.front()));
      of.waiting.pop_front();
    }
}

/// Those whose time has run out hold no place.
bool shared_reads::has_room(clock::time_point now, entries& late) {
  const auto waiting = [this] {
    std::size_t all = 0;
    for (const auto& [_, of] : lanes_)
      all += of.waiting.size();
    return all;
  };
  if (waiting() < limits_.most_waiting)
    return true;
  take_late(now, late);
  return waiting() < limits_.most_waiting;
}

bool shared_reads::wants_round(const lane& of, clock::time_point now) {
  return !of.waiting.empty()
         && (of.running == 0 || of.waiting.size() >= enough_to_start || now - of.launched >= usual_round);
}

/// Whose the place of the round that ended is; null: nobody's. One that may
/// have several goes on with them while it has work and nobody has fewer.
shared_reads::lane* shared_reads::next_lane(const lane& ended, clock::time_point now) {
  lane* best = nullptr;
  for (auto& [_, of] : lanes_) {
    const bool wants = &of == &ended ? !of.waiting.empty() : wants_round(of, now);
    if (wants && (!best || std::tie(of.running, of.launched) < std::tie(best->running, best->launched)))
      best = &of;
  }
  return best;
}

/// Counts one more round and says how long it may wait for its connection:
/// until the last of those who wait has no time left.
std::chrono::milliseconds shared_reads::begin(lane& of, clock::time_point now) {
  ++running_;
  ++of.running;
  of.launched = now;
  return std::max(std::chrono::milliseconds{1},
                  std::chrono::ceil<std::chrono::milliseconds>(of.waiting.back()->expires - now));
}

/// A round that begin() has counted.
void shared_reads::launch(lane& of, std::chrono::milliseconds timeout) {
  system_.spawn<caf::hidden>([me = shared_from_this(), &of, timeout](caf::event_based_actor* self) -> caf::behavior {
    auto taken = std::make_shared<entries>();
    ask_database<done>(
      self, me->pool_, of.name, timeout,
      [me, &of, taken](store& db) -> result<done> {
        me->answer_waiting(db, of, *taken);
        return done{};
      },
      [me, &of, taken, self](const result<done>& outcome) {
        me->on_end(of, *taken, outcome);
        self->quit();
      });
    self->delayed_send(self, usual_round, atom::tick_v);
    return {[me, &of, taken, self](atom::tick) {
      me->on_tick(of, *taken);
      self->delayed_send(self, grace, atom::tick_v);
    }};
  });
}

/// The round takes longer than usual: who waits for it need not wait on.
void shared_reads::on_tick(lane& of, const entries& taken) {
  entries late;
  std::optional<std::chrono::milliseconds> start;
  const auto now = clock::now();
  {
    std::lock_guard lock{mutex_};
    take_late(now, late);
    std::copy_if(taken.begin(), taken.end(), std::back_inserter(late),
                 [&](const auto& one) { return one->expires + grace <= now; });
    if (wants_round(of, now) && running_ < limits_.most_running)
      start = begin(of, now);
  }
  refuse_late(late);
  if (start)
    launch(of, *start);
}

/// In the round's own actor.
void shared_reads::on_end(lane& of, const entries& taken, const result<done>& outcome) {
  entries late;
  entries given_up;
  lane* next = nullptr;
  std::chrono::milliseconds timeout{0};
  {
    std::lock_guard lock{mutex_};
    const auto now = clock::now();
    --running_;
    --of.running;
    take_late(now, late);
    // One that waited too long for a connection took nobody, and who has time
    // left is for another.
    if (!outcome && outcome.error().code != errc::transient) {
      // The queue is full, or the pool hangs or has ended: a further round
      // would fare no better.
      given_up = taken;
      given_up.insert(given_up.end(), of.waiting.begin(), of.waiting.end());
      of.waiting.clear();
    }
    next = next_lane(of, now);
    if (next)
      timeout = begin(*next, now);
  }
  refuse_late(late);
  for (const auto& one : given_up) {
    auto why = outcome.error();
    // It concerns the server's load, not this caller's; and a read that was
    // not answered has changed nothing.
    if (why.code == errc::throttled || why.code == errc::outcome_unknown)
      why.code = errc::transient;
    refuse(one, std::move(why));
  }
  if (next)
    launch(*next, timeout);
}

/// On a database worker, as all below.
void shared_reads::answer_waiting(store& db, lane& of, entries& taken) {
  auto fresh = take(of);
  // Only this thread changes `taken`; whoever reads it meanwhile has the lock.
  {
    std::lock_guard lock{mutex_};
    taken = fresh;
  }
  failures none;
  answer_all(db, of, std::move(fresh), none);
}

shared_reads::entries shared_reads::take(lane& of) {
  entries out;
  entries late;
  const auto now = clock::now();
  {
    std::lock_guard lock{mutex_};
    while (!of.waiting.empty() && out.size() < most_together) {
      auto& list = of.waiting.front()->expires > now ? out : late;
      list.push_back(std::move(of.waiting.front()));
      of.waiting.pop_front();
    }
  }
  refuse_late(late);
  return out;
}

/// Together, or in halves where that fails.
void shared_reads::answer_all(store& db, const lane& of, entries some, failures& so_far) const {
  const auto now = clock::now();
  const auto late
    = std::stable_partition(some.begin(), some.end(), [&](const auto& one) { return one->expires > now; });
  refuse_late({late, some.end()});
  some.erase(late, some.end());
  std::erase_if(some, [](const auto& one) { return one->answered.load(); });
  if (some.empty())
    return;
  if (so_far.count < most_failed_attempts) {
    auto failed = attempt(db, of, some);
    if (!failed)
      return;
    ++so_far.count;
    so_far.last = std::move(*failed);
  }
  if (some.size() == 1 || so_far.count >= most_failed_attempts) {
    for (const auto& one : some)
      refuse(one, so_far.last);
    return;
  }
  const auto middle = some.begin() + std::ssize(some) / 2;
  answer_all(db, of, {some.begin(), middle}, so_far);
  answer_all(db, of, {middle, some.end()}, so_far);
}

/// Answers all, or says why some are not.
std::optional<failure> shared_reads::attempt(store& db, const lane& of, const entries& some) const {
  try {
    std::vector<presented_token> tokens;
    tokens.reserve(some.size());
    for (const auto& one : some)
      tokens.push_back(one->token);
    auto callers = identify(db, tokens);
    std::optional<failure> failed;
    std::vector<shared_call> calls;
    entries admitted;
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (callers[i]) {
        calls.push_back({some[i]->req, std::move(*callers[i])});
        admitted.push_back(some[i]);
      } else if (is_verdict(callers[i].error())) {
        refuse(some[i], std::move(callers[i]).error());
      } else {
        failed = std::move(callers[i]).error();
      }
    }
    if (calls.empty())
      return failed;
    auto answers = of.read.run(db, calls);
    if (!answers)
      return std::move(answers).error();
    for (std::size_t i = 0; i < admitted.size(); ++i)
      admitted[i]->answer(std::move(answers->at(i)));
    return failed;
  } catch (const std::exception& e) {
    return read_crashed(e.what());
  } catch (...) {
    return read_crashed("unknown");
  }
}

void shared_reads::refuse(const entry_ptr& one, failure why) const {
  if (!one->answered.load())
    one->answer(refuse_(one->req, why));
}

void shared_reads::refuse_late(const entries& late) const {
  for (const auto& one : late)
    refuse(one, {errc::cancelled, "waited too long for a shared read", {}, {}});
}

} // namespace carillon::http
