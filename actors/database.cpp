#include "actors/database.hpp"

#include <deque>

namespace carillon {

namespace {

using worker_actor = protocol<answers<atom::run, db_task_ptr>::with<atom::done>>;

struct worker_state {
  static inline const char* name = "carillon.db_worker";
  std::unique_ptr<store> db;
};

worker_actor::behavior_type db_worker(worker_actor::stateful_pointer<worker_state> self,
                                      std::function<std::unique_ptr<store>()> make_store) {
  self->state.db = make_store();
  return {
    [self](atom::run, const db_task_ptr& task) {
      task->run(*self->state.db);
      return atom::done_v;
    },
  };
}

struct dispatcher_state {
  static inline const char* name = "carillon.database";

  struct entry {
    db_task_ptr task;
    caf::typed_response_promise<atom::done> promise;
  };

  database_options options;
  std::vector<worker_actor> workers;
  std::vector<std::size_t> idle;
  std::deque<entry> queue;
  std::uint64_t refused = 0;

  ~dispatcher_state() {
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
  while (!state.queue.empty()) {
    auto work = std::move(state.queue.front());
    state.queue.pop_front();
    if (work.task->expires <= std::chrono::steady_clock::now()) {
      work.task->refuse({errc::cancelled, work.task->name + ": waited too long for a connection", {}, {}});
      work.promise.deliver(atom::done_v);
      continue;
    }
    assign(self, index, std::move(work));
    return;
  }
  state.idle.push_back(index);
}

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
    self->state.idle.push_back(i);
  }
  return {
    [self](atom::run, db_task_ptr& task) -> caf::result<atom::done> {
      auto& state = self->state;
      auto promise = self->make_response_promise<atom::done>();
      if (!state.idle.empty()) {
        const auto index = state.idle.back();
        state.idle.pop_back();
        assign(self, index, {std::move(task), promise});
      } else if (state.queue.size() < state.options.queue_limit) {
        state.queue.push_back({std::move(task), promise});
      } else {
        ++state.refused;
        task->refuse({errc::throttled, task->name + ": the database queue is full", {}, std::chrono::seconds{1}});
        promise.deliver(atom::done_v);
      }
      return promise;
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"database." + state.options.name,
                          "running",
                          {{"workers", std::to_string(state.workers.size())},
                           {"busy", std::to_string(state.workers.size() - state.idle.size())},
                           {"queued", std::to_string(state.queue.size())},
                           {"refused", std::to_string(state.refused)}},
                          {}};
    },
  };
}

} // namespace

database_actor spawn_database(caf::actor_system& system, database_options options) {
  return system.spawn(dispatcher, std::move(options));
}

} // namespace carillon
