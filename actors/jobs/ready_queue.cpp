#include "actors/jobs/ready_queue.hpp"

#include <algorithm>
#include <cmath>
#include <list>
#include <unordered_map>
#include <utility>

#include "actors/id_map.hpp"

namespace carillon {

// -- token bucket ---------------------------------------------------------------

void token_bucket::set_budget(rate_budget budget, time_point now) {
  refill(now);
  budget_ = budget;
  tokens_ = std::min(tokens_, static_cast<double>(budget.burst));
}

void token_bucket::refill(time_point now) {
  if (now <= at_)
    return;
  const auto seconds = std::chrono::duration<double>(now - at_).count();
  tokens_ = std::min(static_cast<double>(budget_.burst), tokens_ + seconds * budget_.per_second);
  at_ = now;
}

bool token_bucket::take(time_point now) {
  refill(now);
  if (tokens_ < 1)
    return false;
  tokens_ -= 1;
  return true;
}

token_bucket::time_point token_bucket::ready_at(time_point now) const {
  const auto since = std::chrono::duration<double>(std::max(now - at_, time_point::duration{0})).count();
  const auto missing = 1 - (tokens_ + since * budget_.per_second);
  if (missing <= 0)
    return now;
  // Rounded up, so that the token is there when its time has come.
  return now + std::chrono::milliseconds{static_cast<std::int64_t>(std::ceil(missing / budget_.per_second * 1000))};
}

// -- circuit breaker --------------------------------------------------------------

bool circuit_breaker::allows(time_point now) const {
  return open_until_ == time_point{} || (open_until_ <= now && !probing_);
}

void circuit_breaker::begin(time_point now) {
  if (open_until_ != time_point{} && open_until_ <= now)
    probing_ = true;
}

void circuit_breaker::succeeded() {
  failures_ = 0;
  open_until_ = {};
  probing_ = false;
}

bool circuit_breaker::failed(time_point now, int threshold, std::chrono::milliseconds cool_down) {
  ++failures_;
  const bool was_probe = std::exchange(probing_, false);
  if (!was_probe && failures_ < threshold)
    return false;
  const bool opens = open_until_ <= now;
  open_until_ = now + cool_down;
  return opens;
}

// -- ready queue --------------------------------------------------------------------

namespace {

/// So many workspaces and lanes that have nothing to do are kept, since most
/// have something again soon.
constexpr std::size_t kept_idle = 4'096;

/// First in, first out; keeps its room, so that most of what comes and goes
/// allocates nothing.
class waiting_line {
public:
  bool empty() const {
    return first_ == items_.size();
  }
  void push(ready_queue::item next) {
    items_.push_back(std::move(next));
  }
  ready_queue::item pop() {
    auto out = std::move(items_[first_++]);
    if (empty())
      clear();
    else if (first_ >= most_gaps && first_ * 2 >= items_.size())
      close_gap();
    return out;
  }
  /// Those that satisfy `wanted` go to `out`.
  template <class Wanted>
  void drop(const Wanted& wanted, std::vector<ready_queue::item>& out) {
    close_gap();
    std::vector<ready_queue::item> kept;
    for (auto& i : items_)
      (wanted(*i) ? out : kept).push_back(std::move(i));
    items_ = std::move(kept);
  }

private:
  static constexpr std::size_t most_gaps = 64;

  void close_gap() {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  void clear() {
    first_ = 0;
    if (items_.capacity() > most_gaps)
      items_ = {};
    else
      items_.clear();
  }

  std::vector<ready_queue::item> items_;
  std::size_t first_ = 0;
};

} // namespace

struct ready_queue::impl {
  struct lane;

  struct workspace_entry {
    std::size_t running = 0;
    std::size_t waiting = 0;
    int weight = 1;
    std::optional<int> cap;
    bool paused = false;
    bool controlled = false;
    std::size_t lanes = 0;
    std::list<lane*> held_back;
  };

  struct kind_entry {
    std::string name;
    const job_policy* policy = nullptr;
    std::size_t running = 0;
    bool paused = false;
    int cap = 0; ///< 0: none.
    rate_budget rate{};
    circuit_breaker* breaker = nullptr;
    std::map<std::string, token_bucket, std::less<>> buckets;
    std::list<lane*> held_back;
  };

  struct lane_key {
    int priority;
    workspace_id workspace;
    const kind_entry* kind;
    std::string rate_key;
    bool operator==(const lane_key& other) const {
      return id_equal{}(workspace, other.workspace) && kind == other.kind && priority == other.priority
             && rate_key == other.rate_key;
    }
  };
  struct lane_hash {
    std::size_t operator()(const lane_key& key) const noexcept {
      const auto rate = key.rate_key.empty() ? 0 : std::hash<std::string>{}(key.rate_key);
      return id_hash{}(key.workspace) ^ (std::hash<const void*>{}(key.kind) << 1) ^ (rate << 2)
             ^ (static_cast<std::size_t>(key.priority) << 3);
    }
  };

  enum class place { nowhere, ring, workspace, kind, time };

  /// Jobs that are alike in everything that can hold them back.
  struct lane {
    const lane_key* key = nullptr;
    workspace_entry* workspace = nullptr;
    kind_entry* kind = nullptr;
    waiting_line jobs;
    place where = place::nowhere; ///< When it is empty.
    int served = 0;
  };

  struct wake {
    time_point at;
    lane_key key;
    bool operator>(const wake& other) const {
      return at > other.at;
    }
  };

  ready_limits limits;
  /// Lanes point to them.
  std::unordered_map<workspace_id, workspace_entry, id_hash, id_equal> workspaces;
  std::map<std::string, std::unique_ptr<kind_entry>, std::less<>> kinds;
  std::map<std::string, circuit_breaker, std::less<>> breakers;
  std::unordered_map<lane_key, lane, lane_hash> lanes;
  kind_entry* last_kind = nullptr;
  bool any_paused = false;
  std::array<std::deque<lane*>, priority_levels> rings;
  std::priority_queue<wake, std::vector<wake>, std::greater<>> sleeping;
  std::map<std::string, bool, std::less<>> paused_queues;
  std::size_t waiting = 0;
  std::array<std::size_t, priority_levels> running_at{};
  std::optional<time_point> rush_began;
  /// When those that a rush holds back go on at the latest.
  std::optional<time_point> rush_ends;

  kind_entry& kind_of(std::string_view name) {
    if (last_kind && last_kind->name == name)
      return *last_kind;
    auto i = kinds.find(name);
    if (i == kinds.end()) {
      i = kinds.emplace(std::string{name}, std::make_unique<kind_entry>()).first;
      auto& kind = *i->second;
      kind.name = name;
      kind.policy = find_job_policy(name);
      if (kind.policy) {
        kind.cap = kind.policy->max_running;
        kind.rate = kind.policy->rate;
        if (!kind.policy->dependency.empty())
          kind.breaker = &breakers[std::string{kind.policy->dependency}];
      }
    }
    last_kind = i->second.get();
    return *last_kind;
  }

  std::size_t cap_of(const workspace_entry& workspace) const {
    return static_cast<std::size_t>(std::max(0, workspace.cap.value_or(limits.running_per_workspace)));
  }

  static std::size_t level_of(int priority) {
    return static_cast<std::size_t>(std::clamp(priority, 0, priority_levels - 1));
  }

  void enter_ring(lane& l) {
    l.where = place::ring;
    l.served = 0;
    rings[level_of(l.key->priority)].push_back(&l);
  }

  void release(std::list<lane*>& held_back, std::size_t count) {
    for (; count > 0 && !held_back.empty(); --count) {
      auto* l = held_back.front();
      held_back.pop_front();
      enter_ring(*l);
    }
  }

  token_bucket* bucket_of(lane& l, time_point now) {
    auto& kind = *l.kind;
    if (kind.rate.per_second <= 0)
      return nullptr;
    auto i = kind.buckets.find(l.key->rate_key);
    if (i == kind.buckets.end())
      i = kind.buckets.emplace(l.key->rate_key, token_bucket{kind.rate, now}).first;
    return &i->second;
  }

  /// Puts a lane that may not go on where it is waked; false when it may.
  bool hold_back(lane& l, time_point now) {
    auto& workspace = *l.workspace;
    auto& kind = *l.kind;
    if (workspace.paused || workspace.running >= cap_of(workspace)) {
      l.where = place::workspace;
      workspace.held_back.push_back(&l);
      return true;
    }
    if (kind.paused || (kind.cap > 0 && kind.running >= static_cast<std::size_t>(kind.cap))) {
      l.where = place::kind;
      kind.held_back.push_back(&l);
      return true;
    }
    if (kind.breaker && !kind.breaker->allows(now)) {
      if (kind.breaker->is_open(now)) {
        l.where = place::time;
        sleeping.push({kind.breaker->open_until(), *l.key});
      } else {
        // Waits for the probe.
        l.where = place::kind;
        kind.held_back.push_back(&l);
      }
      return true;
    }
    if (auto* bucket = bucket_of(l, now); bucket && !bucket->take(now)) {
      l.where = place::time;
      sleeping.push({bucket->ready_at(now), *l.key});
      return true;
    }
    return false;
  }

  /// Whether those that wait give way to more urgent ones that run.
  bool gives_way(time_point now) {
    if (!rush_began)
      rush_began = now;
    const auto ends = *rush_began + limits.longest_rush;
    rush_ends = ends > now ? std::optional{ends} : std::nullopt;
    return rush_ends.has_value();
  }

  void wake_sleepers(time_point now) {
    while (!sleeping.empty() && sleeping.top().at <= now) {
      const auto i = lanes.find(sleeping.top().key);
      sleeping.pop();
      if (i != lanes.end() && i->second.where == place::time)
        enter_ring(i->second);
    }
  }

  void forget_if_idle(decltype(workspaces)::iterator i) {
    if (workspaces.size() > kept_idle && i->second.running == 0 && i->second.lanes == 0 && !i->second.controlled)
      workspaces.erase(i);
  }

  /// It is empty, and no ring or line holds it.
  void rest(lane& l) {
    l.where = place::nowhere;
    if (lanes.size() <= kept_idle)
      return;
    --l.workspace->lanes;
    lanes.erase(lanes.find(*l.key));
  }
};

ready_queue::ready_queue(ready_limits limits) : impl_(std::make_unique<impl>()) {
  impl_->limits = limits;
}

ready_queue::~ready_queue() = default;
ready_queue::ready_queue(ready_queue&&) noexcept = default;
ready_queue& ready_queue::operator=(ready_queue&&) noexcept = default;

void ready_queue::set_limits(const ready_limits& limits) {
  impl_->limits = limits;
}

void ready_queue::set_controls(const std::vector<job_control>& controls, time_point now) {
  auto& q = *impl_;
  for (auto& [id, workspace] : q.workspaces) {
    workspace.weight = 1;
    workspace.cap.reset();
    workspace.paused = false;
    workspace.controlled = false;
  }
  q.any_paused = false;
  q.paused_queues.clear();
  for (const auto& policy : job_policies())
    q.kind_of(policy.kind);
  for (auto& [name, kind] : q.kinds) {
    kind->paused = false;
    kind->cap = kind->policy ? kind->policy->max_running : 0;
    kind->rate = kind->policy ? kind->policy->rate : rate_budget{};
  }
  for (const auto& control : controls) {
    switch (control.scope) {
      case job_control::about::kind: {
        auto& kind = q.kind_of(control.name);
        kind.paused = control.paused || (control.max_running && *control.max_running == 0);
        if (control.max_running)
          kind.cap = *control.max_running;
        if (control.rate)
          kind.rate = *control.rate;
        break;
      }
      case job_control::about::queue:
        q.paused_queues[control.name] = control.paused;
        break;
      case job_control::about::workspace:
        if (const auto id = workspace_id::parse(control.name)) {
          auto& workspace = q.workspaces[*id];
          workspace.controlled = true;
          workspace.paused = control.paused;
          q.any_paused = q.any_paused || control.paused;
          workspace.weight = control.weight.value_or(1);
          workspace.cap = control.max_running;
        }
        break;
    }
  }
  for (auto& [name, kind] : q.kinds) {
    if (kind->policy)
      if (const auto i = q.paused_queues.find(kind->policy->queue); i != q.paused_queues.end() && i->second)
        kind->paused = true;
    for (auto& [key, bucket] : kind->buckets)
      bucket.set_budget(kind->rate, now);
    q.release(kind->held_back, kind->held_back.size());
  }
  for (auto& [id, workspace] : q.workspaces)
    q.release(workspace.held_back, workspace.held_back.size());
}

std::vector<std::string> ready_queue::runnable_kinds() const {
  std::vector<std::string> out;
  for (const auto& policy : job_policies())
    if (!impl_->kind_of(policy.kind).paused)
      out.emplace_back(policy.kind);
  return out;
}

bool ready_queue::is_paused(const workspace_id& workspace) const {
  if (!impl_->any_paused)
    return false;
  const auto i = impl_->workspaces.find(workspace);
  return i != impl_->workspaces.end() && i->second.paused;
}

bool ready_queue::is_paused(std::string_view kind) const {
  return impl_->kind_of(kind).paused;
}

std::size_t ready_queue::push(item next) {
  auto& q = *impl_;
  auto& kind = q.kind_of(next->kind);
  const auto [i, fresh] = q.lanes.try_emplace({next->priority, next->workspace, &kind, next->rate_key});
  auto& lane = i->second;
  if (fresh) {
    lane.key = &i->first;
    lane.workspace = &q.workspaces[next->workspace];
    lane.kind = &kind;
    ++lane.workspace->lanes;
  }
  if (lane.where == impl::place::nowhere)
    q.enter_ring(lane);
  ++lane.workspace->waiting;
  ++q.waiting;
  lane.jobs.push(std::move(next));
  return lane.workspace->running + lane.workspace->waiting;
}

std::vector<ready_queue::item> ready_queue::pop(time_point now, std::size_t room) {
  auto& q = *impl_;
  q.wake_sleepers(now);
  q.rush_ends.reset();
  std::vector<item> out;
  std::size_t ahead = 0;
  bool is_rush = false;
  for (std::size_t level = 0; level < q.rings.size(); ++level) {
    auto& ring = q.rings[level];
    if (!ring.empty() && ahead >= q.limits.rush) {
      is_rush = true;
      if (q.gives_way(now))
        break;
    }
    while (!ring.empty() && out.size() < room) {
      auto* lane = ring.front();
      if (q.hold_back(*lane, now)) {
        ring.pop_front();
        continue;
      }
      if (lane->kind->breaker)
        lane->kind->breaker->begin(now);
      out.push_back(lane->jobs.pop());
      --q.waiting;
      --lane->workspace->waiting;
      ++lane->workspace->running;
      ++lane->kind->running;
      ++q.running_at[level];
      if (lane->jobs.empty()) {
        ring.pop_front();
        q.rest(*lane);
      } else if (++lane->served >= lane->workspace->weight) {
        lane->served = 0;
        ring.pop_front();
        ring.push_back(lane);
      }
    }
    ahead += q.running_at[level];
  }
  if (!is_rush)
    q.rush_began.reset();
  return out;
}

void ready_queue::finished(const job& work) {
  auto& q = *impl_;
  auto& kind = q.kind_of(work.kind);
  if (kind.running > 0)
    --kind.running;
  if (auto& running = q.running_at[impl::level_of(work.priority)]; running > 0)
    --running;
  const auto i = q.workspaces.find(work.workspace);
  // A released lane may be held back by something else: then another one must
  // have its chance.
  if (i != q.workspaces.end()) {
    if (i->second.running > 0)
      --i->second.running;
    q.release(i->second.held_back, 4);
    q.forget_if_idle(i);
  }
  q.release(kind.held_back, 4);
}

bool ready_queue::report_dependency(const job& work, bool failed, time_point now) {
  auto& q = *impl_;
  auto& kind = q.kind_of(work.kind);
  if (!kind.breaker)
    return false;
  if (failed)
    return kind.breaker->failed(now, q.limits.breaker_failures, q.limits.breaker_cool_down);
  kind.breaker->succeeded();
  return false;
}

std::vector<ready_queue::item> ready_queue::drop(const std::function<bool(const job&)>& wanted) {
  auto& q = *impl_;
  std::vector<item> out;
  for (auto& [key, lane] : q.lanes) {
    const auto before = out.size();
    lane.jobs.drop(wanted, out);
    q.waiting -= out.size() - before;
    lane.workspace->waiting -= out.size() - before;
  }
  const auto is_empty = [](impl::lane* l) { return l->jobs.empty(); };
  for (auto& ring : q.rings)
    std::erase_if(ring, is_empty);
  for (auto& [name, kind] : q.kinds)
    std::erase_if(kind->held_back, is_empty);
  for (auto& [id, workspace] : q.workspaces)
    std::erase_if(workspace.held_back, is_empty);
  std::erase_if(q.lanes, [](const auto& entry) {
    if (!entry.second.jobs.empty())
      return false;
    --entry.second.workspace->lanes;
    return true;
  });
  std::erase_if(q.workspaces, [](const auto& entry) {
    return entry.second.running == 0 && entry.second.lanes == 0 && !entry.second.controlled;
  });
  return out;
}

std::size_t ready_queue::held(const workspace_id& workspace) const {
  const auto i = impl_->workspaces.find(workspace);
  return i == impl_->workspaces.end() ? 0 : i->second.running + i->second.waiting;
}

std::size_t ready_queue::waiting() const noexcept {
  return impl_->waiting;
}

std::optional<ready_queue::time_point> ready_queue::next_wake() const {
  auto next = impl_->rush_ends;
  if (!impl_->sleeping.empty())
    next = std::min(next.value_or(impl_->sleeping.top().at), impl_->sleeping.top().at);
  return next;
}

std::vector<job_block> ready_queue::blocks(time_point now) const {
  const auto left = [&](time_point until) {
    return std::chrono::ceil<std::chrono::milliseconds>(until - now);
  };
  std::vector<job_block> out;
  for (const auto& [name, kind] : impl_->kinds) {
    if (kind->breaker && kind->breaker->is_open(now))
      out.push_back({name, {}, "circuit", left(kind->breaker->open_until())});
    if (kind->cap > 0 && kind->running >= static_cast<std::size_t>(kind->cap))
      out.push_back({name, {}, "cap", std::nullopt});
  }
  for (const auto& [key, lane] : impl_->lanes)
    if (lane.where == impl::place::time && lane.kind->rate.per_second > 0) {
      const auto bucket = lane.kind->buckets.find(key.rate_key);
      if (bucket != lane.kind->buckets.end() && out.size() < 1'000)
        out.push_back({std::string{lane.kind->policy ? lane.kind->policy->kind : std::string_view{}},
                       key.rate_key, "rate", left(bucket->second.ready_at(now))});
    }
  return out;
}

} // namespace carillon
