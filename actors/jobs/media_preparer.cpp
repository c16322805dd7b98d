#include "actors/jobs/media_preparer.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <set>

#include "actors/timer.hpp"

namespace carillon {

namespace {

/// Accounts for which files are uploaded at once: few, as the connections are
/// for posts that are due.
constexpr std::size_t most_at_once = 16;
/// Accounts that one look may find, so that a rush does not take a look for
/// each few of its files.
constexpr std::size_t most_planned = 256;
/// Many posts that are scheduled within a moment share a look; looking takes no
/// more than a twentieth of a connection's time.
constexpr std::chrono::milliseconds shortest_pause{1'000};
constexpr int pause_for_look = 20;
constexpr std::chrono::milliseconds longest_upload{120'000};
/// What failed is tried again after this, or what the network asks.
constexpr std::chrono::milliseconds retry_after_failure{60'000};

/// The files of one target, one after the other.
struct preparation {
  planned_preparation what;
  std::vector<prepared_file> outcomes;
  /// Until its account is looked at again; nothing is written when no file was
  /// tried.
  std::chrono::milliseconds pause{0};
  lease_clock::steady::time_point deadline;
};
using preparation_ptr = std::shared_ptr<preparation>;

struct media_preparer_state {
  static inline const char* name = "carillon.media_preparer";

  engine_context_ptr context;
  std::optional<node_identity> me;
  std::set<shard_id> owned;
  bool looking = false;
  bool again = false;
  caf::actor_clock::time_point next_look{};
  wake_up_timer timer;
  std::deque<preparation_ptr> planned;
  std::set<social_account_id> busy; ///< Accounts of those, or with an upload under way.
  std::size_t uploading = 0;
  std::uint64_t uploaded_total = 0;
  std::uint64_t failed_total = 0;
};

using self_pointer = media_preparer_actor::stateful_pointer<media_preparer_state>;

/// How long before its post a file may go to each network: no longer than half
/// of the time for which that one keeps it, so that retries find it as well.
std::vector<preparing_network> networks_of(const engine_context& context) {
  const auto before = context.hot.prepare_media_before.load();
  std::vector<preparing_network> out;
  for (const auto& [platform, gateway] : context.gateways)
    if (const auto ahead = std::min<std::chrono::milliseconds>(before, gateway->keeps_media() / 2); ahead.count() > 0)
      out.push_back({platform, ahead});
  return out;
}

shard_list shards_of(const media_preparer_state& state) {
  return {state.owned.begin(), state.owned.end()};
}

void look_soon(self_pointer self) {
  auto& state = self->state;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(state.next_look - clock_now(self));
  state.timer.arm(self, std::max(left, std::chrono::milliseconds{1}));
}

void start_next(self_pointer self);

void let_go(self_pointer self, const preparation_ptr& p) {
  auto& state = self->state;
  --state.uploading;
  if (p->pause.count() <= 0)
    state.busy.erase(p->what.account_id);
  else
    self->delayed_send(self, p->pause, atom::run_v,
                       std::make_shared<std::function<void()>>([self, account = p->what.account_id] {
                         self->state.busy.erase(account);
                         look_soon(self);
                       }));
  start_next(self);
  if (state.planned.size() < most_at_once)
    look_soon(self);
}

void finish(self_pointer self, const preparation_ptr& p) {
  auto& state = self->state;
  const auto told = state.context->gateways.at(p->what.account.platform)->take_learned_rates(p->what.account);
  if (p->outcomes.empty() && told.is_none()) {
    let_go(self, p);
    return;
  }
  ask_database<done>(
    self, state.context->databases.background, "record-preparation", state.context->settings.database_timeout,
    [p, told, heard = lease_clock::steady::now()](store& db) {
      const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(lease_clock::steady::now() - heard);
      return db.publishing().record_preparation(p->what, p->outcomes, told.after(age));
    },
    [self, p](const result<done>& recorded) {
      if (!recorded) {
        self->state.context->log->warn("preparation-not-recorded",
                                       {{"target", to_string(p->what.target)}, {"error", recorded.error().detail}});
        // It would be uploaded again at once.
        p->pause = std::max(p->pause, retry_after_failure);
      }
      let_go(self, p);
    });
}

void upload_next(self_pointer self, const preparation_ptr& p);

void take(self_pointer self, const preparation_ptr& p, const result<std::string>& said) {
  auto& state = self->state;
  const auto& gateway = state.context->gateways.at(p->what.account.platform);
  prepared_file outcome{p->what.files[p->outcomes.size()].id, {}, gateway->keeps_media()};
  if (said) {
    ++state.uploaded_total;
    outcome.reference = *said;
    p->outcomes.push_back(std::move(outcome));
    upload_next(self, p);
    return;
  }
  const auto& why = said.error();
  if (why.code == errc::cancelled) {
    // Not tried: its server is down, or its rates are for posts that are due.
    p->pause = std::max(retry_after_failure, why.retry_after.value_or(std::chrono::milliseconds{0}));
    finish(self, p);
    return;
  }
  ++state.failed_total;
  state.context->log->info("media-not-prepared", {{"target", to_string(p->what.target)},
                                                  {"code", std::string{to_string(why.code)}},
                                                  {"error", why.detail}});
  // What was refused for good is left to the due call, which says so.
  if (why.code != errc::permanent && why.code != errc::unauthorized)
    outcome.holds = std::max(retry_after_failure, why.retry_after.value_or(std::chrono::milliseconds{0}));
  p->outcomes.push_back(std::move(outcome));
  finish(self, p);
}

void upload_next(self_pointer self, const preparation_ptr& p) {
  auto& state = self->state;
  const auto left = std::chrono::floor<std::chrono::milliseconds>(p->deadline - lease_clock::steady::now());
  const auto i = p->outcomes.size();
  if (i == p->what.files.size() || left.count() <= 0) {
    finish(self, p);
    return;
  }
  state.context->gateways.at(p->what.account.platform)
    ->prepare_media({p->what.account, p->what.workspace, p->what.files[i].media, p->what.known_rates,
                     std::min(left, longest_upload)},
                    [handle = media_preparer_actor{self}, self, p](const result<std::string>& said) {
                      caf::anon_send(handle, atom::run_v, std::make_shared<std::function<void()>>([self, p, said] {
                                       take(self, p, said);
                                     }));
                    });
}

void start_next(self_pointer self) {
  auto& state = self->state;
  while (state.uploading < most_at_once && !state.planned.empty()) {
    const auto p = std::move(state.planned.front());
    state.planned.pop_front();
    ++state.uploading;
    upload_next(self, p);
  }
}

/// Those that were not begun.
void drop_planned(media_preparer_state& state, const std::function<bool(const planned_preparation&)>& unwanted) {
  std::erase_if(state.planned, [&](const preparation_ptr& p) {
    const bool drop = unwanted(p->what);
    if (drop)
      state.busy.erase(p->what.account_id);
    return drop;
  });
}

void take_planned(self_pointer self, std::vector<planned_preparation> found) {
  auto& state = self->state;
  for (auto& one : found) {
    if (!state.owned.contains(shard_of(one.workspace)) || !state.busy.insert(one.account_id).second)
      continue;
    auto p = std::make_shared<preparation>();
    p->deadline = lease_clock::steady::now() + one.due_in;
    p->what = std::move(one);
    state.planned.push_back(std::move(p));
  }
  start_next(self);
}

void look(self_pointer self) {
  auto& state = self->state;
  if (state.looking) {
    state.again = true;
    return;
  }
  auto networks = networks_of(*state.context);
  if (networks.empty())
    drop_planned(state, [](const planned_preparation&) { return true; });
  if (!state.me || state.owned.empty() || networks.empty() || state.planned.size() >= most_at_once
      || state.context->lease.remaining().count() <= 0)
    return;
  state.looking = true;
  state.again = false;
  const auto begun = clock_now(self);
  auto widest = std::chrono::milliseconds{0};
  for (const auto& one : networks)
    widest = std::max(widest, one.ahead);
  state.next_look = begun + shortest_pause;
  ask_database<std::vector<planned_preparation>>(
    self, state.context->databases.background, "plan-preparations", state.context->settings.database_timeout,
    [me = *state.me, shards = shards_of(state), networks = std::move(networks),
     busy = std::vector<social_account_id>{state.busy.begin(), state.busy.end()},
     limit = static_cast<int>(most_planned - state.planned.size()),
     are_objects = state.context->settings.publishing.media_are_objects](store& db) {
      return db.publishing().plan_preparations(me, shards, networks, busy, limit, are_objects);
    },
    [self, begun, widest, asked_as = state.me->incarnation](result<std::vector<planned_preparation>> planned) {
      auto& state = self->state;
      state.looking = false;
      if (!state.me || state.me->incarnation != asked_as) {
        if (state.again)
          look_soon(self);
        return;
      }
      // The sweep alone would miss posts whose window is shorter.
      if (widest < 2 * state.context->settings.publish_sweep_every)
        state.timer.arm(self, std::max(widest / 2, shortest_pause));
      state.next_look = std::max(state.next_look, begun + pause_for_look * (clock_now(self) - begun));
      if (planned)
        take_planned(self, std::move(*planned));
      else if (planned.error().code != errc::cancelled)
        state.context->log->warn("preparing-failed", {{"error", planned.error().detail}});
      if (state.again)
        look_soon(self);
    });
}

void forget(self_pointer self) {
  auto& state = self->state;
  if (!state.me || state.owned.empty())
    return;
  ask_database<int>(
    self, state.context->databases.background, "forget-preparations", state.context->settings.database_timeout,
    [me = *state.me, shards = shards_of(state)](store& db) { return db.publishing().forget_preparations(me, shards); },
    [log = state.context->log](const result<int>& forgotten) {
      if (!forgotten && forgotten.error().code != errc::cancelled)
        log->warn("preparations-not-forgotten", {{"error", forgotten.error().detail}});
    });
}

media_preparer_actor::behavior_type media_preparer(self_pointer self, engine_context_ptr context) {
  self->state.context = std::move(context);
  return {
    [self](atom::gained, const node_identity& me, const shard_list& shards) {
      self->state.me = me;
      self->state.owned.insert(shards.begin(), shards.end());
      look_soon(self);
    },
    [self](atom::drain, const shard_list& shards) {
      auto& state = self->state;
      for (const auto shard : shards)
        state.owned.erase(shard);
      drop_planned(state, [&](const planned_preparation& one) { return !state.owned.contains(shard_of(one.workspace)); });
    },
    [self](atom::lost) {
      auto& state = self->state;
      state.me.reset();
      state.owned.clear();
      drop_planned(state, [](const planned_preparation&) { return true; });
    },
    [self](atom::hint, std::int64_t in_milliseconds) {
      // Later ones are found by the sweep before their time.
      if (in_milliseconds > 0 && in_milliseconds <= self->state.context->hot.prepare_media_before.load().count())
        look_soon(self);
    },
    [self](atom::sweep) {
      forget(self);
      look_soon(self);
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"media_preparer",
                          "running",
                          {{"planned", std::to_string(state.planned.size())},
                           {"uploading", std::to_string(state.uploading)},
                           {"uploaded_total", std::to_string(state.uploaded_total)},
                           {"failed_total", std::to_string(state.failed_total)}},
                          {}};
    },
    [self](atom::tick, std::uint64_t generation) {
      if (self->state.timer.fires(generation))
        look(self);
    },
    [](atom::run, const std::shared_ptr<std::function<void()>>& step) { (*step)(); },
  };
}

} // namespace

media_preparer_actor spawn_media_preparer(caf::actor_system& system, engine_context_ptr context) {
  return system.spawn(media_preparer, std::move(context));
}

} // namespace carillon
