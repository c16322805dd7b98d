// What a database worker offers: one port per aggregate, all on one
// connection. Used only on the worker's own thread; every call blocks.
#pragma once

namespace carillon {

class auth_store;
class workspace_store;
class social_account_store;
class notification_store;
class post_store;
class delivery_store;
class publish_store;
class job_store;
class ownership_store;
class operations_store;
class schedule_store;
class live_store;
class push_store;
class sms_store;

class store {
public:
  virtual ~store() = default;

  virtual auth_store& auth() = 0;
  virtual workspace_store& workspaces() = 0;
  virtual social_account_store& social_accounts() = 0;
  virtual notification_store& notifications() = 0;
  virtual post_store& posts() = 0;
  virtual publish_store& publishing() = 0;
  virtual delivery_store& deliveries() = 0;
  virtual job_store& jobs() = 0;
  virtual ownership_store& ownership() = 0;
  virtual operations_store& operations() = 0;
  virtual schedule_store& schedules() = 0;
  virtual live_store& live() = 0;
  virtual push_store& pushes() = 0;
  virtual sms_store& texts() = 0;
};

} // namespace carillon
