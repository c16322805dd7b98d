// Requests through the api on a real actor system, with a database actor
// and stores that exist in memory only.
#include "http/api.hpp"

#include "domain/ports/auth_store.hpp"
#include "domain/ports/workspace_store.hpp"
#include "http/exchange.hpp"
#include "http/handlers/auth/routes.hpp"
#include "http/handlers/meta/routes.hpp"
#include "http/password_hasher.hpp"
#include "http/token.hpp"
#include "tests/unit/http/recording_logger.hpp"
#include "tests/support/store_without_ports.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <semaphore>
#include <stdexcept>
#include <thread>

namespace carillon::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

struct fake_auth final : auth_store {
  result<std::optional<stored_token>> find_token(const scope&,
                                                 std::int64_t id) override {
    auto i = tokens.find(id);
    return i == tokens.end() ? std::optional<stored_token>{} : i->second;
  }
  result<std::optional<stored_token>>
  find_token_by_hash(const scope&, const std::string& hash) override {
    for (const auto& [_, token] : tokens)
      if (token.secret_hash == hash)
        return std::optional{token};
    return std::optional<stored_token>{};
  }
  result<std::vector<token_holder>> find_holders(const scope&, const std::vector<std::int64_t>& ids) override {
    ++lookups;
    if (broken)
      return failure{errc::transient, "no connection", {}, {}};
    std::vector<token_holder> out;
    for (const auto& [id, token] : tokens)
      if (std::find(ids.begin(), ids.end(), id) != ids.end())
        out.push_back({token, status});
    return out;
  }
  result<done> touch_token(const scope&, std::int64_t) override {
    ++touched;
    return done{};
  }
  result<done> touch_tokens(const scope&, const std::vector<std::int64_t>& ids) override {
    touched += static_cast<int>(ids.size());
    return done{};
  }
  result<std::optional<credentials>>
  find_credentials(const scope&, const std::string& email) override {
    if (email == user.who.email)
      return std::optional{user};
    return std::optional<credentials>{};
  }
  result<account> load_account(const scope&, user_id) override {
    return user.who;
  }
  result<std::int64_t> add_token(const scope&, user_id, const new_token& token,
                                 bool login) override {
    EXPECT_TRUE(login);
    added = token;
    return std::int64_t{77};
  }
  result<std::int64_t> replace_tokens(const scope&, user_id,
                                      const new_token& token) override {
    added = token;
    return std::int64_t{78};
  }
  result<done> revoke_token(const scope&, user_id, std::int64_t id) override {
    revoked = id;
    return done{};
  }

  result<std::optional<stored_admin_token>> find_admin_token(const scope&, std::int64_t) override {
    return std::optional<stored_admin_token>{};
  }
  result<std::optional<stored_admin_token>> find_admin_token_by_hash(const scope&, const std::string&) override {
    return std::optional<stored_admin_token>{};
  }
  result<std::optional<admin_credentials>> find_admin_credentials(const scope&, const std::string&) override {
    return std::optional<admin_credentials>{};
  }
  result<std::int64_t> replace_admin_tokens(const scope&, super_admin_id, const new_token&) override {
    return failure{errc::not_found, "no admin", {}, {}};
  }
  result<done> revoke_admin_token(const scope&, super_admin_id, std::int64_t) override {
    return done{};
  }

  std::map<std::int64_t, stored_token> tokens;
  credentials user;
  new_token added;
  std::int64_t revoked = 0;
  int touched = 0;
  std::optional<tenant_status> status = tenant_status::active; ///< For find_holders.
  bool broken = false;                                         ///< So it.
  int lookups = 0;
};

struct fake_workspaces final : workspace_store {
  result<tenant_status> find_tenant_status(const scope&) override {
    return status;
  }
  result<workspace_gate> find_access(const scope&, workspace_id id,
                                     user_id) override {
    if (id != known)
      return failure{errc::not_found, "no workspace", {}, {}};
    return workspace_gate{id, membership};
  }
  result<tenant> load_tenant(const scope&) override {
    throw std::logic_error{"not part of this test"};
  }
  result<workspace> load_workspace(const scope&, workspace_id,
                                   user_id) override {
    throw std::logic_error{"not part of this test"};
  }
  result<workspace_page> list_workspaces(const scope&, user_id,
                                         const workspace_filter&) override {
    throw std::logic_error{"not part of this test"};
  }
  result<workspace> create_workspace(const scope&, const workspace_actor&, const new_workspace&) override {
    throw std::logic_error{"not part of this test"};
  }
  result<member_page> list_members(const scope&, workspace_id, const member_filter&) override {
    throw std::logic_error{"not part of this test"};
  }
  result<workspace_member> add_member(const scope&, workspace_id, const workspace_actor&, user_id, workspace_role,
                                      hints&) override {
    throw std::logic_error{"not part of this test"};
  }
  result<workspace_member> change_role(const scope&, workspace_id, const workspace_actor&, user_id, workspace_role,
                                       bool, hints&) override {
    throw std::logic_error{"not part of this test"};
  }
  result<done> remove_member(const scope&, workspace_id, const workspace_actor&, user_id, bool, hints&) override {
    throw std::logic_error{"not part of this test"};
  }
  result<workspace_dashboard> load_dashboard(const scope&, workspace_id) override {
    throw std::logic_error{"not part of this test"};
  }

  tenant_status status = tenant_status::active;
  workspace_id known = workspace_id::make();
  std::optional<workspace_role> membership;
};

struct fake_store final : test::store_without_ports {
  auth_store& auth() override {
    return tokens;
  }
  workspace_store& workspaces() override {
    return places;
  }

  fake_auth tokens;
  fake_workspaces places;
};

enum class pool_mode { works, waits, refuses, forgets, is_late, works_on_many };

struct pool_state {
  fake_store db;
  std::atomic<pool_mode> mode = pool_mode::works;
  /// What a task waits for before it runs, in the mode `waits`.
  std::promise<void> gate;
  std::shared_future<void> opened = gate.get_future().share();
  void open() {
    if (opened.wait_for(0s) != std::future_status::ready)
      gate.set_value();
  }
  /// Of the latest task: until when it may wait.
  std::chrono::steady_clock::time_point expires;
  /// Tasks that were never answered, so that they stay unfinished.
  std::vector<db_task_ptr> forgotten;
};

caf::behavior fake_connection(caf::event_based_actor* self, std::shared_ptr<pool_state> state) {
  return {[=](atom::run, const db_task_ptr& task) {
    task->run(state->db);
    self->quit();
    return atom::done_v;
  }};
}

database_actor::behavior_type fake_pool(database_actor::pointer self,
                                        std::shared_ptr<pool_state> state) {
  return {
    [=](atom::run, const db_task_ptr& task) -> caf::result<atom::done> {
      state->expires = task->expires;
      switch (state->mode) {
      case pool_mode::waits:
        state->opened.wait();
        [[fallthrough]];
      case pool_mode::works:
        task->run(state->db);
        return atom::done_v;
      case pool_mode::refuses:
        task->refuse({errc::throttled, "pool is full", {}, {}});
        return atom::done_v;
      case pool_mode::is_late:
        task->refuse({errc::transient, "waited too long", {}, {}});
        return atom::done_v;
      case pool_mode::works_on_many: {
        auto promise = self->make_response_promise<atom::done>();
        self->request(self->spawn<caf::detached>(fake_connection, state), caf::infinite, atom::run_v, task)
          .then([promise](atom::done) mutable { promise.deliver(atom::done_v); });
        return promise;
      }
      case pool_mode::forgets:
        state->forgotten.push_back(task);
        break;
      }
      return self->make_response_promise<atom::done>();
    },
    [](atom::report) { return actor_report{}; },
  };
}

caf::actor_system_config& actor_config() {
  static caf::actor_system_config config;
  static const bool once = [] {
    config.add_message_types<caf::id_block::carillon>();
    config.set("scheduler.max-threads", 2u);
    return true;
  }();
  static_cast<void>(once);
  return config;
}

class HttpApiTest : public testing::Test {
protected:
  HttpApiTest() : hasher_{{4, 64}, log_} {
    auto& auth = state_->db.tokens;
    auth.user.who.id = user_;
    auth.user.who.tenant = tenant_;
    auth.user.who.email = "owner@acme.example";
    auth.user.who.name = "Olga Owner";
    auth.user.who.status = user_status::active;
    auth.user.password_hash = hash_password("User@1234", 4);
    add_token(1, "secret-one");
  }

  ~HttpApiTest() override {
    state_->open();
    // They hold the api, which holds the pool, which holds them.
    state_->forgotten.clear();
  }

  void add_token(std::int64_t id, const std::string& secret) {
    stored_token t;
    t.id = id;
    t.secret_hash = hash_token_secret(secret);
    t.user = user_;
    t.tenant = tenant_;
    t.user_name = "Olga Owner";
    t.role = tenant_role::member;
    state_->db.tokens.tokens[id] = t;
  }

  api& the_api() {
    if (!api_) {
      auto routes = meta_routes(clock_);
      for (auto& r : auth_routes(hasher_, {}))
        routes.push_back(std::move(r));
      const auto run = [&](const char* pattern, access need,
                           std::function<result<reply>(call&)> f) {
        routes.push_back(
          {.method = "POST", .pattern = pattern, .need = need, .run = f});
      };
      run("/echo", access::token, [](call& c) -> result<reply> {
        auto body = c.body();
        if (!body)
          return std::move(body).error();
        c.after_commit.push_back({});
        return ok(*body);
      });
      run("/who/{workspace}", access::workspace, [](call& c) -> result<reply> {
        return ok({{"name", c.who.name},
                   {"id", to_string(c.workspace->id)},
                   {"editor", c.workspace->has(workspace_role::editor)}});
      });
      run("/type-error", access::open,
          [](call&) -> result<reply> { return ok(json("text").at("key")); });
      run("/absent", access::open, [](call& c) -> result<reply> {
        static_cast<void>(c.db.jobs());
        return ok(nullptr);
      });
      run("/odd", access::open, [](call&) -> result<reply> { throw 42; });
      run("/fails", access::open, [](call& c) -> result<reply> {
        c.after_commit.push_back({});
        return failure{errc::permanent, "secret detail", {}, {}};
      });
      for (const auto* pattern : {"/shared", "/shared-too"})
        routes.push_back({.method = "GET",
                        .pattern = pattern,
                        .run = [](call& c) -> result<reply> { return ok({{"alone", c.who.name}}); },
                        .shared = shared_read{[](const request& req) { return req.query_value("alone").empty(); },
                                              [this](store&, const std::vector<shared_call>& calls) {
                                                return read_shared(calls);
                                              }}});
      routes.push_back({.method = "POST",
                        .pattern = "/silent-start",
                        .need = access::open,
                        .start = [](std::shared_ptr<exchange>) {}});
      routes.push_back({.method = "POST",
                        .pattern = "/throwing-start",
                        .need = access::open,
                        .start = [](std::shared_ptr<exchange>) {
                          throw std::runtime_error{"planted"};
                        }});
      api_ = std::make_unique<api>(system_, pool_, std::move(routes), clock_,
                                   log_, api_settings{}, options_,
                                   [this](const hint&) { ++hints_; });
    }
    return *api_;
  }

  result<std::vector<reply>> read_shared(const std::vector<shared_call>& calls) {
    const auto asked = [&](const char* what) {
      return std::any_of(calls.begin(), calls.end(),
                         [&](const auto& one) { return one.req.query_value("asked") == what; });
    };
    {
      std::lock_guard lock{reads_mutex_};
      together_.push_back(calls.size());
      most_reading_ = std::max(most_reading_, ++reading_);
    }
    if (asked("slow")) {
      slow_ones_.release();
      state_->opened.wait();
    }
    {
      std::lock_guard lock{reads_mutex_};
      --reading_;
    }
    if (read_fails_ || asked("fails"))
      return failure{errc::transient, "no connection", {}, {}};
    if (read_throws_ || asked("throws"))
      throw std::runtime_error{"planted"};
    std::vector<reply> out;
    for (const auto& one : calls)
      out.push_back(ok({{"name", one.who.name}, {"asked", one.req.query_value("asked")}}));
    return out;
  }

  /// Who asks for `slow` waits in the database until the gate opens.
  void wait_for_slow_ones(int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_TRUE(slow_ones_.try_acquire_for(30s)) << i;
  }

  /// GET of a shared route.
  std::future<reply> share(const std::string& asked, std::string token = "1|secret-one",
                           const std::string& path = "/shared") {
    request req;
    req.method = "GET";
    req.path = path;
    req.query = {{"asked", asked}};
    if (!token.empty())
      req.headers["authorization"] = "Bearer " + std::move(token);
    auto promise = std::make_shared<std::promise<reply>>();
    auto answer = promise->get_future();
    the_api().dispatcher()(std::move(req), [slot = std::make_shared<once>(promise)](reply r) {
      slot->answer(std::move(r));
    });
    return answer;
  }
  static reply got(std::future<reply>& answer) {
    if (answer.wait_for(30s) == std::future_status::ready)
      return answer.get();
    ADD_FAILURE() << "no answer";
    return {};
  }

  /// The answer; a request that gets none fails the test after 30 s.
  reply ask(std::string method, std::string path, std::string body = {},
            std::string token = "Bearer 1|secret-one") {
    request req;
    req.method = std::move(method);
    req.path = std::move(path);
    req.body = std::move(body);
    req.remote_address = "192.0.2.1";
    req.base_url = "http://h";
    if (!token.empty())
      req.headers["authorization"] = std::move(token);
    auto promise = std::make_shared<std::promise<reply>>();
    auto answer = promise->get_future();
    the_api().dispatcher()(std::move(req),
                           [slot = std::make_shared<once>(promise)](reply r) {
                             slot->answer(std::move(r));
                           });
    if (answer.wait_for(30s) != std::future_status::ready) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    return answer.get();
  }

  /// What the server does: the first answer counts, none at all is a 503.
  struct once {
    explicit once(std::shared_ptr<std::promise<reply>> p)
      : promise(std::move(p)) {}
    ~once() {
      answer(problem({errc::outcome_unknown, "", {}, {}}));
    }
    void answer(reply r) {
      if (!std::exchange(answered, true))
        promise->set_value(std::move(r));
    }
    std::shared_ptr<std::promise<reply>> promise;
    bool answered = false;
  };

  std::string in_workspace() {
    return "/who/" + to_string(state_->db.places.known);
  }

  std::string header(const reply& r, const std::string& name) {
    for (const auto& [key, value] : r.headers)
      if (key == name)
        return value;
    return {};
  }

  const user_id user_ = user_id::make();
  const tenant_id tenant_ = tenant_id::make();
  std::mutex reads_mutex_;
  std::vector<std::size_t> together_; ///< Calls of each shared read.
  int reading_ = 0;
  int most_reading_ = 0; ///< At once.
  std::counting_semaphore<> slow_ones_{0};
  std::atomic<bool> read_fails_{false};
  std::atomic<bool> read_throws_{false};
  test::recording_logger log_;
  system_clock clock_;
  std::atomic<int> hints_{0};
  api_options options_;
  std::shared_ptr<pool_state> state_ = std::make_shared<pool_state>();
  caf::actor_system system_{actor_config()};
  database_actor pool_ = system_.spawn(fake_pool, state_);
  /// Ends before the actors: its thread may be the last to hold a request.
  password_hasher hasher_;
  std::unique_ptr<api> api_;
};

// -- routes -------------------------------------------------------------------

TEST_F(HttpApiTest, AnUnknownRouteIsThe404Envelope) {
  const auto r = ask("GET", "/api/v1/nothing");
  EXPECT_EQ(r.status, 404);
  EXPECT_EQ(r.body["success"], false);
}

TEST_F(HttpApiTest, AWrongMethodIsThe405EnvelopeWithAllow) {
  const auto r = ask("DELETE", "/api/v1/auth/login");
  EXPECT_EQ(r.status, 405);
  EXPECT_EQ(header(r, "Allow"), "POST");
  EXPECT_EQ(r.body["success"], false);
}

TEST_F(HttpApiTest, MetaRoutesNeedNoDatabase) {
  state_->mode = pool_mode::forgets;
  const auto health = ask("GET", "/api/v1/health", "", "");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.body["status"], "ok");
  EXPECT_EQ(health.body["version"], "v1");
  EXPECT_THAT(health.body["timestamp"].get<std::string>(),
              testing::EndsWith("+00:00"));
  for (const char* field : {"name", "version", "docs", "status"})
    EXPECT_TRUE(ask("GET", "/api").body[field].is_string()) << field;
  EXPECT_EQ(ask("GET", "/up").status, 200);
}

TEST_F(HttpApiTest, TheDescriptionKnowsEveryRouteServedHere) {
  const auto r = ask("GET", "/api/v1/openapi.json");
  ASSERT_TRUE(r.raw);
  const auto description = json::parse(*r.raw);
  EXPECT_EQ(description["openapi"], "3.1.0");
  auto routes = meta_routes(clock_);
  for (auto& route : auth_routes(hasher_, {}))
    routes.push_back(std::move(route));
  for (const auto& route : routes) {
    auto method = route.method;
    for (char& c : method)
      c = static_cast<char>(c - 'A' + 'a');
    EXPECT_TRUE(description["paths"][route.pattern].contains(method))
      << route.pattern;
  }
}

// -- gates --------------------------------------------------------------------

TEST_F(HttpApiTest, OnlyALiveTokenPasses) {
  EXPECT_EQ(ask("POST", "/echo").status, 200);
  EXPECT_EQ(ask("POST", "/echo", "", "Bearer secret-one").status, 200);
  for (const char* bad :
       {"", "Bearer", "Bearer 1|secret-two", "Bearer 2|secret-one",
        "Bearer other", "Basic 1|secret-one"}) {
    const auto r = ask("POST", "/echo", "", bad);
    EXPECT_EQ(r.status, 401) << bad;
    EXPECT_EQ(r.body["success"], false);
    EXPECT_EQ(header(r, "WWW-Authenticate"), "Bearer");
  }
  state_->db.tokens.tokens[1].expired = true;
  EXPECT_EQ(ask("POST", "/echo").status, 401);
}

TEST_F(HttpApiTest, UseIsNotedUnlessItWasLately) {
  ask("POST", "/echo");
  EXPECT_EQ(state_->db.tokens.touched, 1);
  state_->db.tokens.tokens[1].used_lately = true;
  ask("POST", "/echo");
  EXPECT_EQ(state_->db.tokens.touched, 1);
}

TEST_F(HttpApiTest, ATenantThatMayNotWorkIs403) {
  for (const auto status :
       {tenant_status::suspended, tenant_status::terminated}) {
    state_->db.places.status = status;
    EXPECT_EQ(ask("POST", "/echo").status, 403);
  }
  state_->db.places.status = tenant_status::pending;
  EXPECT_EQ(ask("POST", "/echo").status, 200);
}

TEST_F(HttpApiTest, LogoutPassesNoTenantGate) {
  state_->db.places.status = tenant_status::terminated;
  const auto r = ask("POST", "/api/v1/auth/logout");
  EXPECT_EQ(r.status, 200);
  EXPECT_TRUE(r.body["data"].is_null());
  EXPECT_EQ(state_->db.tokens.revoked, 1);
}

TEST_F(HttpApiTest, AWorkspaceNeedsMembershipOrATenantAdmin) {
  EXPECT_EQ(ask("POST", in_workspace()).status, 403);
  state_->db.places.membership = workspace_role::viewer;
  const auto member = ask("POST", in_workspace());
  EXPECT_EQ(member.status, 200);
  EXPECT_EQ(member.body["data"]["editor"], false);
  state_->db.places.membership.reset();
  state_->db.tokens.tokens[1].role = tenant_role::admin;
  const auto admin = ask("POST", in_workspace());
  EXPECT_EQ(admin.status, 200);
  EXPECT_EQ(admin.body["data"]["editor"], true);
}

TEST_F(HttpApiTest, AnUnknownOrMalformedWorkspaceIs404) {
  EXPECT_EQ(ask("POST", "/who/" + to_string(workspace_id::make())).status, 404);
  EXPECT_EQ(ask("POST", "/who/nonsense").status, 404);
}

TEST_F(HttpApiTest, TheTokenIsCheckedBeforeEverythingElse) {
  state_->db.places.status = tenant_status::suspended;
  EXPECT_EQ(ask("POST", "/who/nonsense", "{", "").status, 401);
  EXPECT_EQ(ask("POST", "/who/nonsense", "{").status, 403);
}

// -- handlers -----------------------------------------------------------------

TEST_F(HttpApiTest, HintsGoOutAfterSuccessOnly) {
  ask("POST", "/echo", "{}");
  // Hints follow the answer.
  const auto give_up = std::chrono::steady_clock::now() + 30s;
  while (hints_ != 1 && std::chrono::steady_clock::now() < give_up)
    std::this_thread::yield();
  EXPECT_EQ(hints_, 1);
  EXPECT_EQ(ask("POST", "/fails").status, 500);
  EXPECT_EQ(ask("POST", "/echo", "[").status, 422);
  EXPECT_EQ(hints_, 1);
}

TEST_F(HttpApiTest, WhatAHandlerThrowsIs500AndLogged) {
  for (const char* path :
       {"/type-error", "/absent", "/odd", "/throwing-start"}) {
    const auto r = ask("POST", path);
    EXPECT_EQ(r.status, 500) << path;
    EXPECT_THAT(r.body.dump(), AllOf(Not(HasSubstr("planted")), Not(HasSubstr("that port")))) << path;
  }
  EXPECT_TRUE(log_.has("request-failed"));
  EXPECT_EQ(ask("POST", "/echo").status, 200);
}

TEST_F(HttpApiTest, InternalDetailsStayInside) {
  EXPECT_THAT(ask("POST", "/fails").body.dump(), Not(HasSubstr("secret")));
}

TEST_F(HttpApiTest, AFullPoolIs503WithRetryAfter) {
  state_->mode = pool_mode::refuses;
  for (const char* path : {"/echo", "/api/v1/auth/login"}) {
    const auto r
      = ask("POST", path, R"({"email":"a@b.example","password":"x"})");
    EXPECT_EQ(r.status, 503) << path;
    EXPECT_EQ(header(r, "Retry-After"), "1");
  }
}

TEST_F(HttpApiTest, ASilentDatabaseIs503AfterTheDeadline) {
  options_.deadline = 1ms;
  state_->mode = pool_mode::forgets;
  EXPECT_EQ(ask("POST", "/echo").status, 503);
  EXPECT_EQ(ask("POST", "/api/v1/auth/login",
                R"({"email":"a@b.example","password":"x"})")
              .status,
            503);
}

TEST_F(HttpApiTest, ADeadDatabaseIs503) {
  caf::anon_send_exit(pool_, caf::exit_reason::kill);
  EXPECT_EQ(ask("POST", "/echo").status, 503);
}

TEST_F(HttpApiTest, AnExchangeThatIsLetGoIs503) {
  EXPECT_EQ(ask("POST", "/silent-start").status, 503);
}

// -- shared reads ---------------------------------------------------------------

TEST_F(HttpApiTest, WhatArrivesWhileTheDatabaseIsBusyIsReadTogetherAndEachGetsHisOwn) {
  add_token(2, "secret-two");
  auto& tokens = state_->db.tokens.tokens;
  tokens[2].user_name = "Emil Editor";
  add_token(3, "secret-three");
  tokens[3].expired = true;
  add_token(4, "secret-four");
  tokens[4].used_lately = true;
  state_->mode = pool_mode::waits;
  std::vector<std::future<reply>> answers;
  for (const auto* token : {"1|secret-one", "2|secret-two", "1|secret-one", "2|secret-one", "3|secret-three",
                            "9|secret-one", "4|secret-four"})
    answers.push_back(share(std::to_string(answers.size()), token));
  state_->gate.set_value();
  std::vector<reply> replies;
  for (auto& answer : answers)
    replies.push_back(got(answer));
  const std::vector<std::pair<int, std::string>> wanted{{200, "Olga Owner"}, {200, "Emil Editor"}, {200, "Olga Owner"},
                                                        {401, ""},           {401, ""},            {401, ""},
                                                        {200, "Olga Owner"}};
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(replies[i].status, wanted[i].first) << i;
    if (wanted[i].first != 200)
      continue;
    EXPECT_EQ(replies[i].body["data"]["name"], wanted[i].second);
    EXPECT_EQ(replies[i].body["data"]["asked"], std::to_string(i));
  }
  EXPECT_EQ(together_, std::vector<std::size_t>{4});
  EXPECT_EQ(state_->db.tokens.lookups, 1);
  EXPECT_EQ(state_->db.tokens.touched, 3) << "the one that was used lately is left alone";
}

TEST_F(HttpApiTest, MoreThanOneRoundHoldsAreReadInSeveral) {
  state_->mode = pool_mode::waits;
  std::vector<std::future<reply>> answers;
  for (int i = 0; i < 300; ++i)
    answers.push_back(share(std::to_string(i), "1|secret-one"));
  state_->gate.set_value();
  for (std::size_t i = 0; i < answers.size(); ++i)
    EXPECT_EQ(got(answers[i]).body["data"]["asked"], std::to_string(i));
  EXPECT_EQ(together_.size(), 5u);
  EXPECT_LE(*std::max_element(together_.begin(), together_.end()), 64u);
}

TEST_F(HttpApiTest, ASharedReadPassesTheSameGatesAsAnyOther) {
  auto& status = state_->db.tokens.status;
  const auto ask_shared = [&](const std::string& token) {
    auto answer = share("", token);
    return got(answer).status;
  };
  EXPECT_EQ(ask_shared("1|secret-one"), 200);
  status = tenant_status::suspended;
  EXPECT_EQ(ask_shared("1|secret-one"), 403);
  status = tenant_status::terminated;
  EXPECT_EQ(ask_shared("1|secret-one"), 403);
  status.reset();
  EXPECT_EQ(ask_shared("1|secret-one"), 404);
  status = tenant_status::pending;
  EXPECT_EQ(ask_shared("1|secret-one"), 200);
  for (const auto* token : {"", "1|", "x|secret-one", "0|secret-one"})
    EXPECT_EQ(ask_shared(token), 401) << token;
  // Read alone: a token without its id, and what the read does not take.
  EXPECT_EQ(ask_shared("secret-one"), 200);
  EXPECT_EQ(together_.size(), 2u);
}

TEST_F(HttpApiTest, WhenASharedReadFailsEveryoneIsToldAndTheNextIsTriedAnew) {
  const auto ask_shared = [&] {
    auto answer = share("", "1|secret-one");
    return got(answer).status;
  };
  state_->db.tokens.broken = true;
  EXPECT_EQ(ask_shared(), 503);
  state_->db.tokens.broken = false;
  read_fails_ = true;
  EXPECT_EQ(ask_shared(), 503);
  read_fails_ = false;
  read_throws_ = true;
  EXPECT_EQ(ask_shared(), 500);
  read_throws_ = false;
  state_->mode = pool_mode::refuses;
  EXPECT_EQ(ask_shared(), 503);
  EXPECT_EQ(ask_shared(), 503);
  EXPECT_EQ(ask_shared(), 503);
  state_->mode = pool_mode::works;
  EXPECT_EQ(ask_shared(), 200);
}

TEST_F(HttpApiTest, WhoWaitsForAReadThatHangsIs503AfterTheDeadline) {
  options_.deadline = 1ms;
  state_->mode = pool_mode::forgets;
  std::vector<std::future<reply>> answers;
  for (int i = 0; i < 5; ++i)
    answers.push_back(share("", "1|secret-one"));
  for (auto& answer : answers)
    EXPECT_EQ(got(answer).status, 503);
}

TEST_F(HttpApiTest, ASharedReadOnADeadPoolIs503) {
  caf::anon_send_exit(pool_, caf::exit_reason::kill);
  for (int i = 0; i < 5; ++i) {
    auto answer = share("", "1|secret-one");
    EXPECT_EQ(got(answer).status, 503);
  }
}

TEST_F(HttpApiTest, WhoMakesASharedReadFailFailsAlone) {
  state_->mode = pool_mode::waits;
  std::vector<std::future<reply>> answers;
  for (const auto* asked : {"a", "b", "fails", "c", "d", "e", "f", "g", "throws", "h", "i"})
    answers.push_back(share(asked));
  state_->open();
  for (std::size_t i = 0; i < answers.size(); ++i)
    EXPECT_EQ(got(answers[i]).status, i == 2 ? 503 : i == 8 ? 500 : 200) << i;
  EXPECT_EQ(together_.front(), answers.size());
}

TEST_F(HttpApiTest, WhenEverythingFailsTheDatabaseIsNotAskedForEachAlone) {
  read_fails_ = true;
  state_->mode = pool_mode::waits;
  std::vector<std::future<reply>> answers;
  for (int i = 0; i < 64; ++i)
    answers.push_back(share(std::to_string(i)));
  state_->open();
  for (auto& answer : answers)
    EXPECT_EQ(got(answer).status, 503);
  EXPECT_EQ(together_.front(), 64u);
  EXPECT_LE(together_.size(), 16u);
}

TEST_F(HttpApiTest, ARoundThatCameTooLateFailsNobodyWhoHasTimeLeft) {
  state_->mode = pool_mode::is_late;
  auto patient = share("patient");
  // It can only be that many rounds were refused by then, not that he was.
  options_.deadline = 1ms;
  the_api().configure({}, options_);
  auto hasty = share("hasty", "1|secret-one", "/shared-too");
  EXPECT_EQ(got(hasty).status, 503);
  state_->mode = pool_mode::works;
  EXPECT_EQ(got(patient).status, 200);
}

TEST_F(HttpApiTest, ARoundMayWaitForAConnectionAsLongAsTheLastOfItsRequests) {
  options_.connections = 1;
  state_->mode = pool_mode::works_on_many;
  auto slow = share("slow");
  wait_for_slow_ones(1);
  options_.deadline = 1ms;
  the_api().configure({}, options_);
  auto hasty = share("hasty");
  options_.deadline = 1h;
  the_api().configure({}, options_);
  auto patient = share("patient");
  state_->open();
  EXPECT_EQ(got(patient).status, 200);
  EXPECT_GT(state_->expires, std::chrono::steady_clock::now() + 30min);
  got(hasty);
  EXPECT_EQ(got(slow).status, 200);
}

TEST_F(HttpApiTest, ALoneRequestDoesNotWaitForASlowReadOfOthers) {
  state_->mode = pool_mode::works_on_many;
  auto slow = share("slow");
  wait_for_slow_ones(1);
  auto quick = share("quick");
  EXPECT_EQ(got(quick).status, 200);
  EXPECT_NE(slow.wait_for(0s), std::future_status::ready);
  state_->open();
  EXPECT_EQ(got(slow).status, 200);
}

TEST_F(HttpApiTest, WhoWaitsForASlowReadIs503WhenHisTimeHasRunOut) {
  options_.connections = 1;
  state_->mode = pool_mode::works_on_many;
  auto slow = share("slow");
  wait_for_slow_ones(1);
  options_.deadline = 1ms;
  the_api().configure({}, options_);
  auto hasty = share("hasty");
  auto other = share("other", "1|secret-one", "/shared-too");
  EXPECT_EQ(got(hasty).status, 503);
  EXPECT_EQ(got(other).status, 503);
  EXPECT_NE(slow.wait_for(0s), std::future_status::ready);
}

TEST_F(HttpApiTest, SharedReadsOfAllRoutesLeaveAConnectionToOthers) {
  options_.connections = 3;
  state_->mode = pool_mode::works_on_many;
  std::vector<std::future<reply>> answers;
  // One after the other, so that they are not read together.
  for (const auto* path : {"/shared", "/shared-too"}) {
    answers.push_back(share("slow", "1|secret-one", path));
    wait_for_slow_ones(1);
  }
  for (int i = 0; i < 100; ++i)
    answers.push_back(share("quick", "1|secret-one", i % 2 ? "/shared" : "/shared-too"));
  EXPECT_EQ(ask("POST", "/echo").status, 200);
  state_->open();
  for (auto& answer : answers)
    EXPECT_EQ(got(answer).status, 200);
  EXPECT_EQ(most_reading_, 2);
}

TEST_F(HttpApiTest, RoutesTakeTurnsOnAPlaceThatTheyShare) {
  options_.connections = 1;
  state_->mode = pool_mode::works_on_many;
  std::vector<std::future<reply>> answers;
  answers.push_back(share("slow"));
  wait_for_slow_ones(1);
  for (int i = 0; i < 200; ++i)
    answers.push_back(share("many"));
  answers.push_back(share("one", "1|secret-one", "/shared-too"));
  state_->open();
  for (auto& answer : answers)
    EXPECT_EQ(got(answer).status, 200);
  ASSERT_GE(together_.size(), 3u);
  EXPECT_EQ(together_[1], 1u) << "before the many";
  EXPECT_EQ(most_reading_, 1);
}

TEST_F(HttpApiTest, OneMoreThanMayWaitForASharedReadIs503WithRetryAfter) {
  options_.connections = 1;
  options_.queue_limit = 2;
  state_->mode = pool_mode::works_on_many;
  auto slow = share("slow");
  wait_for_slow_ones(1);
  auto second = share("second");
  auto third = share("third", "1|secret-one", "/shared-too");
  for (const auto* path : {"/shared", "/shared-too"}) {
    auto refused = share("refused", "1|secret-one", path);
    const auto r = got(refused);
    EXPECT_EQ(r.status, 503);
    EXPECT_EQ(header(r, "Retry-After"), "1");
  }
  EXPECT_NE(slow.wait_for(0s), std::future_status::ready);
  state_->open();
  for (auto* answer : {&slow, &second, &third})
    EXPECT_EQ(got(*answer).status, 200);
}

// -- login --------------------------------------------------------------------

TEST_F(HttpApiTest, LoginGivesATokenAndTheUser) {
  const auto r
    = ask("POST", "/api/v1/auth/login",
          R"({"email":"owner@acme.example","password":"User@1234"})", "");
  ASSERT_EQ(r.status, 200) << r.body.dump();
  const auto& data = r.body["data"];
  EXPECT_THAT(data["token"].get<std::string>(),
              testing::MatchesRegex("77\\|[A-Za-z0-9]{48}"));
  EXPECT_EQ(data["token_type"], "Bearer");
  EXPECT_EQ(data["expires_in"], 86400);
  EXPECT_EQ(data["user"]["email"], "owner@acme.example");
  EXPECT_EQ(data["user"]["role_in_tenant"], "member");
  EXPECT_TRUE(data["user"]["avatar_url"].is_null());
  // Only the hash of the secret is stored.
  const auto plain = data["token"].get<std::string>().substr(3);
  EXPECT_EQ(state_->db.tokens.added.secret_hash, hash_token_secret(plain));
}

TEST_F(HttpApiTest, RememberMakesATokenOfThirtyDays) {
  const auto r = ask(
    "POST", "/api/v1/auth/login",
    R"({"email":"owner@acme.example","password":"User@1234","remember":true})");
  EXPECT_EQ(r.body["data"]["expires_in"], 2592000);
  EXPECT_EQ(state_->db.tokens.added.lifetime, 2592000s);
}

TEST_F(HttpApiTest, AnUnknownEmailAndAWrongPasswordLookTheSame) {
  const auto wrong
    = ask("POST", "/api/v1/auth/login",
          R"({"email":"owner@acme.example","password":"no"})", "");
  const auto unknown = ask("POST", "/api/v1/auth/login",
                           R"({"email":"x@acme.example","password":"no"})", "");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_EQ(wrong.body, unknown.body);
  EXPECT_TRUE(wrong.body["errors"].contains("email"));
  state_->db.tokens.user.password_hash.clear();
  EXPECT_EQ(ask("POST", "/api/v1/auth/login",
                R"({"email":"owner@acme.example","password":""})", "")
              .status,
            422);
  EXPECT_EQ(ask("POST", "/api/v1/auth/login",
                R"({"email":"owner@acme.example","password":"no"})", "")
              .body,
            wrong.body);
}

TEST_F(HttpApiTest, InactiveAndTwoFactorUsersMayNotLogIn) {
  const auto body = R"({"email":"owner@acme.example","password":"User@1234"})";
  state_->db.tokens.user.mfa_enabled = true;
  const auto mfa = ask("POST", "/api/v1/auth/login", body, "");
  EXPECT_EQ(mfa.status, 422);
  EXPECT_TRUE(mfa.body["errors"].contains("email"));
  state_->db.tokens.user.mfa_enabled = false;
  state_->db.tokens.user.who.status = user_status::suspended;
  const auto suspended = ask("POST", "/api/v1/auth/login", body, "");
  EXPECT_EQ(suspended.status, 422);
  EXPECT_TRUE(suspended.body["errors"].contains("email"));
}

TEST_F(HttpApiTest, BadLoginInputIs422) {
  const auto r = ask("POST", "/api/v1/auth/login", R"({"email":"\u0000"})", "");
  EXPECT_EQ(r.status, 422);
  EXPECT_TRUE(r.body["errors"].contains("email"));
}

TEST_F(HttpApiTest, TooManyLoginsAre429WithTheHeaders) {
  options_.auth_limit = {2, 60s};
  EXPECT_EQ(header(ask("POST", "/api/v1/auth/login"), "X-RateLimit-Remaining"),
            "1");
  EXPECT_EQ(ask("POST", "/api/v1/auth/login").status, 422);
  const auto r = ask("POST", "/api/v1/auth/login");
  EXPECT_EQ(r.status, 429);
  EXPECT_EQ(r.body["success"], false);
  EXPECT_EQ(header(r, "X-RateLimit-Limit"), "2");
  EXPECT_EQ(header(r, "X-RateLimit-Remaining"), "0");
  EXPECT_GT(std::stoi(header(r, "Retry-After")), 0);
  // Other routes are not counted.
  EXPECT_EQ(ask("POST", "/echo").status, 200);
}

TEST_F(HttpApiTest, RefreshIssuesANewToken) {
  const auto r = ask("POST", "/api/v1/auth/refresh");
  EXPECT_EQ(r.status, 200);
  EXPECT_THAT(r.body["data"]["token"].get<std::string>(),
              testing::StartsWith("78|"));
  EXPECT_EQ(r.body["data"]["expires_in"], 86400);
}

TEST_F(HttpApiTest, UserAndMeAreTheSame) {
  const auto user = ask("GET", "/api/v1/user");
  EXPECT_EQ(user.status, 200);
  EXPECT_EQ(user.body["data"]["name"], "Olga Owner");
  EXPECT_EQ(user.body, ask("GET", "/api/v1/auth/me").body);
  EXPECT_EQ(ask("GET", "/api/v1/user", "", "").status, 401);
}

} // namespace
} // namespace carillon::http
