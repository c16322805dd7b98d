#include "actors/workspace/supervisor.hpp"

#include <array>
#include <deque>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/timer.hpp"
#include "actors/workspace/messenger.hpp"
#include "actors/workspace/notifier.hpp"
#include "actors/workspace/publisher.hpp"
#include "actors/workspace/steward.hpp"
#include "domain/backoff.hpp"

namespace carillon {

namespace {

constexpr int publisher_slot = 0;
constexpr int notifier_slot = 1;
constexpr int steward_slot = 2;
constexpr int messenger_slot = 3;
constexpr int slot_count = 4;
constexpr std::array<const char*, slot_count> slot_names{"publisher", "notifier", "steward", "messenger"};

int slot_of(const job& work) {
  if (work.kind == kinds::publish_post)
    return publisher_slot;
  if (work.kind == kinds::send_notification_push || work.kind == kinds::send_notification_sms)
    return messenger_slot;
  return work.kind == kinds::send_notification_email || work.kind == kinds::send_notification_digest ? notifier_slot
                                                                                                     : steward_slot;
}

/// Run here: a message to the steward and back would cost more than they do.
const quick_handler* quick_handler_of(const engine_context& context, const job& work) {
  const auto handler = context.handlers.find(work.kind);
  return handler == context.handlers.end() ? nullptr : std::get_if<quick_handler>(&handler->second);
}

/// Started with its first job.
struct child {
  job_runner_actor handle;
  std::uint64_t generation = 0;
  int restarts = 0;
  bool restarting = false;
  /// Jobs that came while it was being restarted.
  std::vector<running_job_ptr> waiting;
};

struct workspace_state {
  static inline const char* name = "carillon.workspace";

  engine_context_ptr context;
  workspace_id id;
  job_feed_actor feed;
  publish_desk_actor desk;
  region_actor region;

  std::array<child, slot_count> children;
  /// By the feed's run.
  std::unordered_map<std::int64_t, std::pair<int, running_job_ptr>> outstanding;
  std::deque<caf::actor_clock::time_point> crashes;
  caf::actor_clock::time_point last_busy{};
  std::uint64_t jobs_received = 0;

  ~workspace_state() {
    for (auto& c : children)
      if (c.handle)
        caf::anon_send_exit(c.handle, caf::exit_reason::user_shutdown);
  }
};

using self_pointer = workspace_actor::stateful_pointer<workspace_state>;

void start_child(self_pointer self, int slot) {
  auto& state = self->state;
  auto& c = state.children[static_cast<std::size_t>(slot)];
  c.restarting = false;
  auto& system = self->home_system();
  const workspace_actor me{self};
  c.handle = slot == publisher_slot   ? spawn_publisher(system, state.context, me, state.feed, state.desk)
             : slot == notifier_slot  ? spawn_notifier(system, state.context, me)
             : slot == messenger_slot ? spawn_messenger(system, state.context, me)
                                      : spawn_steward(system, state.context, me);
  self->monitor(c.handle);
  if (!c.waiting.empty())
    self->send(c.handle, atom::job_v, job_handout{std::exchange(c.waiting, {})});
}

double uniform() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>{0.0, 1.0}(random);
}

void report_jobs_of(self_pointer self, int slot, job_report::kind how, const std::string& error,
                    std::optional<std::chrono::milliseconds> delay) {
  auto& state = self->state;
  run_reports reports;
  std::erase_if(state.outstanding, [&](const auto& entry) {
    if (entry.second.first != slot)
      return false;
    reports.all.push_back(report_of(*entry.second.second, how, error, delay));
    return true;
  });
  if (!reports.all.empty())
    self->send(state.feed, atom::conclude_v, std::move(reports));
  state.children[static_cast<std::size_t>(slot)].waiting.clear();
}

void child_went_down(self_pointer self, const caf::down_msg& down) {
  auto& state = self->state;
  for (int slot = 0; slot < slot_count; ++slot) {
    auto& c = state.children[static_cast<std::size_t>(slot)];
    if (!c.handle || c.handle.address() != down.source)
      continue;
    c.handle = nullptr;
    const auto& settings = state.context->settings;
    const auto now = clock_now(self);
    state.crashes.push_back(now);
    while (state.crashes.front() + settings.restart_window < now)
      state.crashes.pop_front();
    const auto reason = self->home_system().render(down.reason);
    state.context->log->error("actor-crashed", {{"actor", slot_names[static_cast<std::size_t>(slot)]},
                                                {"workspace", to_string(state.id)},
                                                {"reason", reason},
                                                {"crashes", std::to_string(state.crashes.size())}});
    report_jobs_of(self, slot, job_report::kind::retry,
                   std::string{slot_names[static_cast<std::size_t>(slot)]} + " crashed: " + reason, {});
    if (static_cast<int>(state.crashes.size()) > settings.restart_intensity) {
      for (int other = 0; other < slot_count; ++other)
        report_jobs_of(self, other, job_report::kind::postponed, "workspace quarantined",
                       settings.quarantine_cool_down);
      self->quit(caf::sec::runtime_error);
      return;
    }
    const auto delay = exponential_delay(settings.restart_min_backoff, settings.restart_max_backoff,
                                         static_cast<int>(state.crashes.size()) - 1, uniform());
    ++c.restarts;
    c.restarting = true;
    state.context->measured->actor_restarted(slot_names[static_cast<std::size_t>(slot)]);
    self->delayed_send(self, delay, atom::restart_v, slot, ++c.generation);
    return;
  }
}

workspace_actor::behavior_type supervisor(self_pointer self, engine_context_ptr context,
                                          workspace_id id, job_feed_actor feed, publish_desk_actor desk,
                                          region_actor region) {
  auto& state = self->state;
  state.context = std::move(context);
  state.id = id;
  state.feed = std::move(feed);
  state.desk = std::move(desk);
  state.region = std::move(region);
  state.last_busy = clock_now(self);
  self->set_down_handler([self](const caf::down_msg& down) { child_went_down(self, down); });
  self->delayed_send(self, state.context->hot.passivate_after.load(), atom::tick_v);
  return {
    [self](atom::job, const job_handout& handout) {
      auto& state = self->state;
      state.jobs_received += handout.jobs.size();
      state.last_busy = clock_now(self);
      std::array<std::vector<running_job_ptr>, slot_count> by_slot;
      run_reports quick;
      for (const auto& job : handout.jobs) {
        if (const auto* run = quick_handler_of(*state.context, job->work())) {
          auto outcome = guarded([&] { return (*run)(job->work()); });
          quick.all.push_back(report_of(*job, outcome.how, std::move(outcome.error), outcome.delay));
          continue;
        }
        const auto slot = slot_of(job->work());
        state.outstanding.emplace(job->run, std::pair{slot, job});
        by_slot[static_cast<std::size_t>(slot)].push_back(job);
      }
      for (std::size_t slot = 0; slot < slot_count; ++slot) {
        auto& jobs = by_slot[slot];
        auto& c = state.children[slot];
        if (jobs.empty())
          continue;
        if (c.restarting) {
          c.waiting.insert(c.waiting.end(), jobs.begin(), jobs.end());
          continue;
        }
        if (!c.handle)
          start_child(self, static_cast<int>(slot));
        self->send(c.handle, atom::job_v, job_handout{std::move(jobs)});
      }
      if (quick.all.empty())
        return;
      if (!handout.tray)
        self->send(state.feed, atom::conclude_v, std::move(quick));
      else if (handout.tray->add(std::move(quick.all)))
        self->send(state.feed, atom::conclude_v);
    },
    [self](atom::conclude, const run_reports& reports) {
      auto& state = self->state;
      state.last_busy = clock_now(self);
      run_reports known;
      for (const auto& report : reports.all)
        if (state.outstanding.erase(report.run) > 0)
          known.all.push_back(report);
      if (!known.all.empty())
        self->send(state.feed, atom::conclude_v, std::move(known));
    },
    [self](atom::stop) { self->quit(); },
    [self](atom::report) {
      const auto& state = self->state;
      actor_report out{"workspace " + to_string(state.id),
                       "running",
                       {{"outstanding", std::to_string(state.outstanding.size())},
                        {"recent_crashes", std::to_string(state.crashes.size())}},
                       {}};
      for (int slot = 0; slot < slot_count; ++slot) {
        const auto& c = state.children[static_cast<std::size_t>(slot)];
        if (!c.handle && !c.restarting)
          continue;
        out.children.push_back({slot_names[static_cast<std::size_t>(slot)],
                                c.handle ? "running" : "restarting",
                                {{"restarts", std::to_string(c.restarts)}},
                                {}});
      }
      return out;
    },
    [self](atom::restart, int slot, std::uint64_t generation) {
      const auto& c = self->state.children[static_cast<std::size_t>(slot)];
      if (c.generation == generation && c.restarting)
        start_child(self, slot);
    },
    [self](atom::tick) {
      auto& state = self->state;
      const auto idle_for = state.context->hot.passivate_after.load();
      const auto idle = clock_now(self) - state.last_busy;
      if (state.outstanding.empty() && idle >= idle_for) {
        self->send(state.region, atom::passivate_v, to_string(state.id), state.jobs_received);
        self->delayed_send(self, idle_for, atom::tick_v);
      } else {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(idle_for - idle);
        self->delayed_send(self, std::max(left, std::chrono::milliseconds{100}), atom::tick_v);
      }
    },
  };
}

} // namespace

workspace_actor spawn_workspace(caf::actor_system& system, engine_context_ptr context,
                                workspace_id id, job_feed_actor feed, publish_desk_actor desk, region_actor region) {
  return system.spawn(supervisor, std::move(context), id, std::move(feed), std::move(desk), std::move(region));
}

} // namespace carillon
