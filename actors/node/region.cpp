#include "actors/node/region.hpp"

#include <algorithm>
#include <bitset>
#include <charconv>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/id_map.hpp"
#include "actors/timer.hpp"
#include "actors/workspace/supervisor.hpp"
#include "domain/clock.hpp"
#include "domain/node_message.hpp"
#include "domain/ports/ownership_store.hpp"

namespace carillon {

namespace {

struct entry {
  workspace_actor handle;
  std::uint64_t jobs_sent = 0;
  /// Asked to stop; what comes meanwhile waits for the successor.
  bool stopping = false;
  std::vector<running_job_ptr> waiting;
  /// Of the handout that is being dealt out.
  std::vector<running_job_ptr> next;
};

struct region_state {
  static inline const char* name = "carillon.region";

  engine_context_ptr context;
  job_feed_actor feed;
  publish_sweep_actor sweep;
  publish_desk_actor desk;
  std::bitset<shard_count> owned;
  std::unordered_map<workspace_id, entry, id_hash, id_equal> workspaces;
  std::unordered_map<workspace_id, caf::actor_clock::time_point> quarantined;
  std::uint64_t started_total = 0;
  std::uint64_t passivated_total = 0;

  ~region_state() {
    for (auto& [id, e] : workspaces)
      if (e.handle)
        caf::anon_send_exit(e.handle, caf::exit_reason::user_shutdown);
  }
};

using self_pointer = region_actor::stateful_pointer<region_state>;

void refuse(self_pointer self, const std::vector<running_job_ptr>& jobs) {
  const auto& state = self->state;
  run_reports refused;
  for (const auto& job : jobs)
    refused.all.push_back(report_of(*job, job_report::kind::postponed, "workspace quarantined",
                                    state.context->settings.quarantine_cool_down));
  self->send(state.feed, atom::conclude_v, std::move(refused));
}

/// All of one workspace, which is not quarantined.
void deliver_to(self_pointer self, const workspace_id& id, entry& e, std::vector<running_job_ptr> jobs,
                const std::shared_ptr<report_tray>& tray) {
  auto& state = self->state;
  if (e.stopping) {
    e.waiting.insert(e.waiting.end(), jobs.begin(), jobs.end());
    return;
  }
  if (!e.handle) {
    e.handle = spawn_workspace(self->home_system(), state.context, id, state.feed, state.desk, region_actor{self});
    e.jobs_sent = 0;
    self->monitor(e.handle);
    ++state.started_total;
  }
  e.jobs_sent += jobs.size();
  self->send(e.handle, atom::job_v, job_handout{std::move(jobs), tray});
}

void deliver(self_pointer self, job_handout& handout) {
  auto& state = self->state;
  std::vector<running_job_ptr> quarantined;
  std::vector<std::pair<const workspace_id, entry>*> called;
  for (auto& job : handout.jobs) {
    const auto& id = job->work().workspace;
    if (!state.quarantined.empty() && state.quarantined.contains(id)) {
      quarantined.push_back(std::move(job));
      continue;
    }
    auto& workspace = *state.workspaces.try_emplace(id).first;
    if (workspace.second.next.empty())
      called.push_back(&workspace);
    workspace.second.next.push_back(std::move(job));
  }
  for (auto* workspace : called)
    deliver_to(self, workspace->first, workspace->second, std::exchange(workspace->second.next, {}), handout.tray);
  if (!quarantined.empty())
    refuse(self, quarantined);
}

void workspace_went_down(self_pointer self, const caf::down_msg& down) {
  auto& state = self->state;
  const auto i = std::find_if(state.workspaces.begin(), state.workspaces.end(), [&](const auto& e) {
    return e.second.handle && e.second.handle.address() == down.source;
  });
  if (i == state.workspaces.end())
    return;
  const auto id = i->first;
  auto waiting = std::move(i->second.waiting);
  const bool asked_to = i->second.stopping;
  state.workspaces.erase(i);
  if (!asked_to) {
    state.context->measured->actor_restarted("workspace");
    const auto cool_down = state.context->settings.quarantine_cool_down;
    state.quarantined[id] = clock_now(self) + cool_down;
    state.context->log->error("workspace-quarantined",
                              {{"workspace", to_string(id)},
                               {"reason", self->home_system().render(down.reason)},
                               {"cool_down_ms", std::to_string(cool_down.count())}});
    self->delayed_send(self, cool_down, atom::tick_v, to_string(id));
  }
  if (waiting.empty())
    return;
  if (state.quarantined.contains(id))
    refuse(self, waiting);
  else
    deliver_to(self, id, state.workspaces[id], std::move(waiting), nullptr);
}

void act_on(self_pointer self, const hint& h) {
  auto& state = self->state;
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(h.at - system_clock{}.now());
  const auto in_milliseconds = std::max<std::int64_t>(0, wait.count());
  if (h.about == hint::subject::post_due)
    self->send(state.sweep, atom::hint_v, in_milliseconds);
  else if (in_milliseconds == 0)
    self->send(state.feed, atom::hint_v, h);
  else
    self->send(state.feed, atom::hint_v, in_milliseconds);
}

void tell_owner(self_pointer self, const hint& h) {
  ask_database<done>(
    self, self->state.context->databases.background, "notify-owner", std::chrono::seconds{2},
    [shard = shard_of(h.workspace), payload = encode_hint(h)](store& db) -> result<done> {
      auto owner = db.ownership().owner_of(shard);
      if (!owner)
        return owner.error();
      if (!*owner)
        return done{};
      return db.ownership().notify(**owner, payload);
    },
    // A lost hint makes it late by one sweep, never lost.
    [](result<done>) {});
}

region_actor::behavior_type region(self_pointer self, engine_context_ptr context,
                                   job_feed_actor feed, publish_sweep_actor sweep, publish_desk_actor desk) {
  self->state.context = std::move(context);
  self->state.feed = std::move(feed);
  self->state.sweep = std::move(sweep);
  self->state.desk = std::move(desk);
  self->set_down_handler([self](const caf::down_msg& down) { workspace_went_down(self, down); });
  return {
    [self](atom::gained, const node_identity&, const shard_list& shards) {
      for (const auto shard : shards)
        self->state.owned.set(shard);
    },
    [self](atom::lost, const shard_list& shards) {
      auto& state = self->state;
      for (const auto shard : shards)
        state.owned.reset(shard);
      for (auto& [id, e] : state.workspaces)
        if (!state.owned[shard_of(id)] && e.handle && !e.stopping) {
          e.stopping = true;
          e.waiting.clear();
          self->send(e.handle, atom::stop_v);
        }
    },
    [self](atom::job, job_handout& handout) { deliver(self, handout); },
    [self](atom::hint, const hint& h) {
      if (self->state.owned[shard_of(h.workspace)])
        act_on(self, h);
      else
        tell_owner(self, h);
    },
    [self](atom::hint, const std::string& payload) {
      const auto message = decode_node_message(payload);
      if (message && message->type == "sweep")
        self->send(self->state.feed, atom::hint_v, std::int64_t{0});
      if (message && message->type == "controls")
        self->send(self->state.feed, atom::controls_v);
      const auto h = decode_hint(payload);
      if (h && self->state.owned[shard_of(h->workspace)])
        act_on(self, *h);
    },
    [self](atom::passivate, const std::string& text, std::uint64_t received) {
      auto& state = self->state;
      const auto id = workspace_id::parse(text);
      const auto i = id ? state.workspaces.find(*id) : state.workspaces.end();
      if (i == state.workspaces.end() || i->second.stopping || i->second.jobs_sent != received)
        return;
      i->second.stopping = true;
      ++state.passivated_total;
      self->send(i->second.handle, atom::stop_v);
    },
    [self](atom::release, const std::string& text) {
      const auto id = workspace_id::parse(text);
      const bool released = id && self->state.quarantined.erase(*id) > 0;
      if (released) {
        self->state.context->log->info("quarantine-released", {{"workspace", text}, {"by", "operator"}});
        self->send(self->state.feed, atom::hint_v, std::int64_t{0});
      }
      return released;
    },
    [self](atom::report) {
      const auto& state = self->state;
      actor_report out{"region",
                       "running",
                       {{"shards", std::to_string(state.owned.count())},
                        {"workspaces", std::to_string(state.workspaces.size())},
                        {"quarantined", std::to_string(state.quarantined.size())},
                        {"started_total", std::to_string(state.started_total)},
                        {"passivated_total", std::to_string(state.passivated_total)},
                        {"mailbox", std::to_string(mailbox_depth(self))}},
                       {}};
      for (const auto& [id, until] : state.quarantined)
        out.children.push_back({"workspace " + to_string(id), "quarantined", {}, {}});
      for (const auto& [id, e] : state.workspaces)
        out.children.push_back({"workspace " + to_string(id), e.stopping ? "draining" : "running",
                                {{"jobs", std::to_string(e.jobs_sent)}}, {}});
      return out;
    },
    [self](atom::tick, const std::string& text) {
      const auto id = workspace_id::parse(text);
      const auto i = id ? self->state.quarantined.find(*id) : self->state.quarantined.end();
      if (i != self->state.quarantined.end() && i->second <= clock_now(self)) {
        self->state.quarantined.erase(i);
        self->state.context->log->info("quarantine-released", {{"workspace", text}, {"by", "cool-down"}});
      }
    },
  };
}

} // namespace

std::string encode_hint(const hint& h) {
  return encode({1, "hint", std::string{h.about == hint::subject::post_due ? "p" : "j"} + to_string(h.workspace)
                              + std::to_string(h.at.time_since_epoch().count())});
}

std::optional<hint> decode_hint(std::string_view payload) {
  const auto message = decode_node_message(payload);
  if (!message || message->version != 1 || message->type != "hint")
    return std::nullopt;
  const std::string_view text = message->body;
  if (text.size() < 38 || (text[0] != 'p' && text[0] != 'j'))
    return std::nullopt;
  const auto workspace = workspace_id::parse(text.substr(1, 36));
  std::int64_t microseconds = 0;
  const auto digits = text.substr(37);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), microseconds);
  if (!workspace || error != std::errc{} || end != digits.data() + digits.size())
    return std::nullopt;
  return hint{text[0] == 'p' ? hint::subject::post_due : hint::subject::job_ready, *workspace,
              instant{std::chrono::microseconds{microseconds}}};
}

region_actor spawn_region(caf::actor_system& system, engine_context_ptr context,
                          job_feed_actor feed, publish_sweep_actor sweep, publish_desk_actor desk) {
  return system.spawn(region, std::move(context), std::move(feed), std::move(sweep), std::move(desk));
}

} // namespace carillon
