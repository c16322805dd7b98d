#include "storage/pg_store.hpp"

#include "storage/auth_repository.hpp"
#include "storage/delivery_repository.hpp"
#include "storage/fence.hpp"
#include "storage/job_repository.hpp"
#include "storage/job_writer.hpp"
#include "storage/live_repository.hpp"
#include "storage/notification_repository.hpp"
#include "storage/operations_repository.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/post_repository.hpp"
#include "storage/publish_repository.hpp"
#include "storage/push_repository.hpp"
#include "storage/schedule_repository.hpp"
#include "storage/sms_repository.hpp"
#include "storage/social_account_repository.hpp"
#include "storage/workspace_repository.hpp"

namespace carillon::storage {

namespace {

class pg_store final : public store {
public:
  pg_store(session_options options, const token_cipher& tokens, logger& log)
    : db_(std::move(options), log),
      social_accounts_(db_, tokens),
      publishing_(db_, tokens),
      pushes_(db_, tokens) {
  }

  connection& session() noexcept {
    return db_;
  }

  auth_store& auth() override {
    return auth_;
  }
  workspace_store& workspaces() override {
    return workspaces_;
  }
  social_account_store& social_accounts() override {
    return social_accounts_;
  }
  notification_store& notifications() override {
    return notifications_;
  }
  post_store& posts() override {
    return posts_;
  }
  publish_store& publishing() override {
    return publishing_;
  }
  delivery_store& deliveries() override {
    return deliveries_;
  }
  job_store& jobs() override {
    return jobs_;
  }
  ownership_store& ownership() override {
    return ownership_;
  }
  operations_store& operations() override {
    return operations_;
  }
  schedule_store& schedules() override {
    return schedules_;
  }
  live_store& live() override {
    return live_;
  }
  push_store& pushes() override {
    return pushes_;
  }
  sms_store& texts() override {
    return texts_;
  }

private:
  connection db_;
  auth_repository auth_{db_};
  workspace_repository workspaces_{db_};
  social_account_repository social_accounts_;
  notification_repository notifications_{db_};
  post_repository posts_{db_};
  publish_repository publishing_;
  delivery_repository deliveries_{db_};
  job_repository jobs_{db_};
  ownership_repository ownership_{db_};
  operations_repository operations_{db_};
  schedule_repository schedules_{db_};
  live_repository live_{db_};
  push_repository pushes_;
  sms_repository texts_{db_};
};

} // namespace

result<done> run_effect(store& db, const node_identity& me, const job& work,
                        const std::function<result<done>(pqxx::work&)>& effect) {
  return dynamic_cast<pg_store&>(db).session().transact("run-effect", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    if (auto done_so = effect(tx); !done_so)
      return done_so;
    if (!conclude_run(tx, work, job_state::succeeded))
      return failure{errc::cancelled, "job " + to_string(work.id) + " is not this run's any more", {}, {}};
    return done{};
  });
}

std::unique_ptr<store> make_pg_store(session_options options, const token_cipher& tokens,
                                     logger& log) {
  return std::make_unique<pg_store>(std::move(options), tokens, log);
}

} // namespace carillon::storage
