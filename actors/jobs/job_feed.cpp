#include "actors/jobs/job_feed.hpp"

#include <array>
#include <bitset>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "actors/id_map.hpp"
#include "actors/jobs/ready_queue.hpp"
#include "actors/protocol/ownership.hpp"
#include "actors/protocol/region.hpp"
#include "actors/timer.hpp"
#include "domain/ports/delivery_store.hpp"
#include "domain/ports/push_store.hpp"
#include "domain/ports/sms_store.hpp"

namespace carillon {

namespace {

using time_point = caf::actor_clock::time_point;
using std::chrono::milliseconds;

/// How far behind its cursor a read begins: rows become visible when their
/// transaction commits, which is later than the run_at they got.
constexpr milliseconds look_back{250};
constexpr milliseconds sweep_look_back{5'000};
constexpr milliseconds everything = milliseconds::max();
constexpr milliseconds full_read_every{30'000};
/// A hint that names a workspace is acted on at once, by a read of this
/// workspace alone beside whatever the common reads are at; unless it has so
/// much in hand already that it waits for its own, or so many were named that
/// the common read is the shorter way.
constexpr std::size_t enough_in_hand = 16;
constexpr std::size_t most_hinted = 64;
/// Reads that begin further behind may walk over much that was deleted, when
/// an old snapshot keeps it in the indexes: then they take at most a twentieth
/// of the time.
constexpr int backward_share = 20;
/// But a sweep begins before the time that the next one looks back to is over.
constexpr milliseconds longest_sweep_pause = sweep_look_back - milliseconds{2'000};
constexpr milliseconds longest_full_pause{60'000};
/// A read at a hint also meets what is in hand already. With little in hand
/// each hint is acted on at once; with more, those of a burst share their
/// reads, and reading takes at most a fifth of the time, with much in hand a
/// twentieth.
constexpr std::size_t little_in_hand = 32;
constexpr std::size_t much_in_hand = 512;
constexpr milliseconds read_spacing{10};
/// A hint of the feed to itself: the read that was put off.
constexpr std::int64_t put_off = -1;
constexpr milliseconds controls_every{10'000};
constexpr milliseconds blocks_every{1'000};
constexpr std::chrono::hours history_every{1};
/// Its owner looks after the history that all share.
constexpr shard_id history_shard = 0;
constexpr milliseconds conclude_retry{500};
constexpr milliseconds adopt_retry{1'000};
/// While one conclusion waits for the disk another may begin, if there is
/// enough to conclude.
constexpr int most_conclusions = 2;
/// So many suspects are in hand at a time: should one of them kill this node
/// as well, not many are left that have to run alone.
constexpr int most_suspects = 128;
/// Room between a kind's own timeout and the moment the feed stops believing
/// that its runner is alive.
constexpr std::chrono::seconds runner_grace{5};

struct job_in_hand {
  std::shared_ptr<const job> work;
  std::int64_t batch = 0;
  /// Zero while it waits in the queue.
  std::int64_t run = 0;
  time_point started{};
  time_point give_up_at{};
  /// Reported; waits for the transaction that writes it.
  bool reported = false;
};

enum class read_kind { next, sweep, full };

/// A workspace that has more due than its share: left out of the common read.
struct parked_workspace {
  /// Where its reads go on.
  due_cursors cursors{};
  /// The furthest that reads looked back since one of its own did.
  read_kind owed = read_kind::next;
  /// It was parked, or its cursors were reset, since the last common read
  /// began: what that one answers of it is void.
  bool is_new = true;
};

struct job_feed_state {
  static inline const char* name = "carillon.job_feed";

  engine_context_ptr context;
  region_actor region;
  std::optional<node_identity> me;
  std::bitset<shard_count> owned;
  /// Gained, and not yet owned: the taking-over that will make it so; 0: none.
  std::array<std::uint64_t, shard_count> adopting{};
  std::uint64_t adoptions = 0;
  /// Of these, those whose adoption failed.
  std::bitset<shard_count> adopt_again;
  time_point adopt_again_at{};

  ready_queue queue;
  id_map<job_id, job_in_hand> in_hand;
  std::map<std::int64_t, std::size_t> open_batches;
  std::int64_t next_run = 1;
  std::size_t running = 0;

  /// Suspected of killing nodes: the strongly suspected one runs with nothing
  /// else in hand.
  std::shared_ptr<const job> suspect;
  int suspects = 0;
  bool suspects_left = false;
  /// The suspect that is running.
  std::optional<job_id> alone;
  /// It has ended; when it began.
  std::optional<time_point> alone_since;
  /// Until then others have their turn, if there are any: they are looked for
  /// first.
  time_point next_alone{};
  bool looked_for_others = false;

  std::vector<job_report> reports;
  /// By batch, how many of its jobs these are.
  std::map<std::int64_t, std::size_t> reported;
  std::vector<std::int64_t> finished;
  bool flush_pending = false;
  /// Conclusions under way.
  int concluding = 0;
  /// One of them is not of successes alone.
  bool concluding_failures = false;
  /// Nothing is concluded until a moment later.
  bool conclude_failed = false;

  std::shared_ptr<report_tray> tray = std::make_shared<report_tray>();
  /// What was in it last: its room is used again.
  std::vector<run_report> collected;

  due_cursors cursors{};
  /// The last read ended before its limit.
  bool caught_up = true;
  bool reading = false;
  std::optional<read_kind> read_again;
  bool reading_hinted = false;
  std::set<workspace_id> hinted;
  /// Let go while a read was under way, whose snapshot may still show them;
  /// with the number of the newest read that had begun by then.
  id_map<job_id, std::uint64_t> let_go;
  /// Where the common read under way began, when it reads nothing else.
  std::optional<due_cursors> reads_from;
  std::uint64_t reads_begun = 0;
  std::uint64_t newest_read = 0;
  std::uint64_t newest_hinted_read = 0;
  std::map<workspace_id, parked_workspace> parked;
  /// A read of parked workspaces failed, perhaps because of them: the next one
  /// is without.
  bool leave_out_parked = false;
  time_point next_full_read{};
  time_point next_sweep{};
  time_point next_controls{};
  time_point next_blocks{};
  time_point next_history{};
  bool blocks_written = false;
  wake_up_timer timer;
  std::uint64_t wake_generation = 0;
  std::optional<time_point> wake_at;
  time_point last_read{};
  time_point::duration read_took{};
  bool read_pending = false;

  std::bitset<shard_count> draining;
  /// The newest read that may still bring jobs of these.
  std::uint64_t draining_since = 0;
  ownership_actor drained_to;
  std::optional<caf::typed_response_promise<atom::done>> stopping;

  std::uint64_t taken_total = 0;

  /// What the intake was offered last.
  std::int64_t offered_as = 0;
  std::bitset<shard_count> offered;
  std::vector<intake_link::ended_take> ended_takes;
  /// Reads met these while their takes were under way.
  std::unordered_set<job_id> passed_over;

  /// Or will be, when it is taken over.
  bool is_mine(shard_id shard) const {
    return owned[shard] || adopting[shard] != 0;
  }
  bool is_reading() const {
    return reading || reading_hinted;
  }
  /// Whether a read is under way that is no newer.
  bool is_reading(std::uint64_t read) const {
    return (reading && newest_read <= read) || (reading_hinted && newest_hinted_read <= read);
  }
  /// Of the two kinds of read, neither of which ever waits for the other.
  std::uint64_t begin_read(std::uint64_t& mine, std::uint64_t other_under_way) {
    mine = ++reads_begun;
    const auto oldest = other_under_way == 0 ? mine : other_under_way;
    erase_if(let_go, [&](const auto& entry) { return entry.second < oldest; });
    return mine;
  }
  /// Whether a read under way may have seen this job as it was before.
  bool may_be_met(const job& work) const {
    if (reading_hinted || (reading && !reads_from))
      return true;
    if (!reading)
      return false;
    const auto& from = (*reads_from)[static_cast<std::size_t>(std::clamp(work.priority, 0, priority_levels - 1))];
    return work.run_at > from.run_at || (work.run_at == from.run_at && work.id > from.id);
  }
  bool was_let_go(const job_id& id, std::uint64_t since_read) const {
    if (let_go.empty())
      return false;
    const auto i = let_go.find(id);
    return i != let_go.end() && i->second >= since_read;
  }
};

using self_pointer = job_feed_actor::stateful_pointer<job_feed_state>;

shard_list list_of(const std::bitset<shard_count>& shards) {
  shard_list out;
  for (int i = 0; i < shard_count; ++i)
    if (shards[static_cast<std::size_t>(i)])
      out.push_back(static_cast<shard_id>(i));
  return out;
}

void read_due(self_pointer self, read_kind how);
void read_hinted(self_pointer self);
void start_jobs(self_pointer self);
void write_conclusions(self_pointer self);

// -- letting go -------------------------------------------------------------------

void let_go(job_feed_state& state, const job_id& id) {
  const auto i = state.in_hand.find(id);
  if (i == state.in_hand.end())
    return;
  if (i->second.run != 0) {
    state.queue.finished(*i->second.work);
    --state.running;
  }
  const auto batch = state.open_batches.find(i->second.batch);
  if (batch != state.open_batches.end() && --batch->second == 0) {
    state.finished.push_back(batch->first);
    state.open_batches.erase(batch);
  }
  if (i->second.work->suspicion > 0)
    --state.suspects;
  if (state.may_be_met(*i->second.work))
    state.let_go[id] = state.reads_begun;
  if (state.alone == id) {
    state.alone.reset();
    state.alone_since = i->second.started;
  }
  state.in_hand.erase(i);
}

/// Those that were read and not started go back where they lie: nothing was
/// done with them.
void drop_waiting(job_feed_state& state, const std::function<bool(const job&)>& wanted) {
  for (const auto& dropped : state.queue.drop(wanted)) {
    if (const auto i = state.parked.find(dropped->workspace); i != state.parked.end())
      i->second = {};
    let_go(state, dropped->id);
  }
}

int room_of(const job_feed_state& state) {
  return state.context->hot.jobs_max_in_flight.load() - static_cast<int>(state.in_hand.size());
}

/// More is known to be due: it is read by so many, not as each one ends.
int worth_a_read(const job_feed_state& state) {
  return std::min(state.context->settings.batch_size, state.context->hot.jobs_max_in_flight.load() / 2);
}

/// The node's own transactions take jobs while nothing older waits to be read
/// and there is room for a read beside them.
void offer_hands(self_pointer self) {
  auto& state = self->state;
  std::bitset<shard_count> shards;
  if (state.me && !state.stopping && !state.suspect && !state.alone && state.caught_up
      && room_of(state) >= worth_a_read(state))
    shards = state.owned;
  const auto life = state.me ? state.me->incarnation : 0;
  if (shards == state.offered && life == state.offered_as)
    return;
  state.offered = shards;
  state.offered_as = life;
  state.context->intake->offer(state.me.value_or(node_identity{}), shards);
}

void check_drained(self_pointer self) {
  auto& state = self->state;
  const auto& intake = *state.context->intake;
  if (state.draining.any() && !state.is_reading(state.draining_since) && intake.is_idle(state.draining)) {
    bool busy = false;
    for (const auto& [id, entry] : state.in_hand)
      busy = busy || state.draining[shard_of(entry.work->workspace)];
    if (!busy) {
      self->send(state.drained_to, atom::drained_v, list_of(state.draining));
      state.draining.reset();
    }
  }
  if (state.stopping && state.in_hand.empty() && state.reports.empty()
      && state.finished.empty() && !state.concluding && !state.is_reading() && intake.is_idle()) {
    state.stopping->deliver(atom::done_v);
    state.stopping.reset();
  }
}

// -- conclusions --------------------------------------------------------------------

bool has_failures(const std::vector<job_report>& reports) {
  return std::any_of(reports.begin(), reports.end(),
                     [](const job_report& r) { return r.how != job_report::kind::succeeded; });
}

std::size_t batch_size(const job_feed_state& state) {
  return static_cast<std::size_t>(state.context->settings.batch_size);
}

/// Beside what is being concluded.
bool may_conclude(const job_feed_state& state) {
  if (state.reports.empty() && state.finished.empty())
    return false;
  if (state.concluding == 0)
    return true;
  if (state.concluding == most_conclusions || state.reports.size() < batch_size(state))
    return false;
  // Failures meet rows that others write too: never two transactions of them.
  return !state.concluding_failures || !has_failures(state.reports);
}

void schedule_flush(self_pointer self, milliseconds delay) {
  auto& state = self->state;
  if (state.flush_pending || !may_conclude(state))
    return;
  state.flush_pending = true;
  self->delayed_send(self, delay, atom::flush_v);
}

void schedule_conclusions(self_pointer self) {
  // Half a batch need not linger.
  const auto& state = self->state;
  if (state.conclude_failed)
    return;
  if (state.reports.size() >= batch_size(state) / 2)
    write_conclusions(self);
  else
    schedule_flush(self, state.context->settings.conclude_linger);
}

/// A dead letter's effect on what it was working on, by kind.
result<done> abandon(store& db, const node_identity& me, const job& work,
                     const std::string& reason) {
  if (work.kind == kinds::publish_post) {
    auto given_up = db.publishing().give_up(me, work, reason);
    if (!given_up)
      return given_up.error();
    return done{};
  }
  if (work.kind == kinds::send_notification_email)
    return db.deliveries().conclude_email(me, work, {email_outcome::kind::failed, reason});
  if (work.kind == kinds::send_notification_digest) {
    auto digest = db.deliveries().begin_digest(me, work);
    if (!digest && digest.error().code != errc::invalid_argument)
      return digest.error();
    return db.deliveries().conclude_digest(me, work, digest.value_or({}), {email_outcome::kind::failed, reason});
  }
  if (work.kind == kinds::send_notification_push)
    return db.pushes().conclude(me, work, {}, {delivery_outcome::kind::failed, reason});
  if (work.kind == kinds::send_notification_sms)
    return db.texts().conclude(me, work, {delivery_outcome::kind::failed, reason}, {});
  auto discarded = db.jobs().conclude(me, {{work.id, job_report::kind::discarded, reason, {}, 0}}, {});
  if (!discarded)
    return discarded.error();
  return done{};
}

/// More than this of one workspace in hand, and it is left out of the common
/// read until it has caught up.
std::size_t park_at(const job_feed_state& state) {
  return std::max<std::size_t>(16, static_cast<std::size_t>(state.context->hot.jobs_max_in_flight.load()) / 8);
}

/// Of a parked workspace: little enough of it is in hand.
bool is_to_be_read(const job_feed_state& state, const workspace_id& workspace) {
  return state.queue.held(workspace) < park_at(state) / 2 && !state.queue.is_paused(workspace)
         && state.owned[shard_of(workspace)];
}

/// Those that have to run alone leave as much time to the others as they take:
/// after some deaths of nodes there may be many of them.
void begin_turn_of_others(self_pointer self) {
  auto& state = self->state;
  const auto began = std::exchange(state.alone_since, std::nullopt);
  if (!began)
    return;
  const auto now = clock_now(self);
  state.next_alone = now + (now - *began);
  state.looked_for_others = false;
  state.suspects_left = true;
}

void read_more_if_room(self_pointer self) {
  auto& state = self->state;
  begin_turn_of_others(self);
  if (state.reading)
    return;
  if (state.read_again) {
    read_due(self, *std::exchange(state.read_again, std::nullopt));
    return;
  }
  if (state.suspects_left && state.suspects <= most_suspects / 2 && !state.suspect && !state.alone) {
    const auto now = clock_now(self);
    const bool is_their_turn
      = state.next_alone == time_point{}
        || (state.looked_for_others && (now >= state.next_alone || (state.caught_up && state.in_hand.empty())));
    if (is_their_turn) {
      state.suspects_left = false;
      state.next_alone = {};
    }
    if (is_their_turn || !std::exchange(state.looked_for_others, true)) {
      // The read that looks belongs to the others' turn, however short that is.
      if (!is_their_turn)
        state.next_alone = std::max(state.next_alone, now + milliseconds{1});
      read_due(self, read_kind::full);
      return;
    }
    state.timer.arm(self, std::chrono::ceil<milliseconds>(state.next_alone - now));
  }
  if (state.caught_up && std::none_of(state.parked.begin(), state.parked.end(), [&](const auto& entry) {
        return is_to_be_read(state, entry.first);
      }))
    return;
  if (room_of(state) >= worth_a_read(state))
    read_due(self, read_kind::next);
}

void write_conclusions(self_pointer self) {
  auto& state = self->state;
  if (!state.me || !may_conclude(state))
    return;
  const bool failures = has_failures(state.reports);
  ++state.concluding;
  state.concluding_failures = state.concluding_failures || failures;
  // Jobs of these reports stay in hand until the transaction is through, so
  // that no read can hand them out again.
  auto reports = std::make_shared<std::vector<job_report>>(std::move(state.reports));
  state.reports.clear();
  // A batch of which nothing else is left ends with them.
  for (const auto& [number, jobs] : std::exchange(state.reported, {}))
    if (const auto batch = state.open_batches.find(number);
        batch != state.open_batches.end() && batch->second == jobs) {
      state.finished.push_back(number);
      state.open_batches.erase(batch);
    }
  auto finished = std::make_shared<std::vector<std::int64_t>>(std::move(state.finished));
  state.finished.clear();
  std::vector<std::shared_ptr<const job>> abandonable;
  if (failures)
    for (const auto& report : *reports)
      if (report.how == job_report::kind::retry || report.how == job_report::kind::discarded)
        if (const auto i = state.in_hand.find(report.id); i != state.in_hand.end())
          abandonable.push_back(i->second.work);

  ask_database<concluded_jobs>(
    self, state.context->databases.background, "conclude-jobs", state.context->settings.database_timeout,
    [me = *state.me, reports, finished, abandonable, log = state.context->log](store& db) {
      auto concluded = db.jobs().conclude(me, *reports, *finished);
      if (concluded)
        for (const auto& id : concluded->discarded)
          for (const auto& work : abandonable)
            if (work->id == id) {
              log->error("job-discarded", {{"job", to_string(id)}, {"kind", work->kind},
                                           {"workspace", to_string(work->workspace)},
                                           {"correlation", work->correlation_id}});
              if (settles_itself(work->kind))
                if (auto r = abandon(db, me, *work, "every attempt failed"); !r)
                  log->error("job-abandon-failed", {{"job", to_string(id)}, {"error", r.error().detail}});
            }
      return concluded;
    },
    [self, reports, finished, failures, asked_as = state.me->incarnation](result<concluded_jobs> concluded) {
      auto& state = self->state;
      --state.concluding;
      if (failures)
        state.concluding_failures = false;
      if (!state.me || state.me->incarnation != asked_as) {
        // What this life has to conclude may have waited for it.
        schedule_conclusions(self);
        check_drained(self);
        return;
      }
      if (!concluded && concluded.error().code != errc::cancelled) {
        state.context->log->warn("conclude-failed", {{"error", concluded.error().detail}});
        state.reports.insert(state.reports.begin(), reports->begin(), reports->end());
        state.finished.insert(state.finished.begin(), finished->begin(), finished->end());
        state.conclude_failed = true;
        self->delayed_send(self, conclude_retry, atom::flush_v);
        return;
      }
      if (concluded) {
        for (const auto& report : *reports) {
          let_go(state, report.id);
          if (report.delay)
            state.timer.arm(self, *report.delay);
        }
        if (!concluded->after_commit.empty())
          state.timer.arm(self, milliseconds{1});
      }
      start_jobs(self);
      schedule_conclusions(self);
      read_more_if_room(self);
      check_drained(self);
    });
}

void accept_report(self_pointer self, run_report said, time_point now) {
  auto& state = self->state;
  auto& report = said.report;
  const auto i = state.in_hand.find(report.id);
  if (i == state.in_hand.end() || i->second.reported || i->second.run != said.run)
    return;
  const auto& work = *i->second.work;
  state.context->measured->job_ended(work.kind, to_string(report.how), now - i->second.started);
  const bool failed = said.dependency_failed;
  if ((failed || report.how == job_report::kind::succeeded || report.how == job_report::kind::concluded)
      && state.queue.report_dependency(work, failed, now))
    state.context->log->error("circuit-opened", {{"kind", work.kind}, {"error", report.error}});
  if (report.how == job_report::kind::concluded) {
    // Its own transaction has committed already.
    let_go(state, report.id);
    if (report.delay)
      state.timer.arm(self, *report.delay);
    return;
  }
  i->second.reported = true;
  ++state.reported[i->second.batch];
  if (report.how == job_report::kind::retry)
    state.context->log->warn("job-failed", {{"job", to_string(report.id)},
                                            {"kind", work.kind},
                                            {"error", report.error},
                                            {"correlation", work.correlation_id}});
  state.reports.push_back(std::move(report));
}

void after_reports(self_pointer self) {
  start_jobs(self);
  schedule_conclusions(self);
  read_more_if_room(self);
  check_drained(self);
}

// -- starting -------------------------------------------------------------------------

running_job_ptr begin_run(self_pointer self, const std::shared_ptr<const job>& work, time_point now) {
  auto& state = self->state;
  auto& entry = state.in_hand.at(work->id);
  const auto* policy = find_job_policy(work->kind);
  entry.run = state.next_run++;
  entry.started = now;
  const auto end = now + (policy ? policy->timeout : std::chrono::seconds{60});
  entry.give_up_at = end + runner_grace;
  ++state.running;
  ++state.taken_total;
  state.context->measured->job_started(work->kind, work->run_at);
  return std::make_shared<const running_job>(running_job{*state.me, work, entry.run, end});
}

void arm_wake(self_pointer self) {
  auto& state = self->state;
  const auto next = state.queue.next_wake();
  if (!next || (state.wake_at && *state.wake_at <= *next))
    return;
  state.wake_at = next;
  const auto delay = std::chrono::ceil<milliseconds>(*next - clock_now(self));
  self->delayed_send(self, std::max(delay, milliseconds{1}), atom::wake_v, ++state.wake_generation);
}

/// A suspect runs when nothing else is in this node's hands, so that a crash
/// tells whether it was the cause.
void start_suspect(self_pointer self) {
  auto& state = self->state;
  drop_waiting(state, [](const job&) { return true; });
  if (state.in_hand.size() > 1 || !state.finished.empty() || state.concluding || state.flush_pending
      || state.is_reading() || !state.context->intake->is_idle()) {
    schedule_conclusions(self);
    return;
  }
  const auto work = std::exchange(state.suspect, nullptr);
  if (!state.in_hand.contains(work->id))
    return;
  state.alone = work->id;
  self->send(state.region, atom::job_v, job_handout{{begin_run(self, work, clock_now(self))}, state.tray});
}

void start_jobs(self_pointer self) {
  auto& state = self->state;
  offer_hands(self);
  if (!state.me || state.stopping)
    return;
  if (state.alone)
    return;
  if (state.suspect) {
    start_suspect(self);
    return;
  }
  if (state.queue.waiting() == 0)
    return;
  const auto now = clock_now(self);
  job_handout out;
  const auto most = static_cast<std::size_t>(std::max(0, state.context->hot.jobs_max_in_flight.load()));
  for (const auto& work : state.queue.pop(now, most > state.running ? most - state.running : 0))
    out.jobs.push_back(begin_run(self, work, now));
  out.tray = state.tray;
  if (!out.jobs.empty())
    self->send(state.region, atom::job_v, std::move(out));
  arm_wake(self);
}

// -- reading --------------------------------------------------------------------------

void take_in(self_pointer self, job_batch& batch, std::uint64_t read) {
  auto& state = self->state;
  const auto most_of_one = park_at(state);
  // Only common reads bring suspects.
  const bool turn_of_others = state.last_read < state.next_alone;
  std::size_t kept = 0;
  for (auto& found : batch.jobs) {
    if (state.was_let_go(found.id, read) || state.stopping || !state.owned[shard_of(found.workspace)]
        || state.queue.is_paused(found.workspace))
      continue;
    if (state.context->intake->is_under_way(found.id)) {
      state.passed_over.insert(found.id);
      continue;
    }
    const auto [entry, fresh] = state.in_hand.try_emplace(found.id);
    if (!fresh)
      continue;
    auto work = std::make_shared<const job>(std::move(found));
    if (work->suspicion > 1) {
      if (state.suspect || turn_of_others) {
        state.suspects_left = true;
        state.in_hand.erase(entry);
        continue;
      }
      state.suspect = work;
    } else if (state.queue.push(work) >= most_of_one) {
      state.parked.try_emplace(work->workspace, parked_workspace{.cursors = state.cursors});
    }
    if (work->suspicion > 0)
      ++state.suspects;
    entry->second.work = std::move(work);
    entry->second.batch = batch.number;
    ++kept;
  }
  if (kept > 0)
    state.open_batches[batch.number] = kept;
  else
    state.finished.push_back(batch.number);
}

void take_in(self_pointer self, due_jobs& due, std::uint64_t read) {
  auto& state = self->state;
  for (auto& batch : due.batches)
    take_in(self, batch, read);
  state.suspects_left = state.suspects_left || due.suspects_left;
  for (const auto& workspace : due.exhausted)
    if (const auto i = state.parked.find(workspace); i != state.parked.end() && !i->second.is_new)
      state.parked.erase(i);
  for (const auto& [workspace, next] : due.parked_next)
    if (const auto i = state.parked.find(workspace); i != state.parked.end() && !i->second.is_new)
      i->second = {next, read_kind::next, false};
}

/// Of the batches that it may write: one for each suspect and the common one.
void take_numbers(job_feed_state& state, due_query& query) {
  query.suspects = std::max(0, most_suspects - state.suspects);
  query.first_batch = state.context->intake->take_numbers(query.suspects + 1);
}

/// Its manifests may be there, and nothing of them was begun.
void finish_numbers(job_feed_state& state, const due_query& query) {
  for (auto number = query.first_batch; number <= query.first_batch + query.suspects; ++number)
    state.finished.push_back(number);
}

void look_behind(due_cursors& cursors, milliseconds so_far) {
  for (auto& cursor : cursors)
    if (so_far == everything)
      cursor = {};
    else if (cursor.run_at != instant{})
      cursor = {cursor.run_at - so_far, {}};
}

due_query make_query(self_pointer self, read_kind how, int room) {
  auto& state = self->state;
  due_query query;
  query.shards = list_of(state.owned);
  query.kinds = state.queue.runnable_kinds();
  query.from = state.cursors;
  query.limit = std::min(room, state.context->settings.batch_size);
  take_numbers(state, query);
  const bool backwards = how != read_kind::next || state.caught_up;
  if (backwards) {
    look_behind(query.from, how == read_kind::next ? look_back : how == read_kind::sweep ? sweep_look_back : everything);
    query.limit += static_cast<int>(state.in_hand.size());
  }
  // One that has more due than its share looks for latecomers with each read
  // only where nothing else is due; what passes it by is made up for.
  const bool none_of_these = std::exchange(state.leave_out_parked, false);
  for (auto& [workspace, parked] : state.parked) {
    const bool wants = !none_of_these && is_to_be_read(state, workspace);
    parked.is_new = false;
    parked.owed = std::max(parked.owed, how);
    parked_read read{workspace, wants ? static_cast<int>(park_at(state)) : 0, parked.cursors};
    if (wants && parked.owed != read_kind::next) {
      look_behind(read.from, parked.owed == read_kind::sweep ? sweep_look_back : everything);
      read.limit += static_cast<int>(state.queue.held(workspace));
    } else {
      for (auto& cursor : read.from)
        if (cursor.at_end)
          cursor = {cursor.run_at - look_back, {}};
    }
    query.parked.push_back(read);
  }
  return query;
}

void read_due(self_pointer self, read_kind how) {
  auto& state = self->state;
  if (state.reading) {
    state.read_again = std::max(how, state.read_again.value_or(read_kind::next));
    return;
  }
  if (!state.me || state.owned.none() || state.stopping)
    return;
  if (state.suspect || state.alone) {
    if (how == read_kind::full)
      state.read_again = how;
    return;
  }
  const auto room = room_of(state);
  if (how == read_kind::next && !state.caught_up && room < worth_a_read(state))
    return;
  if (room <= 0) {
    state.read_again = std::max(how, state.read_again.value_or(read_kind::next));
    return;
  }
  // What lies behind the last read is read at once; else nothing is lost by
  // looking again a moment later.
  const auto now = clock_now(self);
  const auto pause = state.in_hand.size() > much_in_hand ? 19 : 4;
  const auto next = state.last_read + std::max<time_point::duration>(read_spacing, pause * state.read_took);
  if (state.caught_up && state.in_hand.size() > little_in_hand && how != read_kind::full && now < next) {
    state.read_again = std::max(how, state.read_again.value_or(read_kind::next));
    if (!std::exchange(state.read_pending, true))
      self->delayed_send(self, std::chrono::ceil<milliseconds>(next - now), atom::hint_v, put_off);
    return;
  }
  state.last_read = now;
  const auto read = state.begin_read(state.newest_read, state.reading_hinted ? state.newest_hinted_read : 0);
  state.reading = true;
  auto query = std::make_shared<due_query>(make_query(self, how, room));
  state.reads_from = query->parked.empty() ? std::optional{query->from} : std::nullopt;
  // A read that goes on where the last one ended meets nothing in hand.
  auto in_hand = std::make_shared<std::unordered_set<job_id>>();
  if (how != read_kind::next || state.caught_up || !query->parked.empty())
    for (const auto& [id, entry] : state.in_hand)
      in_hand->insert(id);
  query->in_hand = in_hand.get();
  ask_database<due_jobs>(
    self, state.context->databases.background, "take-due-jobs", state.context->settings.database_timeout,
    [me = *state.me, query, in_hand](store& db) { return db.jobs().take_due(me, *query); },
    [self, how, query, read, asked_as = state.me->incarnation](result<due_jobs> due) {
      auto& state = self->state;
      state.reading = false;
      const auto now = clock_now(self);
      state.read_took = now - state.last_read;
      const time_point::duration pause = (backward_share - 1) * state.read_took;
      if (due && how == read_kind::full)
        state.next_full_read = std::max(state.next_full_read, now + std::min<time_point::duration>(pause, longest_full_pause));
      if (due && how == read_kind::sweep)
        state.next_sweep = now + std::min<time_point::duration>(pause, longest_sweep_pause);
      if (!state.me || state.me->incarnation != asked_as) {
        check_drained(self);
        return;
      }
      if (due) {
        state.cursors = due->next;
        state.caught_up = due->complete;
        take_in(self, *due, read);
        start_jobs(self);
        if (due->next_in)
          state.timer.arm(self, std::max(*due->next_in, milliseconds{1}));
      } else {
        state.leave_out_parked = std::any_of(query->parked.begin(), query->parked.end(),
                                             [](const parked_read& p) { return p.limit > 0; });
        if (due.error().code == errc::outcome_unknown)
          finish_numbers(state, *query);
      }
      state.timer.arm(self, state.context->settings.job_sweep_every);
      schedule_conclusions(self);
      if (due)
        read_more_if_room(self);
      check_drained(self);
    },
    db_lane::urgent);
}

/// What hints named, beside the common reads and on a connection of its own:
/// it waits neither for a flood to be read nor for the room that one takes.
void read_hinted(self_pointer self) {
  auto& state = self->state;
  if (state.reading_hinted || state.hinted.empty())
    return;
  if (!state.me || state.owned.none() || state.stopping || state.suspect || state.alone) {
    state.hinted.clear();
    return;
  }
  const auto read = state.begin_read(state.newest_hinted_read, state.reading ? state.newest_read : 0);
  state.reading_hinted = true;
  hinted_query query;
  query.shards = list_of(state.owned);
  query.kinds = state.queue.runnable_kinds();
  query.workspaces.assign(state.hinted.begin(), state.hinted.end());
  state.hinted.clear();
  query.after = state.cursors.front().run_at;
  for (const auto& cursor : state.cursors)
    query.after = std::min(query.after, cursor.run_at);
  if (query.after != instant{})
    query.after -= sweep_look_back;
  query.batch = state.context->intake->take_numbers(1);
  for (const auto& [id, entry] : state.in_hand)
    if (std::binary_search(query.workspaces.begin(), query.workspaces.end(), entry.work->workspace))
      query.in_hand.push_back(id);
  ask_database<hinted_jobs>(
    self, state.context->databases.background, "take-hinted-jobs", state.context->settings.database_timeout,
    [me = *state.me, query](store& db) { return db.jobs().take_hinted(me, query); },
    [self, read, batch = query.batch, asked_as = state.me->incarnation](result<hinted_jobs> hinted) {
      auto& state = self->state;
      state.reading_hinted = false;
      if (!state.me || state.me->incarnation != asked_as) {
        read_hinted(self);
        check_drained(self);
        return;
      }
      if (hinted) {
        if (!hinted->batch.jobs.empty())
          take_in(self, hinted->batch, read);
        start_jobs(self);
      } else if (hinted.error().code == errc::outcome_unknown) {
        // Its manifest may be there, and nothing of it was begun.
        state.finished.push_back(batch);
      }
      schedule_conclusions(self);
      // What is common to all that were hinted at, and what was too much.
      read_due(self, hinted && !hinted->more ? read_kind::next : read_kind::sweep);
      read_hinted(self);
      check_drained(self);
    },
    db_lane::urgent);
}

/// What the node's own transactions have taken.
void collect_takes(self_pointer self) {
  auto& state = self->state;
  state.ended_takes.clear();
  state.context->intake->collect(state.ended_takes);
  std::optional<read_kind> read;
  for (auto& one : state.ended_takes) {
    const auto id = one.what.id;
    const bool was_passed_over = state.passed_over.erase(id) > 0;
    const bool is_of_this_life = state.me && state.me->incarnation == one.what.owner.incarnation;
    if (is_of_this_life && one.how != take_outcome::not_taken) {
      // Where more is due than its share, what was due before comes first.
      job_batch batch{one.what.batch, {}};
      if (one.work && !state.queue.is_paused(one.work->kind) && !state.parked.contains(one.work->workspace))
        batch.jobs.push_back(std::move(*one.work));
      // Newer than every read.
      take_in(self, batch, state.reads_begun + 1);
    }
    if (state.in_hand.contains(id))
      continue;
    if (was_passed_over || one.how == take_outcome::unknown)
      read = read_kind::full;
    else if (one.how == take_outcome::taken)
      read = std::max(read_kind::next, read.value_or(read_kind::next));
  }
  if (read)
    read_due(self, *read);
  after_reports(self);
}

void take_over(self_pointer self, const node_identity& me, const shard_list& shards) {
  auto& state = self->state;
  const auto adoption = ++state.adoptions;
  for (const auto shard : shards) {
    state.adopting[shard] = adoption;
    state.adopt_again.reset(shard);
  }
  ask_database<done>(
    self, state.context->databases.background, "adopt-orphans", state.context->settings.database_timeout,
    [me, shards, max = state.context->settings.max_crashes, log = state.context->log](store& db) -> result<done> {
      if (auto announced = db.jobs().announce_kinds(); !announced)
        return announced.error();
      auto crashed = db.jobs().adopt(me, shards, max);
      if (!crashed)
        return crashed.error();
      for (const auto& work : *crashed) {
        log->error("job-crashed-its-node", {{"job", to_string(work.id)}, {"kind", work.kind},
                                            {"crashes", std::to_string(work.crashes)}});
        if (auto r = abandon(db, me, work, "the process died " + std::to_string(work.crashes)
                                             + " times while it ran"); !r)
          return r.error();
      }
      return done{};
    },
    [self, me, shards, adoption](result<done> adopted) {
      auto& state = self->state;
      if (!state.me || state.me->incarnation != me.incarnation)
        return;
      const bool again = !adopted && adopted.error().code != errc::cancelled;
      // Some may have been given away meanwhile.
      for (const auto shard : shards)
        if (state.adopting[shard] == adoption) {
          if (again) {
            state.adopt_again.set(shard);
          } else {
            state.adopting[shard] = 0;
            state.owned.set(shard);
          }
        }
      if (again) {
        state.context->log->warn("adopt-failed", {{"error", adopted.error().detail}});
        state.adopt_again_at = clock_now(self) + adopt_retry;
        state.timer.arm(self, adopt_retry);
        return;
      }
      read_due(self, read_kind::full);
    });
}

void give_up_on_silent_runners(self_pointer self) {
  const auto now = clock_now(self);
  std::vector<run_report> silent;
  for (const auto& [id, entry] : self->state.in_hand)
    if (entry.run != 0 && !entry.reported && entry.give_up_at <= now)
      silent.push_back({{id, job_report::kind::retry, "timed out", {}, entry.work->revision}, entry.run, false});
  for (auto& report : silent)
    accept_report(self, std::move(report), now);
}

// -- what operators set, and what they are told --------------------------------------

void load_controls(self_pointer self) {
  auto& state = self->state;
  state.next_controls = clock_now(self) + controls_every;
  ask_database<std::vector<job_control>>(
    self, state.context->databases.background, "load-job-controls", state.context->settings.database_timeout,
    [](store& db) { return db.jobs().load_controls(); },
    [self](result<std::vector<job_control>> controls) {
      auto& state = self->state;
      if (!controls || !state.me)
        return;
      const auto before = state.queue.runnable_kinds();
      state.queue.set_controls(*controls, clock_now(self));
      for (const auto& control : *controls)
        if (control.scope == job_control::about::workspace && control.paused)
          if (const auto id = workspace_id::parse(control.name); id && state.is_mine(shard_of(*id)))
            state.parked[*id] = {};
      // Paused kinds are read again when they may run.
      const auto now = state.queue.runnable_kinds();
      drop_waiting(state, [&](const job& work) {
        return std::find(now.begin(), now.end(), work.kind) == now.end() || state.queue.is_paused(work.workspace);
      });
      start_jobs(self);
      if (now != before)
        read_due(self, read_kind::full);
      else
        read_due(self, read_kind::sweep);
    });
}

void record_blocks(self_pointer self) {
  auto& state = self->state;
  const auto now = clock_now(self);
  if (!state.me || now < state.next_blocks)
    return;
  auto blocks = state.queue.blocks(now);
  if (blocks.empty() && !state.blocks_written)
    return;
  state.blocks_written = !blocks.empty();
  state.next_blocks = now + blocks_every;
  ask_database<done>(
    self, state.context->databases.background, "record-job-blocks", state.context->settings.database_timeout,
    [me = *state.me, blocks = std::move(blocks)](store& db) { return db.jobs().record_blocks(me, blocks); },
    [](result<done>) {});
}

void maintain_history(self_pointer self) {
  auto& state = self->state;
  const auto now = clock_now(self);
  if (!state.owned[history_shard] || now < state.next_history)
    return;
  state.next_history = now + history_every;
  ask_database<int>(
    self, state.context->databases.background, "maintain-job-history", state.context->settings.database_timeout,
    [keep = state.context->settings.history](store& db) {
      return db.jobs().maintain_history(keep.short_, keep.standard, keep.long_);
    },
    [self](result<int> changed) {
      if (!changed)
        self->state.context->log->warn("job-history-not-maintained", {{"error", changed.error().detail}});
      else if (*changed > 0)
        self->state.context->log->info("job-history-maintained", {{"partitions", std::to_string(*changed)}});
    });
}

void tick(self_pointer self) {
  auto& state = self->state;
  const auto now = clock_now(self);
  maintain_history(self);
  give_up_on_silent_runners(self);
  state.timer.arm(self, state.context->settings.job_sweep_every);
  if (state.me && state.adopt_again.any() && now >= state.adopt_again_at)
    take_over(self, *state.me, list_of(state.adopt_again));
  if (now >= state.next_controls)
    load_controls(self);
  record_blocks(self);
  const bool full = now >= state.next_full_read;
  if (full)
    state.next_full_read = now + full_read_every;
  read_due(self, full ? read_kind::full : now >= state.next_sweep ? read_kind::sweep : read_kind::next);
  after_reports(self);
}

void reset_reading(job_feed_state& state) {
  state.cursors = {};
  state.caught_up = true;
  state.parked.clear();
  state.leave_out_parked = false;
  state.hinted.clear();
}

job_feed_actor::behavior_type job_feed(self_pointer self, engine_context_ptr context) {
  self->state.context = std::move(context);
  self->state.queue = ready_queue{self->state.context->settings.ready};
  return {
    [self](atom::configure, const caf::strong_actor_ptr& region) {
      self->state.region = caf::actor_cast<region_actor>(region);
    },
    [self](atom::gained, const node_identity& me, const shard_list& shards) {
      self->state.me = me;
      load_controls(self);
      take_over(self, me, shards);
    },
    [self](atom::drain, const shard_list& shards) {
      auto& state = self->state;
      state.drained_to = caf::actor_cast<ownership_actor>(self->current_sender());
      for (const auto shard : shards) {
        state.owned.reset(shard);
        state.adopting[shard] = 0;
        state.adopt_again.reset(shard);
        state.draining.set(shard);
      }
      state.draining_since = state.reads_begun;
      offer_hands(self);
      drop_waiting(state, [&](const job& work) { return state.draining[shard_of(work.workspace)]; });
      std::erase_if(state.parked, [&](const auto& entry) { return state.draining[shard_of(entry.first)]; });
      if (state.suspect && state.draining[shard_of(state.suspect->workspace)])
        let_go(state, std::exchange(state.suspect, nullptr)->id);
      schedule_conclusions(self);
      check_drained(self);
    },
    [self](atom::lost) {
      auto& state = self->state;
      state.me.reset();
      state.owned.reset();
      state.adopting = {};
      state.adopt_again.reset();
      state.draining.reset();
      state.queue = ready_queue{state.context->settings.ready};
      state.suspect.reset();
      state.alone.reset();
      state.alone_since.reset();
      state.next_alone = {};
      state.suspects = 0;
      state.suspects_left = false;
      state.in_hand.clear();
      state.open_batches.clear();
      state.reports.clear();
      state.reported.clear();
      state.finished.clear();
      state.passed_over.clear();
      state.running = 0;
      offer_hands(self);
      reset_reading(state);
      check_drained(self);
    },
    [self](atom::conclude, const run_reports& reports) {
      const auto now = clock_now(self);
      for (const auto& report : reports.all)
        accept_report(self, report, now);
      after_reports(self);
    },
    [self](atom::conclude) {
      auto& state = self->state;
      state.collected.clear();
      state.tray->take(state.collected);
      const auto now = clock_now(self);
      for (auto& report : state.collected)
        accept_report(self, std::move(report), now);
      after_reports(self);
    },
    [self](atom::job) { collect_takes(self); },
    [self](atom::hint, const hint& h) {
      auto& state = self->state;
      // A reserve for what is hinted at, so that a full hand does not delay it.
      const auto most = static_cast<std::size_t>(std::max(0, state.context->hot.jobs_max_in_flight.load()));
      if (state.queue.held(h.workspace) >= enough_in_hand || state.hinted.size() >= most_hinted
          || state.in_hand.size() >= most + most / 4) {
        read_due(self, read_kind::next);
        return;
      }
      state.hinted.insert(h.workspace);
      read_hinted(self);
    },
    [self](atom::hint, std::int64_t in_milliseconds) {
      auto& state = self->state;
      if (in_milliseconds == put_off) {
        state.read_pending = false;
        if (state.read_again)
          read_due(self, *std::exchange(state.read_again, std::nullopt));
      } else if (in_milliseconds <= 0) {
        read_due(self, read_kind::next);
      } else {
        state.timer.arm(self, milliseconds{in_milliseconds});
      }
    },
    [self](atom::sweep) { read_due(self, read_kind::full); },
    [self](atom::controls) { load_controls(self); },
    [self](atom::stop) -> caf::result<atom::done> {
      auto& state = self->state;
      auto promise = self->make_response_promise<atom::done>();
      state.stopping = promise;
      offer_hands(self);
      drop_waiting(state, [](const job&) { return true; });
      if (state.suspect)
        let_go(state, std::exchange(state.suspect, nullptr)->id);
      schedule_conclusions(self);
      check_drained(self);
      return promise;
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"job_feed",
                          state.stopping ? "draining" : "running",
                          {{"in_flight", std::to_string(state.running)},
                           {"waiting", std::to_string(state.queue.waiting())},
                           {"open_batches", std::to_string(state.open_batches.size())},
                           {"parked_workspaces", std::to_string(state.parked.size())},
                           {"shards", std::to_string(state.owned.count())},
                           {"mailbox", std::to_string(mailbox_depth(self))},
                           {"taken_total", std::to_string(state.taken_total)}},
                          {}};
    },
    [self](atom::tick, std::uint64_t generation) {
      if (self->state.timer.fires(generation))
        tick(self);
    },
    [self](atom::flush) {
      self->state.flush_pending = false;
      self->state.conclude_failed = false;
      write_conclusions(self);
      // A suspect waits until nothing is left to conclude.
      start_jobs(self);
    },
    [self](atom::wake, std::uint64_t generation) {
      auto& state = self->state;
      if (generation != state.wake_generation)
        return;
      state.wake_at.reset();
      start_jobs(self);
    },
  };
}

} // namespace

job_feed_actor spawn_job_feed(caf::actor_system& system, engine_context_ptr context) {
  return system.spawn(job_feed, std::move(context));
}

} // namespace carillon
