#include "actors/node/node.hpp"

#include <deque>

#include "actors/jobs/job_feed.hpp"
#include "actors/jobs/media_preparer.hpp"
#include "actors/jobs/publish_desk.hpp"
#include "actors/jobs/publish_sweep.hpp"
#include "actors/jobs/scheduler.hpp"
#include "actors/node/ownership.hpp"
#include "actors/node/region.hpp"
#include "actors/realtime/cluster.hpp"
#include "actors/realtime/peer_network.hpp"
#include "actors/realtime/realtime.hpp"
#include "actors/timer.hpp"
#include "domain/backoff.hpp"
#include "domain/node_message.hpp"

namespace carillon {

namespace {

struct node_state {
  static inline const char* name = "carillon.node";

  engine_context_ptr context;
  std::chrono::milliseconds shutdown_grace{};

  job_feed_actor feed;
  media_preparer_actor preparer;
  publish_sweep_actor sweep;
  publish_desk_actor desk;
  scheduler_actor scheduler;
  region_actor region;
  ownership_actor ownership;
  realtime_actor realtime;
  cluster_actor cluster; ///< Null where there is none.
  bool leaving = false;
  peer_network_actor network;
  std::shared_ptr<cluster_link> to_cluster = std::make_shared<cluster_link>();

  std::deque<caf::actor_clock::time_point> realtime_crashes;
  std::deque<caf::actor_clock::time_point> cluster_crashes;
  std::deque<caf::actor_clock::time_point> crashes;
  bool up = false;
  bool ending = false;
  std::optional<caf::typed_response_promise<atom::done>> stopping;

  ~node_state() {
    bring_down();
    if (context)
      context->realtime->connect({});
    if (realtime)
      caf::anon_send_exit(realtime, caf::exit_reason::user_shutdown);
    to_cluster->connect({});
    if (cluster)
      caf::anon_send_exit(cluster, caf::exit_reason::user_shutdown);
    if (network)
      caf::anon_send_exit(network, caf::exit_reason::user_shutdown);
  }

  void bring_down() {
    if (context)
      context->intake->connect({});
    auto end = [](auto& handle) {
      if (handle)
        caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
      handle = nullptr;
    };
    end(ownership);
    end(sweep);
    end(preparer);
    end(scheduler);
    end(feed);
    end(region);
    end(desk);
    up = false;
  }
};

using self_pointer = node_actor::stateful_pointer<node_state>;

void start_engine(self_pointer self) {
  auto& state = self->state;
  auto& system = self->home_system();
  state.feed = spawn_job_feed(system, state.context);
  state.context->intake->connect(state.feed);
  state.preparer = spawn_media_preparer(system, state.context);
  state.sweep = spawn_publish_sweep(system, state.context, state.feed, state.preparer);
  state.scheduler = spawn_scheduler(system, state.context, state.feed);
  state.desk = spawn_publish_desk(system, state.context, state.feed);
  state.region = spawn_region(system, state.context, state.feed, state.sweep, state.desk);
  self->send(state.feed, atom::configure_v, caf::actor_cast<caf::strong_actor_ptr>(state.region));
  state.ownership = spawn_ownership(system, state.context, state.feed, state.region, state.sweep,
                                    state.scheduler);
  self->monitor(state.feed);
  self->monitor(state.preparer);
  self->monitor(state.sweep);
  self->monitor(state.scheduler);
  self->monitor(state.desk);
  self->monitor(state.region);
  self->monitor(state.ownership);
  state.up = true;
}

void part_went_down(self_pointer self, const caf::down_msg& down) {
  auto& state = self->state;
  // Downs of parts that were brought down on purpose arrive late.
  if (!state.up || state.ending)
    return;
  const auto& settings = state.context->settings;
  const auto now = clock_now(self);
  state.crashes.push_back(now);
  while (state.crashes.front() + settings.restart_window < now)
    state.crashes.pop_front();
  state.context->log->error("engine-crashed", {{"reason", self->home_system().render(down.reason)},
                                               {"crashes", std::to_string(state.crashes.size())}});
  state.context->measured->actor_restarted("engine");
  state.context->lease.expire();
  state.bring_down();
  if (static_cast<int>(state.crashes.size()) > settings.restart_intensity) {
    self->quit(caf::sec::runtime_error);
    return;
  }
  self->delayed_send(self,
                     exponential_delay(settings.restart_min_backoff, settings.restart_max_backoff,
                                       static_cast<int>(state.crashes.size()), 0.5),
                     atom::restart_v);
}

void end_lease(self_pointer self);

/// With backoff; a part that crashes more than `restart_intensity` times ends
/// the node.
template <class Part>
void restart_later(self_pointer self, const caf::down_msg& down, std::string_view event,
                   std::deque<caf::actor_clock::time_point>& crashes, Part part) {
  auto& state = self->state;
  const auto& settings = state.context->settings;
  const auto now = clock_now(self);
  crashes.push_back(now);
  while (crashes.front() + settings.restart_window < now)
    crashes.pop_front();
  state.context->log->error(event, {{"reason", self->home_system().render(down.reason)},
                                    {"crashes", std::to_string(crashes.size())}});
  if (static_cast<int>(crashes.size()) > settings.restart_intensity) {
    self->quit(caf::sec::runtime_error);
    return;
  }
  self->delayed_send(self,
                     exponential_delay(settings.restart_min_backoff, settings.restart_max_backoff,
                                       static_cast<int>(crashes.size()), 0.5),
                     atom::restart_v, part);
}

void start_realtime(self_pointer self) {
  auto& state = self->state;
  realtime_relay relay;
  if (state.context->settings.cluster.enabled) {
    relay.events = [to = state.to_cluster](const live_batch& batch) { to->tell(atom::live_v, batch); };
    relay.grants = [to = state.to_cluster](const live_grant& grant) { to->tell(atom::grant_v, grant); };
  }
  state.realtime = spawn_realtime(self->home_system(), state.context, std::move(relay));
  self->monitor(state.realtime);
  state.context->realtime->connect(state.realtime);
}

/// Its end has told every socket to connect again.
void realtime_went_down(self_pointer self, const caf::down_msg& down) {
  auto& state = self->state;
  state.context->realtime->connect({});
  state.realtime = nullptr;
  restart_later(self, down, "realtime-crashed", state.realtime_crashes, atom::live_v);
}

void start_cluster(self_pointer self) {
  auto& state = self->state;
  if (!state.network)
    state.network = spawn_peer_network(self->home_system());
  state.cluster = spawn_cluster(self->home_system(), state.context, state.network);
  self->monitor(state.cluster);
  state.to_cluster->connect(state.cluster);
}

/// The others miss it, and tell their clients to connect again.
void cluster_went_down(self_pointer self, const caf::down_msg& down) {
  auto& state = self->state;
  state.to_cluster->connect({});
  state.cluster = nullptr;
  restart_later(self, down, "cluster-crashed", state.cluster_crashes, atom::peer_v);
}

/// What is left to tell is told before the lease ends.
void leave_cluster(self_pointer self) {
  auto& state = self->state;
  if (std::exchange(state.leaving, true))
    return;
  if (!state.cluster) {
    end_lease(self);
    return;
  }
  self->request(state.cluster, std::chrono::seconds{3}, atom::stop_v)
    .then([self](atom::done) { end_lease(self); }, [self](caf::error&) { end_lease(self); });
}

void end_lease(self_pointer self) {
  auto& state = self->state;
  if (state.ending)
    return;
  state.ending = true;
  const auto finished = [self] {
    auto& state = self->state;
    if (state.stopping)
      state.stopping->deliver(atom::done_v);
    state.stopping.reset();
  };
  if (!state.ownership) {
    finished();
    return;
  }
  self->request(state.ownership, std::chrono::seconds{8}, atom::stop_v)
    .then([finished](atom::done) { finished(); }, [finished](caf::error&) { finished(); });
}

template <class Handle>
void collect(self_pointer self, const Handle& part, const std::shared_ptr<actor_report>& out,
             const std::shared_ptr<int>& missing, caf::typed_response_promise<actor_report> promise) {
  auto arrived = [out, missing, promise]() mutable {
    if (--*missing == 0)
      promise.deliver(*out);
  };
  if (!part) {
    arrived();
    return;
  }
  self->request(part, std::chrono::seconds{2}, atom::report_v)
    .then(
      [out, arrived](actor_report& report) mutable {
        out->children.push_back(std::move(report));
        arrived();
      },
      [out, arrived](caf::error&) mutable {
        out->children.push_back({"(no answer)", "unknown", {}, {}});
        arrived();
      });
}

node_actor::behavior_type node(self_pointer self, engine_context_ptr context,
                               std::chrono::milliseconds shutdown_grace) {
  self->state.context = std::move(context);
  self->state.shutdown_grace = shutdown_grace;
  self->set_down_handler([self](const caf::down_msg& down) {
    if (self->state.realtime && down.source == self->state.realtime.address())
      realtime_went_down(self, down);
    else if (self->state.cluster && down.source == self->state.cluster.address())
      cluster_went_down(self, down);
    else
      part_went_down(self, down);
  });
  start_engine(self);
  start_realtime(self);
  if (self->state.context->settings.cluster.enabled)
    start_cluster(self);
  return {
    [self](atom::hint, const hint& h) {
      if (self->state.region)
        self->send(self->state.region, atom::hint_v, h);
    },
    [self](atom::hint, const std::string& payload) {
      if (const auto message = decode_node_message(payload); message && message->type == "live") {
        if (self->state.realtime && message->version == 1)
          self->send(self->state.realtime, atom::hint_v, message->body);
        return;
      }
      if (self->state.region)
        self->send(self->state.region, atom::hint_v, payload);
    },
    [self](atom::sweep) {
      if (!self->state.up)
        return;
      self->send(self->state.feed, atom::sweep_v);
      self->send(self->state.sweep, atom::hint_v, std::int64_t{0});
      self->send(self->state.scheduler, atom::hint_v);
    },
    [self](atom::release, const std::string& workspace) -> caf::result<bool> {
      if (!self->state.region)
        return false;
      return self->delegate(self->state.region, atom::release_v, workspace);
    },
    [self](atom::stop) -> caf::result<atom::done> {
      auto& state = self->state;
      auto promise = self->make_response_promise<atom::done>();
      state.stopping = promise;
      if (!state.up) {
        leave_cluster(self);
        return promise;
      }
      self->delayed_send(self, state.shutdown_grace, atom::tick_v);
      self->request(state.feed, state.shutdown_grace + std::chrono::seconds{1}, atom::stop_v)
        .then([self](atom::done) { leave_cluster(self); }, [self](caf::error&) { leave_cluster(self); });
      return promise;
    },
    [self](atom::report) -> caf::result<actor_report> {
      auto& state = self->state;
      auto promise = self->make_response_promise<actor_report>();
      auto out = std::make_shared<actor_report>();
      out->name = "node " + state.context->settings.node;
      out->state = state.stopping ? "draining" : state.up ? "running" : "restarting";
      out->facts.emplace_back("recent_crashes", std::to_string(state.crashes.size()));
      auto missing = std::make_shared<int>(state.cluster ? 12 : 11);
      collect(self, state.ownership, out, missing, promise);
      collect(self, state.region, out, missing, promise);
      collect(self, state.feed, out, missing, promise);
      collect(self, state.sweep, out, missing, promise);
      collect(self, state.preparer, out, missing, promise);
      collect(self, state.desk, out, missing, promise);
      collect(self, state.scheduler, out, missing, promise);
      collect(self, state.realtime, out, missing, promise);
      if (state.cluster)
        collect(self, state.cluster, out, missing, promise);
      collect(self, state.context->databases.interactive, out, missing, promise);
      collect(self, state.context->databases.background, out, missing, promise);
      collect(self, state.context->databases.control, out, missing, promise);
      return promise;
    },
    [self](atom::restart) {
      if (!self->state.up && !self->state.stopping)
        start_engine(self);
    },
    [self](atom::restart, atom::live) {
      if (self->state.realtime)
        return;
      start_realtime(self);
      self->state.to_cluster->tell(atom::resync_v);
    },
    [self](atom::restart, atom::peer) {
      if (!self->state.cluster && !self->state.stopping)
        start_cluster(self);
    },
    [self](atom::tick) { leave_cluster(self); },
  };
}

} // namespace

node_actor spawn_node(caf::actor_system& system, engine_context_ptr context,
                      std::chrono::milliseconds shutdown_grace) {
  return system.spawn(node, std::move(context), shutdown_grace);
}

} // namespace carillon
