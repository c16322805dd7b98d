// database: bounded pools of detached workers, one connection each.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "actors/caf.hpp"
#include "actors/protocol/atoms.hpp"
#include "actors/protocol/report.hpp"
#include "domain/ports/store.hpp"
#include "domain/result.hpp"

namespace carillon {

/// Which of a pool's two queues a task waits in. `urgent` is for what decides
/// when a post goes out. Of five tasks that are begun while both wait, four
/// are urgent, so that neither starves the other.
enum class db_lane { normal, urgent };

/// One piece of work for a worker: runs on the worker's thread with its
/// connection. Exactly one of `run` and `refuse` is called.
struct db_task {
  std::string name; ///< For logs and the slow-query line.
  /// Not started any more after this moment, so that what was answered with
  /// a timeout does not happen later behind the caller's back.
  std::chrono::steady_clock::time_point expires;
  db_lane lane = db_lane::normal;
  std::function<void(store&)> run;
  std::function<void(failure)> refuse;
};
using db_task_ptr = std::shared_ptr<db_task>;

/// A bounded pool. Answers when the task has run or was refused (the queue is
/// full: errc::throttled; expired in it, or no connection: errc::transient; the
/// pool ends: errc::cancelled).
using database_actor = protocol<
  // Runs the task on the next idle worker.
  answers<atom::run, db_task_ptr>::with<atom::done>,
  // How many workers there are, how many are busy, how many tasks wait.
  answers<atom::report>::with<actor_report>>;

/// `interactive` serves HTTP, `background` the engine's work; `control` is
/// one connection for leases alone, so that renewal never queues behind work.
struct database_pools {
  database_actor interactive;
  database_actor background;
  database_actor control;
};

/// Sends `body(store&) -> result<T>` to the pool's `lane` and calls
/// `then(result<T>)` in the sender's context, exactly once, within `timeout`.
template <class T, class Self, class Body, class Then>
void ask_database(Self* self, const database_actor& pool, std::string name,
                  std::chrono::milliseconds timeout, Body body, Then then, db_lane lane = db_lane::normal) {
  auto slot = std::make_shared<result<T>>(failure{errc::transient, name + ": no answer", {}, {}});
  auto task = std::make_shared<db_task>();
  task->name = name;
  task->expires = std::chrono::steady_clock::now() + timeout;
  task->lane = lane;
  task->run = [slot, body = std::move(body)](store& db) mutable { *slot = body(db); };
  task->refuse = [slot](failure f) { *slot = std::move(f); };
  auto shared_then = std::make_shared<Then>(std::move(then));
  self->request(pool, timeout + std::chrono::seconds{1}, atom::run_v, std::move(task))
    .then([slot, shared_then](atom::done) { (*shared_then)(std::move(*slot)); },
          [self, shared_then, name = std::move(name)](caf::error& error) {
            // Too late or it threw: the task may still be running, and it may
            // have happened.
            (*shared_then)(result<T>{
              failure{errc::outcome_unknown, name + ": " + self->home_system().render(error), {}, {}}});
          });
}

} // namespace carillon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::db_task_ptr)
