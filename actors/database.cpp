#include "actors/database.hpp"

#include <deque>
#include <set>

namespace carillon {

namespace {

/// Of so many tasks begun while both lanes wait, one is a normal one.
constexpr int normal_every = 5;

using worker_actor = protocol<answers<atom::run, db_task_ptr>::with<atom::done>>;

struct worker_state {
  static inline const char* name = "carillon.db_worker";
  std::unique_ptr<store> db;
};

worker_actor::behavior_type db_worker(worker_actor::stateful_pointer<worker_state> self,
                                      std::function<std::unique_ptr<store>()> make_store) {
  return {
    [self, make_store = std::move(make_store)](atom::run, const db_task_ptr& task) -> caf::result<atom::done> {
      // Whatever threw may have left the connection in any state.
      try {
        if (!self->state.db)
          self->state.db = make_store();
        task->run(*self->state.db);
        return atom::done_v;
      } catch (const std::exception& e) {
        self->quit(caf::sec::runtime_error);
        return caf::make_error(caf::sec::runtime_error, e.what());
      } catch (...) {
        self->quit(caf::sec::runtime_error);
        return caf::make_error(caf::sec::runtime_error, "unknown exception");
      }
    },
  };
}

struct dispatcher_state {
  static inline const char* name = "carillon.database";

  struct entry {
    db_task_ptr task;
    caf::typed_response_promise<atom::done> promise;

    bool is_late() const {
      return task->expires <= std::chrono::steady_clock::now();
    }
  };

  static void refuse(entry& work, errc code, const char* why,
                     std::optional<std::chrono::milliseconds> retry_after = {}) {
    work.task->refuse({code, work.task->name + ": " + why, {}, retry_after});
    work.promise.deliver(atom::done_v);
  }
  static void refuse_late(entry& work) {
    refuse(work, errc::transient, "waited too long for a connection");
  }

  database_options options;
  std::vector<worker_actor> workers;
  /// What is urgent goes to the first one and the rest to the last one, so that
  /// each session keeps to few statements and has their plans at hand.
  std::set<std::size_t> idle;
  std::deque<entry> urgent;
  std::deque<entry> normal;
  int urgent_in_a_row = 0;
  std::uint64_t refused = 0;

  std::size_t queued() const {
    return urgent.size() + normal.size();
  }

  /// Something waits.
  entry take() {
    const bool from_normal = urgent.empty() || (!normal.empty() && urgent_in_a_row + 1 >= normal_every);
    urgent_in_a_row = from_normal ? 0 : urgent_in_a_row + 1;
    auto& lane = from_normal ? normal : urgent;
    auto work = std::move(lane.front());
    lane.pop_front();
    return work;
  }

  ~dispatcher_state() {
    for (auto* lane : {&urgent, &normal})
      for (auto& waiting : *lane)
        refuse(waiting, errc::cancelled, "the pool has ended");
    for (auto& worker : workers)
      if (worker)
        caf::anon_send_exit(worker, caf::exit_reason::user_shutdown);
  }
};

using dispatcher_pointer = database_actor::stateful_pointer<dispatcher_state>;

void start_worker(dispatcher_pointer self, std::size_t index) {
  self->state.workers[index]
    = self->spawn<caf::detached>(db_worker, self->state.options.make_store);
}

void assign(dispatcher_pointer self, std::size_t index, dispatcher_state::entry work);

/// Gives a worker its next task, refusing those whose time has run out.
void next_task(dispatcher_pointer self, std::size_t index) {
  auto& state = self->state;
  while (state.queued() > 0) {
    auto work = state.take();
    if (work.is_late()) {
      dispatcher_state::refuse_late(work);
      continue;
    }
    assign(self, index, std::move(work));
    return;
  }
  state.idle.insert(index);
}

/// Those whose time has run out hold no place in the queue.
void drop_late(dispatcher_state& state) {
  for (auto* lane : {&state.urgent, &state.normal}) {
    std::deque<dispatcher_state::entry> kept;
    for (auto& work : *lane)
      if (work.is_late())
        dispatcher_state::refuse_late(work);
      else
        kept.push_back(std::move(work));
    *lane = std::move(kept);
  }
}

void accept(dispatcher_pointer self, dispatcher_state::entry work) {
  auto& state = self->state;
  if (state.queued() >= state.options.queue_limit)
    drop_late(state);
  if (work.is_late()) {
    dispatcher_state::refuse_late(work);
  } else if (!state.idle.empty()) {
    const auto index = work.task->lane == db_lane::urgent ? *state.idle.begin() : *state.idle.rbegin();
    state.idle.erase(index);
    assign(self, index, std::move(work));
  } else if (state.queued() < state.options.queue_limit) {
    auto& lane = work.task->lane == db_lane::urgent ? state.urgent : state.normal;
    lane.push_back(std::move(work));
  } else {
    ++state.refused;
    dispatcher_state::refuse(work, errc::throttled, "the database queue is full", std::chrono::seconds{1});
  }
}

// The worker answers as soon as its statement ends, which the server's and
// the socket's time-outs bound; a deadline here would only lose sight of it.
void assign(dispatcher_pointer self, std::size_t index, dispatcher_state::entry work) {
  auto task = work.task;
  auto promise = work.promise;
  self->request(self->state.workers[index], caf::infinite, atom::run_v, task)
    .then(
      [self, index, promise](atom::done) mutable {
        promise.deliver(atom::done_v);
        next_task(self, index);
      },
      [self, index, task, promise](caf::error& error) mutable {
        // A task threw: the worker is gone with its connection.
        self->state.options.log->error("database-worker-crashed",
                                       {{"pool", self->state.options.name},
                                        {"task", task->name},
                                        {"error", self->home_system().render(error)}});
        promise.deliver(std::move(error));
        start_worker(self, index);
        next_task(self, index);
      });
}

database_actor::behavior_type dispatcher(dispatcher_pointer self, database_options options) {
  self->state.options = std::move(options);
  self->state.workers.resize(self->state.options.workers);
  for (std::size_t i = 0; i < self->state.options.workers; ++i) {
    start_worker(self, i);
    self->state.idle.insert(i);
  }
  return {
    [self](atom::run, db_task_ptr& task) -> caf::result<atom::done> {
      auto promise = self->make_response_promise<atom::done>();
      accept(self, {std::move(task), promise});
      return promise;
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"database." + state.options.name,
                          "running",
                          {{"workers", std::to_string(state.workers.size())},
                           {"busy", std::to_string(state.workers.size() - state.idle.size())},
                           {"queued", std::to_string(state.queued())},
                           {"refused", std::to_string(state.refused)},
                           {"mailbox", std::to_string(mailbox_depth(self))}},
                          {}};
    },
  };
}

} // namespace

database_actor spawn_database(caf::actor_system& system, database_options options) {
  return system.spawn(dispatcher, std::move(options));
}

} // namespace carillon
