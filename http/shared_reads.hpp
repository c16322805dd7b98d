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
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace carillon::http {

/// Of all shared routes together.
struct shared_limits {
  int most_running = 3; ///< Rounds, and so connections, at once.
  std::size_t most_waiting = 1'000; ///< Requests; one more is refused.
};

/// Of one api. Safe from any thread. Every request is answered once, some two
/// seconds after its deadline at the latest, whatever becomes of the database;
/// nobody is answered from what was read before he asked.
///
/// A round that fails is read again in halves, so that whoever makes it fail
/// fails alone; when nearly all of it fails, the rest is refused unread. What
/// is merely slow delays its whole round, for as long as the statement timeout
/// lets it; whose time runs out meanwhile is refused.
class shared_reads : public std::enable_shared_from_this<shared_reads> {
public:
  using clock = std::chrono::steady_clock;
  /// How a failure is answered; logs it.
  using refusal = std::function<reply(const request&, const failure&)>;

  shared_reads(caf::actor_system& system, database_actor pool, shared_limits limits, refusal refuse);

  /// `r` has `shared`; its address is what one route is known by.
  void ask(const route& r, request req, presented_token token, server::respond respond,
           std::chrono::milliseconds deadline);

private:
  struct entry;
  using entry_ptr = std::shared_ptr<entry>;
  using entries = std::vector<entry_ptr>;

  /// What waits for one route.
  struct lane {
    std::string name;
    shared_read read;
    std::deque<entry_ptr> waiting; ///< The oldest first.
    int running = 0;
    clock::time_point launched{}; ///< When its latest round began.
  };

  /// Of one round.
  struct failures {
    int count = 0;
    failure last;
  };

  // With the lock held.
  lane& lane_of(const route& r);
  void take_late(clock::time_point now, entries& out);
  bool has_room(clock::time_point now, entries& late);
  static bool wants_round(const lane& of, clock::time_point now);
  lane* next_lane(const lane& ended, clock::time_point now);
  std::chrono::milliseconds begin(lane& of, clock::time_point now);

  void launch(lane& of, std::chrono::milliseconds timeout);
  void on_tick(lane& of, const entries& taken);
  void on_end(lane& of, const entries& taken, const result<done>& outcome);

  void answer_waiting(store& db, lane& of, entries& taken);
  entries take(lane& of);
  void answer_all(store& db, const lane& of, entries some, failures& so_far) const;
  std::optional<failure> attempt(store& db, const lane& of, const entries& some) const;

  void refuse(const entry_ptr& one, failure why) const;
  void refuse_late(const entries& late) const;

  caf::actor_system& system_;
  const database_actor pool_;
  const shared_limits limits_;
  const refusal refuse_;
  std::mutex mutex_;
  std::map<const route*, lane> lanes_; ///< None ever goes.
  int running_ = 0;
};

} // namespace carillon::http
