// Reads that many ask for at once share their queries: what arrives while one
// runs is answered together by the next.
#pragma once

#include "actors/protocol/database.hpp"
#include "http/route.hpp"
#include "http/server.hpp"
#include "http/token.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace carillon::http {

/// Of one route. Safe from any thread. Every request is answered once, soon
/// after its deadline at the latest, whatever becomes of the database; nobody
/// is answered from what was read before he asked.
class shared_reads : public std::enable_shared_from_this<shared_reads> {
public:
  using clock = std::chrono::steady_clock;
  /// How a failure is answered; logs it.
  using refusal = std::function<reply(const request&, const failure&)>;

  shared_reads(caf::actor_system& system, database_actor pool, std::string name, shared_read read, refusal refuse);

  void ask(request req, presented_token token, server::respond respond, std::chrono::milliseconds deadline);

private:
  struct entry;
  using entry_ptr = std::shared_ptr<entry>;
  using entries = std::vector<entry_ptr>;

  void launch(std::chrono::milliseconds timeout);
  void answer_waiting(store& db, entries& taken);
  void run(store& db, const entries& taken);
  void on_end(entries& taken, const result<done>& outcome);
  entries take();
  void refuse(const entry_ptr& one, failure why) const;

  caf::actor_system& system_;
  const database_actor pool_;
  const std::string name_;
  const shared_read read_;
  const refusal refuse_;
  std::mutex mutex_;
  std::deque<entry_ptr> waiting_;
  int running_ = 0;
  clock::time_point launched_{}; ///< When the latest round began.
};

} // namespace carillon::http
