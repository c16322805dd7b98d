// What transactions that enqueue and the job feed share: which takes are under
// way, and what came of those that ended.
#pragma once

#include <atomic>
#include <bitset>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/protocol/job_feed.hpp"
#include "domain/ports/job_intake.hpp"

namespace carillon {

/// Outlives the feeds of all of a node's lives. Safe from any thread.
class intake_link final : public job_intake {
public:
  struct ended_take {
    reserved_take what;
    take_outcome how = take_outcome::not_taken;
    std::optional<job> work; ///< Where it was taken.
  };

  // -- the feed ------------------------------------------------------------------

  /// Nothing is taken until it offers; it gets what nobody has collected. Null:
  /// there is none.
  void connect(job_feed_actor feed) {
    std::lock_guard lock{mutex_};
    shards_.reset();
    feed_ = std::move(feed);
    if (feed_ && !ended_.empty())
      caf::anon_send(feed_, atom::job_v);
  }

  /// From now on jobs of these shards are taken for this life; those under way
  /// are not touched.
  void offer(const node_identity& me, const std::bitset<shard_count>& shards) {
    std::lock_guard lock{mutex_};
    owner_ = me;
    shards_ = shards;
  }

  /// Of the numbers of a node's manifests, which both write: the first of so
  /// many.
  std::int64_t take_numbers(std::int64_t count) {
    return next_batch_.fetch_add(count, std::memory_order_relaxed);
  }

  bool is_idle() const {
    return under_way_count_.load(std::memory_order_acquire) == 0;
  }
  /// Whether a take of these shards may still come.
  bool is_idle(const std::bitset<shard_count>& shards) const {
    std::lock_guard lock{mutex_};
    for (const auto& [id, shard] : under_way_)
      if (shards[shard])
        return false;
    return true;
  }
  /// Until its end was collected: a job that a read meets meanwhile comes by
  /// itself, or not at all.
  bool is_under_way(const job_id& id) const {
    if (is_idle())
      return false;
    std::lock_guard lock{mutex_};
    return under_way_.contains(id);
  }

  /// Gives what has ended for `empty`, whose room is used again; from now on
  /// that is the feed's.
  void collect(std::vector<ended_take>& empty) {
    std::lock_guard lock{mutex_};
    ended_.swap(empty);
    for (const auto& one : empty)
      under_way_.erase(one.what.id);
    under_way_count_.store(under_way_.size(), std::memory_order_release);
  }

  // -- transactions --------------------------------------------------------------

  std::optional<reserved_take> reserve(const job_id& id, const workspace_id& workspace) override {
    const auto shard = shard_of(workspace);
    std::lock_guard lock{mutex_};
    if (!shards_[shard])
      return std::nullopt;
    // Whole before it is under way: from then on somebody has to settle it.
    std::optional<reserved_take> out{{owner_, 0, id, workspace}};
    if (!under_way_.emplace(id, shard).second)
      return std::nullopt;
    under_way_count_.store(under_way_.size(), std::memory_order_release);
    out->batch = take_numbers(1);
    return out;
  }

  void settle(const reserved_take& what, take_outcome how, job work) noexcept override {
    ended_take ended{what, how, {}};
    if (how == take_outcome::taken)
      ended.work = std::move(work);
    std::lock_guard lock{mutex_};
    ended_.push_back(std::move(ended));
    if (feed_ && ended_.size() == 1)
      caf::anon_send(feed_, atom::job_v);
  }

private:
  mutable std::mutex mutex_;
  job_feed_actor feed_;
  node_identity owner_;
  std::bitset<shard_count> shards_;
  std::unordered_map<job_id, shard_id> under_way_;
  std::atomic<std::size_t> under_way_count_{0};
  std::vector<ended_take> ended_;
  std::atomic<std::int64_t> next_batch_{1};
};

} // namespace carillon
