#include "actors/realtime/realtime.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "actors/timer.hpp"
#include "domain/ports/live_store.hpp"

namespace carillon {

namespace {

/// Grants whose subscription has not come; the oldest go first.
constexpr std::size_t most_waiting_grants = 50'000;
/// Of one user, for each of the connections it may have.
constexpr std::size_t waiting_grants_a_connection = 100;
/// Grants that one query asks about.
constexpr std::size_t recheck_batch = 5'000;
/// Notifications that one query reads, and the most that wait for one: beyond,
/// clients see the rows when they fetch next.
constexpr std::size_t load_batch = 1'000;
constexpr std::size_t most_to_load = 100'000;

/// Told to connect again at a time, and the pause after them: all at once
/// would come back at once.
constexpr std::size_t resync_slice = 500;
constexpr std::chrono::milliseconds resync_pause{100};
/// What comes later than this is not told to those who subscribed since; who
/// subscribed at about the time may have read it or not, and is told to
/// connect again.
constexpr std::chrono::milliseconds late_by{500};
constexpr std::chrono::milliseconds about{1'000};

struct subscription {
  std::string channel;
  caf::actor_clock::time_point since{};
  std::optional<live_grant> grant;
  int unknown_for = 0; ///< Rechecks that found it without a grant.
};

struct peer_entry {
  live_peer_ptr peer;
  std::vector<subscription> channels; ///< Few: searched one by one.

  subscription* find(const std::string& channel) {
    const auto i = std::find_if(channels.begin(), channels.end(),
                                [&](const subscription& s) { return s.channel == channel; });
    return i == channels.end() ? nullptr : &*i;
  }
};

struct waiting_grant {
  live_grant grant;
  int age = 0; ///< In rechecks.
};

struct realtime_state {
  static inline const char* name = "carillon.realtime";

  engine_context_ptr context;
  realtime_relay relay;

  std::unordered_map<std::string, peer_entry> peers; ///< By socket.
  std::unordered_map<std::string, std::vector<std::string>> listeners; ///< Channel -> sockets.
  std::map<user_id, std::map<std::string, int>> sockets_of;            ///< User -> socket -> channels.
  std::map<std::pair<std::string, std::string>, waiting_grant> waiting; ///< By socket and channel.
  std::map<user_id, std::size_t> waiting_of;
  std::size_t subscriptions = 0;

  std::vector<notification_id> to_load; ///< Written by other programs.
  bool loading = false;

  bool rechecking = false;
  std::set<user_id> recheck_next; ///< Changed while a recheck ran.
  std::uint64_t told = 0;         ///< Deliveries.
  std::uint64_t unheard = 0;      ///< Events nobody here listens to.
  std::uint64_t ended = 0;        ///< Peers that lost a right.
  std::vector<std::string> to_resync; ///< Sockets.
  std::uint64_t resyncs = 0;

  ~realtime_state() {
    for (auto& [socket, entry] : peers)
      entry.peer->end(live_end::reconnect);
  }

  // -- books ------------------------------------------------------------------

  void count_in(const live_grant& grant) {
    ++sockets_of[grant.user][grant.socket];
  }

  void count_out(const live_grant& grant) {
    const auto user = sockets_of.find(grant.user);
    if (user == sockets_of.end())
      return;
    const auto socket = user->second.find(grant.socket);
    if (socket != user->second.end() && --socket->second == 0)
      user->second.erase(socket);
    if (user->second.empty())
      sockets_of.erase(user);
  }

  using waiting_iterator = decltype(waiting)::iterator;

  waiting_iterator forget_waiting(waiting_iterator i) {
    const auto user = waiting_of.find(i->second.grant.user);
    if (user != waiting_of.end() && --user->second == 0)
      waiting_of.erase(user);
    return waiting.erase(i);
  }

  bool is_over_quota(const live_grant& grant) const {
    const auto user = sockets_of.find(grant.user);
    return user != sockets_of.end() && !user->second.contains(grant.socket)
           && user->second.size() >= context->settings.live_max_connections_per_user;
  }

  void forget_listener(const std::string& channel, const std::string& socket) {
    const auto i = listeners.find(channel);
    if (i == listeners.end())
      return;
    std::erase(i->second, socket);
    if (i->second.empty())
      listeners.erase(i);
  }

  void drop(const std::string& socket) {
    const auto i = peers.find(socket);
    if (i == peers.end())
      return;
    for (const auto& s : i->second.channels) {
      forget_listener(s.channel, socket);
      if (s.grant)
        count_out(*s.grant);
    }
    subscriptions -= i->second.channels.size();
    peers.erase(i);
  }

  void end(const std::string& socket, live_end why) {
    const auto i = peers.find(socket);
    if (i == peers.end())
      return;
    const auto peer = i->second.peer;
    drop(socket);
    peer->end(why);
  }

  /// False when the user has too many connections: the peer is then gone.
  bool attach(subscription& s, const live_grant& grant) {
    if (is_over_quota(grant)) {
      end(grant.socket, live_end::over_quota);
      return false;
    }
    if (s.grant)
      count_out(*s.grant);
    s.grant = grant;
    s.unknown_for = 0;
    count_in(grant);
    return true;
  }

  // -- what peers ask -----------------------------------------------------------

  void subscribe(live_subscription& wanted, caf::actor_clock::time_point now) {
    auto& entry = peers[wanted.socket];
    if (!entry.peer)
      entry.peer = std::move(wanted.peer);
    auto* s = entry.find(wanted.channel);
    if (!s) {
      s = &entry.channels.emplace_back();
      s->channel = wanted.channel;
      s->since = now;
      listeners[wanted.channel].push_back(wanted.socket);
      ++subscriptions;
    }
    const auto given = waiting.find({wanted.socket, wanted.channel});
    if (given == waiting.end())
      return;
    const auto grant = given->second.grant;
    forget_waiting(given);
    attach(*s, grant);
  }

  void leave(const std::string& socket, const std::string& channel) {
    const auto i = peers.find(socket);
    if (i == peers.end())
      return;
    auto& channels = i->second.channels;
    const auto s = std::find_if(channels.begin(), channels.end(),
                                [&](const subscription& one) { return one.channel == channel; });
    if (s == channels.end())
      return;
    forget_listener(channel, socket);
    if (s->grant)
      count_out(*s->grant);
    channels.erase(s);
    --subscriptions;
  }

  void grant(const live_grant& given) {
    if (const auto i = peers.find(given.socket); i != peers.end())
      if (auto* s = i->second.find(given.channel)) {
        // A socket is its first user's: nobody signs for another's.
        if (!s->grant || s->grant->user == given.user)
          attach(*s, given);
        return;
      }
    if (const auto known = waiting.find({given.socket, given.channel}); known != waiting.end()) {
      if (known->second.grant.user == given.user)
        known->second = {given, 0};
      return;
    }
    const auto of_user = waiting_of.find(given.user);
    if (of_user != waiting_of.end()
        && of_user->second >= context->settings.live_max_connections_per_user * waiting_grants_a_connection)
      return;
    if (waiting.size() >= most_waiting_grants)
      forget_waiting(std::max_element(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) {
        return a.second.age < b.second.age;
      }));
    waiting[{given.socket, given.channel}] = {given, 0};
    ++waiting_of[given.user];
  }

  // -- events -------------------------------------------------------------------

  void deliver(live_batch& batch, caf::actor_clock::time_point now) {
    const auto committed_at = now - batch.age;
    const bool is_late = batch.age >= late_by;
    std::vector<std::string> lost;
    std::vector<std::string> unsure;
    for (auto& event : batch.events) {
      const auto i = listeners.find(event.channel);
      if (i == listeners.end()) {
        ++unheard;
        continue;
      }
      const auto shared = std::make_shared<const live_event>(std::move(event));
      for (const auto& socket : i->second) {
        auto& entry = peers.at(socket);
        if (is_late && entry.find(shared->channel)->since > committed_at - about) {
          if (entry.find(shared->channel)->since < committed_at + about)
            unsure.push_back(socket);
          continue;
        }
        if (entry.peer->deliver(shared))
          ++told;
        else
          lost.push_back(socket);
      }
    }
    for (const auto& socket : lost)
      drop(socket);
    for (const auto& socket : unsure)
      end(socket, live_end::reconnect);
  }
};

using self_pointer = realtime_actor::stateful_pointer<realtime_state>;

void ask_who_may_stay(self_pointer self, std::vector<live_grant> grants);

/// Of these users, or of everybody.
void recheck(self_pointer self, const std::set<user_id>* users) {
  auto& state = self->state;
  if (state.rechecking) {
    if (users)
      state.recheck_next.insert(users->begin(), users->end());
    return;
  }
  std::vector<live_grant> grants;
  for (const auto& [socket, entry] : state.peers)
    for (const auto& s : entry.channels)
      if (s.grant && (!users || users->contains(s.grant->user)))
        grants.push_back(*s.grant);
  for (const auto& [key, one] : state.waiting)
    if (!users || users->contains(one.grant.user))
      grants.push_back(one.grant);
  if (!grants.empty())
    ask_who_may_stay(self, std::move(grants));
}

void recheck_done(self_pointer self) {
  auto& state = self->state;
  state.rechecking = false;
  if (state.recheck_next.empty())
    return;
  const auto users = std::exchange(state.recheck_next, {});
  recheck(self, &users);
}

void ask_who_may_stay(self_pointer self, std::vector<live_grant> grants) {
  auto& state = self->state;
  state.rechecking = true;
  auto now = std::make_shared<std::vector<live_grant>>(std::move(grants));
  auto later = std::make_shared<std::vector<live_grant>>();
  if (now->size() > recheck_batch) {
    later->assign(now->begin() + recheck_batch, now->end());
    now->resize(recheck_batch);
  }
  ask_database<std::vector<std::size_t>>(
    self, state.context->databases.background, "live-recheck", state.context->settings.database_timeout,
    [now](store& db) { return db.live().refused(scope::maintenance("who may still listen"), *now); },
    [self, now, later](result<std::vector<std::size_t>> refused) {
      auto& state = self->state;
      if (!refused) {
        // Nobody is cut off for the database's trouble; the next tick asks again.
        state.context->log->warn("live-recheck-failed", {{"error", refused.error().detail}});
        recheck_done(self);
        return;
      }
      for (const auto n : *refused) {
        const auto& grant = now->at(n);
        if (const auto w = state.waiting.find({grant.socket, grant.channel});
            w != state.waiting.end() && w->second.grant.token == grant.token)
          state.forget_waiting(w);
        const auto i = state.peers.find(grant.socket);
        const auto* s = i == state.peers.end() ? nullptr : i->second.find(grant.channel);
        // Allowed anew meanwhile by another token: not this grant's business.
        if (!s || !s->grant || s->grant->token != grant.token || s->grant->user != grant.user)
          continue;
        ++state.ended;
        state.context->log->info("live-right-ended", {{"socket", grant.socket}, {"channel", grant.channel}});
        state.end(grant.socket, live_end::reconnect);
      }
      if (later->empty())
        recheck_done(self);
      else
        ask_who_may_stay(self, std::move(*later));
    });
}

/// The periodic look.
void tick(self_pointer self) {
  auto& state = self->state;
  self->delayed_send(self, state.context->settings.live_recheck_every, atom::tick_v);
  for (auto i = state.waiting.begin(); i != state.waiting.end();)
    i = ++i->second.age > 1 ? state.forget_waiting(i) : std::next(i);
  std::vector<std::string> unknown;
  for (auto& [socket, entry] : state.peers)
    for (auto& s : entry.channels)
      if (!s.grant && ++s.unknown_for > 1) {
        unknown.push_back(socket);
        break;
      }
  for (const auto& socket : unknown)
    state.end(socket, live_end::reconnect);
  recheck(self, nullptr);
}

void take_batch(self_pointer self, live_batch& batch) {
  if (!batch.rights_changed.empty()) {
    const std::set<user_id> users{batch.rights_changed.begin(), batch.rights_changed.end()};
    recheck(self, &users);
  }
  self->state.deliver(batch, clock_now(self));
}

void resync_some(self_pointer self) {
  auto& state = self->state;
  for (std::size_t n = 0; n < resync_slice && !state.to_resync.empty(); ++n) {
    state.end(state.to_resync.back(), live_end::reconnect);
    state.to_resync.pop_back();
  }
  if (!state.to_resync.empty())
    self->delayed_send(self, resync_pause, atom::resync_v, atom::tick_v);
}

/// Those who come from now on are not concerned.
void resync(self_pointer self) {
  auto& state = self->state;
  const bool is_running = !state.to_resync.empty();
  ++state.resyncs;
  state.to_resync.clear();
  for (const auto& [socket, entry] : state.peers)
    state.to_resync.push_back(socket);
  if (!state.to_resync.empty())
    state.context->log->info("live-resync", {{"sockets", std::to_string(state.to_resync.size())}});
  if (!is_running)
    resync_some(self);
}

/// What other programs wrote, a query at a time.
void load_notifications(self_pointer self) {
  auto& state = self->state;
  if (state.loading || state.to_load.empty())
    return;
  state.loading = true;
  auto ids = std::exchange(state.to_load, {});
  if (ids.size() > load_batch) {
    state.to_load.assign(ids.begin() + load_batch, ids.end());
    ids.resize(load_batch);
  }
  ask_database<std::vector<live_event>>(
    self, state.context->databases.background, "live-notifications", state.context->settings.database_timeout,
    [ids = std::move(ids)](store& db) {
      return db.live().of_notifications(scope::maintenance("another program's notification"), ids);
    },
    [self](result<std::vector<live_event>> events) {
      auto& state = self->state;
      state.loading = false;
      if (events) {
        live_batch batch{std::move(*events), {}};
        if (state.relay.events)
          state.relay.events(batch);
        take_batch(self, batch);
      } else {
        state.context->log->warn("live-notifications-not-read", {{"error", events.error().detail}});
      }
      load_notifications(self);
    });
}

actor_report report(const realtime_state& state) {
  const auto& link = *state.context->realtime;
  return {"realtime",
          "running",
          {{"sockets", std::to_string(link.sockets.load())},
           {"streams", std::to_string(link.streams.load())},
           {"channels", std::to_string(state.listeners.size())},
           {"subscriptions", std::to_string(state.subscriptions)},
           {"users", std::to_string(state.sockets_of.size())},
           {"delivered", std::to_string(state.told)},
           {"unheard", std::to_string(state.unheard)},
           {"cut_off", std::to_string(link.cut_off.load())},
           {"rights_ended", std::to_string(state.ended)},
           {"resyncs", std::to_string(state.resyncs)}},
          {}};
}

realtime_actor::behavior_type realtime(self_pointer self, engine_context_ptr context, realtime_relay relay) {
  self->state.context = std::move(context);
  self->state.relay = std::move(relay);
  self->delayed_send(self, self->state.context->settings.live_recheck_every, atom::tick_v);
  return {
    [self](atom::subscribe, live_subscription& wanted) { self->state.subscribe(wanted, clock_now(self)); },
    [self](atom::leave, const std::string& socket, const std::string& channel) {
      self->state.leave(socket, channel);
    },
    [self](atom::gone, const std::string& socket) { self->state.drop(socket); },
    [self](atom::grant, const live_grant& grant) {
      if (self->state.relay.grants)
        self->state.relay.grants(grant);
      self->state.grant(grant);
    },
    [self](atom::live, live_batch& batch) {
      if (self->state.relay.events)
        self->state.relay.events(batch);
      take_batch(self, batch);
    },
    [self](atom::hint, const std::string& notification) {
      if (const auto id = notification_id::parse(notification);
          id && self->state.to_load.size() < most_to_load) {
        self->state.to_load.push_back(*id);
        load_notifications(self);
      }
    },
    [self](atom::peer, live_batch& batch) { take_batch(self, batch); },
    [self](atom::peer, const live_grant& grant) { self->state.grant(grant); },
    [self](atom::resync) { resync(self); },
    [self](atom::report) { return report(self->state); },
    [self](atom::tick) { tick(self); },
    [self](atom::resync, atom::tick) { resync_some(self); },
  };
}

} // namespace

realtime_actor spawn_realtime(caf::actor_system& system, engine_context_ptr context, realtime_relay relay) {
  return system.spawn(realtime, std::move(context), std::move(relay));
}

} // namespace carillon
