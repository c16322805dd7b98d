// A publish store that does as a test says.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/store_without_ports.hpp"

namespace carillon::test {

/// Which jobs each call was for, by their payloads; what it answers is the
/// test's to say.
class scripted_publishing final : public publish_store {
public:
  using names = std::vector<std::string>;

  /// Called without the lock: may wait.
  std::function<void(const names&)> before_plan = [](const names&) {};
  std::function<std::optional<failure>(const names&)> plan_fails = [](const names&) { return std::nullopt; };
  std::function<std::optional<failure>(const names&)> record_fails = [](const names&) { return std::nullopt; };

  std::vector<names> plans() {
    std::lock_guard lock{mutex_};
    return plans_;
  }
  /// All of them, one after the other.
  names planned() {
    names out;
    for (const auto& one : plans())
      out.insert(out.end(), one.begin(), one.end());
    return out;
  }
  std::vector<names> records() {
    std::lock_guard lock{mutex_};
    return records_;
  }

  result<std::vector<publish_plan>> plan(const node_identity&, const std::vector<const job*>& jobs,
                                         const publish_rules&, std::chrono::milliseconds) override {
    names asked;
    std::vector<publish_plan> out;
    for (const auto* one : jobs) {
      asked.push_back(one->payload);
      planned_call call;
      call.attempt = attempt_id::make();
      call.target = target_id::make();
      call.post.text = one->payload;
      out.emplace_back().calls.push_back(std::move(call));
    }
    before_plan(asked);
    std::lock_guard lock{mutex_};
    plans_.push_back(asked);
    if (auto f = plan_fails(asked))
      return std::move(*f);
    return out;
  }
  result<recorded_outcomes> record(const node_identity&, const std::vector<call_outcome>& outcomes,
                                   const publish_rules&) override {
    names asked;
    for (const auto& one : outcomes)
      asked.push_back(one.job->payload);
    std::lock_guard lock{mutex_};
    records_.push_back(asked);
    if (auto f = record_fails(asked))
      return std::move(*f);
    return recorded_outcomes{std::vector<bool>(outcomes.size(), true), {{hint::subject::job_ready, {}, {}}}};
  }

  result<started_posts> start_due(const node_identity&, const shard_list&, int) override {
    return unasked();
  }
  result<int> repair(const node_identity&, const shard_list&) override {
    return unasked();
  }
  result<publish_progress> record_check(const node_identity&, const job&, attempt_id,
                                        const result<std::vector<public_post>>&, std::chrono::milliseconds,
                                        const publish_rules&) override {
    return unasked();
  }
  result<done> remember_rates(const job&, attempt_id, const account_rates&) override {
    return unasked();
  }
  result<std::vector<planned_preparation>> plan_preparations(const node_identity&, const shard_list&,
                                                             const std::vector<preparing_network>&,
                                                             const std::vector<social_account_id>&, int, bool) override {
    return unasked();
  }
  result<done> record_preparation(const planned_preparation&, const std::vector<prepared_file>&,
                                  const account_rates&) override {
    return unasked();
  }
  result<int> forget_preparations(const node_identity&, const shard_list&) override {
    return unasked();
  }
  result<publish_progress> give_up(const node_identity&, const job&, const std::string&) override {
    return unasked();
  }

private:
  static failure unasked() {
    ADD_FAILURE() << "nobody should ask for this";
    return {errc::permanent, "unasked", {}, {}};
  }

  std::mutex mutex_;
  std::vector<names> plans_;
  std::vector<names> records_;
};

class publishing_only final : public test::store_without_ports {
public:
  explicit publishing_only(scripted_publishing& publishing) : publishing_(publishing) {
  }
  publish_store& publishing() override {
    return publishing_;
  }

private:
  scripted_publishing& publishing_;
};

} // namespace carillon::test
