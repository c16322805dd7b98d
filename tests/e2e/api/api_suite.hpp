// Tests of the API against the real program: one node and one database for a
// suite, a tenant of its own for each test.
#pragma once

#include <initializer_list>
#include <optional>
#include <source_location>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/running_system.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/http/raw_client.hpp"

namespace carillon::test {

using nlohmann::json;
using where = std::source_location;

/// The password of every person.
inline constexpr auto password = "User@1234";

struct person {
  user_id id;
  std::string name;
  std::string email;
  std::string token; ///< `{id}|{secret}`
  web_client web;    ///< Sends the token.
};

struct notice {
  std::string type = "post_published";
  std::string channel = "in_app";
  std::string title = "Title";
  std::string created_at = "now()"; ///< SQL.
  std::string read_at = "NULL";     ///< SQL.
  std::string data = "NULL";        ///< SQL.
  std::string icon = "NULL";        ///< SQL.
  std::string action_url = "NULL";  ///< SQL.
};

class api_suite : public ::testing::Test {
public:
  static void SetUpTestSuite() {
    start_node({});
  }
  static void TearDownTestSuite();

protected:
  /// For a suite whose node needs settings of its own.
  static void start_node(const carillon_node::environment& settings);
  static test_database& db();
  static carillon_node& node();

  api_suite();

  // -- people ------------------------------------------------------------------

  static person add_person(tenant_id tenant, const std::string& name,
                           tenant_role role = tenant_role::member, const std::string& status = "active");
  person add_member_person(const std::string& name, workspace_role role,
                           tenant_role in_tenant = tenant_role::member);

  /// One of the platform's own staff, ACTIVE unless told otherwise.
  static person add_super_admin(const std::string& role, const std::string& status = "ACTIVE");

  // -- rows ----------------------------------------------------------------------

  std::string add_notice(const person& to, const notice& n = {});
  social_account_id add_account(workspace_id owner, const std::string& platform = "mastodon",
                                const std::string& status = "connected");
  /// Gives an account a token that can be used, at `instance`.
  void connect_account(social_account_id account, const std::string& instance);
  /// A post of this test's workspace, with a target on `account` in the status
  /// that goes with it.
  std::string add_post(const person& author, const std::string& status,
                       std::optional<social_account_id> account = std::nullopt);
  int count(const std::string& from_where);

  /// Of all that requests write to in this test's tenants, the stranger's
  /// included: what a request that is refused must leave alone.
  std::string fingerprint();

  // -- the tenant of this test -----------------------------------------------------

  tenant_id tenant;
  workspace_id workspace;
  std::string base; ///< `/api/v1/workspaces/{workspace}`
  person owner;     ///< Tenant owner, no member of the workspace.
  person admin;     ///< Workspace admin; a plain member of the tenant, as are the next four.
  person editor;
  person colleague; ///< Another editor.
  person viewer;
  person outsider; ///< No member of the workspace.
  person stranger; ///< Owner of another tenant.
  workspace_id elsewhere; ///< The stranger's workspace.
};

// -- what answers promise ---------------------------------------------------------

/// The error envelope of contract §1.4 with `status`.
::testing::AssertionResult is_problem(const web_answer& answer, int status);
::testing::AssertionResult is_problem(const std::optional<raw_answer>& answer, int status);

/// 422 with a text for exactly these fields.
::testing::AssertionResult refuses(const web_answer& answer, std::initializer_list<std::string> fields);
::testing::AssertionResult refuses(const web_answer& answer, const std::string& field);

/// `data` of the success envelope; a failure of the test and null otherwise.
json data_of(const web_answer& answer, int status = 200, where at = where::current());

/// A header of the answer, empty when absent.
std::string header_of(const web_answer& answer, const std::string& name);

/// `2026-02-07T10:00:00+00:00`, the only form that leaves (contract §1.5).
::testing::AssertionResult is_api_time(const json& value);

/// The values of one member of an array of objects.
json column(const json& rows, const std::string& member);

/// The `port` of `http://host:port`.
std::uint16_t port_of(const web_client& web);

} // namespace carillon::test
