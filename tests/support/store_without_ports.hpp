// A store for tests that need one port, or none: every other throws, which
// fails the test that reaches for it.
#pragma once

#include <stdexcept>

#include "domain/ports/store.hpp"

namespace carillon::test {

class store_without_ports : public store {
public:
  auth_store& auth() override { absent(); }
  workspace_store& workspaces() override { absent(); }
  social_account_store& social_accounts() override { absent(); }
  notification_store& notifications() override { absent(); }
  post_store& posts() override { absent(); }
  publish_store& publishing() override { absent(); }
  delivery_store& deliveries() override { absent(); }
  job_store& jobs() override { absent(); }
  ownership_store& ownership() override { absent(); }
  operations_store& operations() override { absent(); }
  schedule_store& schedules() override { absent(); }
  live_store& live() override { absent(); }
  push_store& pushes() override { absent(); }
  sms_store& texts() override { absent(); }

private:
  [[noreturn]] static void absent() {
    throw std::logic_error{"this test's store does not have that port"};
  }
};

} // namespace carillon::test
