// The description that is served, the routes that are served, and the answers
// that are given are one.

#include <fstream>
#include <set>
#include <sstream>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <sys/wait.h>

#include "domain/clock.hpp"
#include "http/handlers/internal/routes.hpp"
#include "http/password_hasher.hpp"
#include "http/public_routes.hpp"
#include "http/unsubscribe_token.hpp"
#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

std::string contents_of(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class OpenApiTest : public api_suite {
protected:
  static json description() {
    return node().web().get("/api/v1/openapi.json").json();
  }

  static std::vector<http::route> public_routes() {
    static silent_logger log;
    static const system_clock clock;
    static http::password_hasher passwords{{4, 1}, log};
    return http::public_routes(passwords, {}, clock);
  }

  /// Every answer that a test has got through it.
  class recorder {
  public:
    web_answer ask(const web_client& by, const std::string& method, const std::string& pattern,
                   const std::map<std::string, std::string>& places = {}, const std::string& body = {},
                   const std::vector<std::string>& headers = {}) {
      auto path = pattern.substr(0, pattern.find('?'));
      const auto query = pattern.substr(path.size());
      const auto shape = path;
      for (const auto& [name, value] : places)
        if (const auto at = path.find("{" + name + "}"); at != std::string::npos)
          path.replace(at, name.size() + 2, value);
      auto answer = by.send(method, path + query, body, headers);
      answers_.push_back({{"method", method}, {"template", shape}, {"status", answer.status}, {"body", answer.body}});
      return answer;
    }
    const json& answers() const {
      return answers_;
    }

  private:
    json answers_ = json::array();
  };

  /// What the description does not allow, a line each.
  static std::string faults_of(const json& answers) {
    const scratch_folder folder;
    const auto write = [&](const char* name, const std::string& text) {
      std::ofstream{folder.path() / name} << text;
      return (folder.path() / name).string();
    };
    process check{{"/usr/bin/python3", std::string{CARILLON_SOURCE_DIR} + "/tests/support/check_answers.py",
                   write("openapi.json", node().web().get("/api/v1/openapi.json").body),
                   write("answers.json", answers.dump())},
                  {}, folder.path() / "check.log"};
    const auto status = check.wait(std::chrono::seconds{120});
    if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0)
      return {};
    return check.output();
  }
};

TEST_F(OpenApiTest, TheProgramServesTheDescriptionOfThisRepository) {
  const auto answer = node().web().get("/api/v1/openapi.json");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(header_of(answer, "Content-Type"), "application/json");
  EXPECT_EQ(answer.body, contents_of(std::string{CARILLON_SOURCE_DIR} + "/http/openapi.json"));
  EXPECT_EQ(answer.json()["openapi"], "3.1.0");
  const auto info = node().web().get("/api").json();
  EXPECT_EQ(info["docs"], node().web().base_url() + "/api/v1/openapi.json");
}

TEST_F(OpenApiTest, EveryRouteThatIsServedIsDescribed) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto routes = public_routes();
  EXPECT_GT(routes.size(), 30u);
  for (auto& route : http::internal_routes({system, node_actor{}, [] { return std::vector<config::described_value>{}; }, "", {}, {}}))
    routes.push_back(std::move(route));
  const auto paths = description()["paths"];
  for (const auto& route : routes) {
    auto method = route.method;
    for (char& c : method)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    EXPECT_TRUE(paths.contains(route.pattern) && paths[route.pattern].contains(method)) << route.method << " " << route.pattern;
  }
}

TEST_F(OpenApiTest, TheDescriptionSaysWhichRoutesNeedAToken) {
  const auto document = description();
  for (const auto& route : public_routes()) {
    auto method = route.method;
    for (char& c : method)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto operation = document["paths"].value(route.pattern, json::object()).value(method, json::object());
    const auto security = operation.value("security", document.value("security", json::array()));
    EXPECT_EQ(security.empty(), route.need == http::access::open) << route.method << " " << route.pattern;
  }
}

TEST_F(OpenApiTest, RealAnswersOfEveryRouteAreWhatTheDescriptionSays) {
  recorder api;
  const auto nobody = node().web();
  const auto account = to_string(add_account(workspace));
  add_account(workspace, "linkedin", "token_expired");
  const std::map<std::string, std::string> here{{"workspace", to_string(workspace)}};
  const auto at = [&](std::initializer_list<std::pair<const std::string, std::string>> more) {
    auto out = here;
    out.insert(more);
    return out;
  };
  const std::string v1 = "/api/v1";
  const std::string posts = v1 + "/workspaces/{workspace}/posts";
  const std::string post = posts + "/{post}";
  const auto credentials = [](const std::string& email) {
    return json{{"email", email}, {"password", password}}.dump();
  };

  for (const auto* open : {"/api", "/up", "/api/v1/health"})
    api.ask(nobody, "GET", open);
  for (const auto* shown : {"/internal/config", "/internal/actors"})
    api.ask(node().internal(), "GET", shown);
  api.ask(node().internal(), "POST", "/internal/workspaces/{workspace}/release", here);

  // Log-ins.
  const auto spare = add_person(tenant, "spare");
  const auto token = data_of(api.ask(nobody, "POST", v1 + "/auth/login", {}, credentials(spare.email))).value("token", "");
  api.ask(nobody, "POST", v1 + "/auth/login", {}, credentials("nobody@acme.example"));
  api.ask(nobody, "POST", v1 + "/auth/login", {}, "{");
  const web_client first{nobody.base_url(), token};
  for (const auto* me : {"/user", "/auth/me"}) {
    api.ask(first, "GET", v1 + me);
    api.ask(nobody, "GET", v1 + me);
  }
  const web_client second{nobody.base_url(), data_of(api.ask(first, "POST", v1 + "/auth/refresh")).value("token", "")};
  api.ask(first, "POST", v1 + "/auth/refresh");
  api.ask(second, "POST", v1 + "/auth/logout");
  api.ask(second, "POST", v1 + "/auth/logout");

  // Workspaces, the tenant, accounts.
  for (const auto* by : {&owner, &viewer})
    api.ask(by->web, "GET", v1 + "/workspaces");
  api.ask(owner.web, "GET", v1 + "/workspaces?search=nothing-like-it");
  api.ask(nobody, "GET", v1 + "/workspaces");
  for (const auto* by : {&viewer, &owner, &outsider, &stranger})
    api.ask(by->web, "GET", v1 + "/workspaces/{workspace}", here);
  const auto fresh = data_of(api.ask(owner.web, "POST", v1 + "/workspaces", {}, R"({"name": "Fresh", "icon": "star"})"), 201).value("id", "");
  api.ask(owner.web, "POST", v1 + "/workspaces");
  api.ask(editor.web, "POST", v1 + "/workspaces", {}, R"({"name": "Fresh"})");
  api.ask(nobody, "POST", v1 + "/workspaces");
  const std::string members = v1 + "/workspaces/{workspace}/members";
  const std::map<std::string, std::string> in_fresh{{"workspace", fresh}, {"userId", to_string(outsider.id)}};
  const auto add_outsider = json{{"user_id", to_string(outsider.id)}, {"role", "editor"}}.dump();
  api.ask(owner.web, "POST", members, in_fresh, add_outsider);
  api.ask(owner.web, "POST", members, in_fresh, add_outsider);
  api.ask(owner.web, "PUT", members + "/{userId}", in_fresh, R"({"role": "admin"})");
  api.ask(owner.web, "PUT", members + "/{userId}", in_fresh, R"({"role": "king"})");
  for (const auto* by : {&owner, &editor, &stranger}) {
    api.ask(by->web, "GET", members, in_fresh);
    api.ask(by->web, "GET", v1 + "/workspaces/{workspace}/dashboard", in_fresh);
  }
  for (const auto* by : {&editor, &stranger}) {
    api.ask(by->web, "POST", members, in_fresh, add_outsider);
    api.ask(by->web, "PUT", members + "/{userId}", in_fresh, R"({"role": "admin"})");
    api.ask(by->web, "DELETE", members + "/{userId}", in_fresh);
  }
  for (int i = 0; i < 2; ++i)
    api.ask(owner.web, "DELETE", members + "/{userId}", in_fresh);
  api.ask(viewer.web, "GET", v1 + "/workspaces/{workspace}/dashboard", here);
  api.ask(viewer.web, "GET", v1 + "/tenants/current");
  api.ask(nobody, "GET", v1 + "/tenants/current");
  for (const auto* by : {&viewer, &outsider, &stranger}) {
    api.ask(by->web, "GET", v1 + "/workspaces/{workspace}/social-accounts", here);
    api.ask(by->web, "GET", v1 + "/workspaces/{workspace}/social-accounts/{socialAccount}", at({{"socialAccount", account}}));
  }

  // Posts, through all they can go through.
  const json body{{"content_text", "Text"}, {"content_variations", {{"twitter", "Short"}}}, {"hashtags", json::array({"a"})},
                  {"mentions", json::array({"b"})}, {"link_url", "https://acme.example"}, {"first_comment", "First"},
                  {"scheduled_at", "2035-06-01T09:00:00Z"}, {"scheduled_timezone", "Asia/Kolkata"},
                  {"social_account_ids", json::array({account})}};
  const auto create = [&] { return data_of(api.ask(editor.web, "POST", posts, here, body.dump()), 201).value("id", ""); };
  const auto id = create();
  const auto that = at({{"post", id}});
  api.ask(editor.web, "POST", posts, here);
  api.ask(editor.web, "POST", posts, here, R"({"content_text": 7})");
  api.ask(viewer.web, "POST", posts, here);
  api.ask(stranger.web, "POST", posts, here);
  api.ask(nobody, "POST", posts, here);
  for (const auto* by : {&viewer, &outsider, &stranger}) {
    api.ask(by->web, "GET", posts, here);
    api.ask(by->web, "GET", post, that);
    api.ask(by->web, "GET", post + "/targets", that);
    api.ask(by->web, "GET", post + "/approval-history", that);
  }
  const auto refuse = [&](const std::string& method, const std::string& pattern) {
    api.ask(nobody, method, pattern, that);
    api.ask(viewer.web, method, pattern, that);
    api.ask(stranger.web, method, pattern, that);
  };
  for (const auto* command : {"/submit", "/approve", "/reject", "/schedule", "/publish", "/retry", "/cancel", "/duplicate", "/media"})
    refuse("POST", post + command);
  for (const auto* shown : {"/media", "/attempts"})
    refuse("GET", post + shown);
  refuse("PUT", post + "/media/order");
  refuse("PUT", post);
  refuse("DELETE", post);
  refuse("PUT", post + "/targets");
  refuse("PUT", post + "/schedule");
  api.ask(editor.web, "PUT", post, that, R"({"content_text": "Changed"})");
  api.ask(editor.web, "PUT", post, that, R"({"link_url": "no URL"})");
  api.ask(editor.web, "PUT", post + "/targets", that, body.dump());
  api.ask(editor.web, "PUT", post + "/targets", that);

  // Media: by path, as an upload, in order, and away.
  const auto attached = data_of(api.ask(editor.web, "POST", post + "/media", that, R"({"media_type": "image", "file_path": "a.png",
    "file_url": "https://cdn.acme.example/a.png", "metadata": {"a": 1}, "alt_text": "A bee"})"), 201).value("id", "");
  api.ask(editor.web, "POST", post + "/media", that, R"({"file_path": "../a.png"})");
  const auto form = [](const std::string& media_type) {
    return "--edge\r\nContent-Disposition: form-data; name=\"media_type\"\r\n\r\n" + media_type
           + "\r\n--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.7\r\n--edge--\r\n";
  };
  const std::vector<std::string> as_form{"Content-Type: multipart/form-data; boundary=edge"};
  api.ask(editor.web, "POST", post + "/media", that, form("document"), as_form);
  api.ask(editor.web, "POST", post + "/media", that, form("image"), as_form);
  // A file is no JSON; PostMediaTest has it.
  api.ask(nobody, "GET", v1 + "/media/{token}", {{"token", "forged"}});
  for (const auto* by : {&viewer, &stranger})
    api.ask(by->web, "POST", post + "/media", that, form("document"), as_form);
  api.ask(nobody, "POST", post + "/media", that, form("document"), as_form);
  api.ask(viewer.web, "GET", post + "/media", that);
  api.ask(editor.web, "PUT", post + "/media/order", that, json{{"media_order", json::array({attached})}}.dump());
  api.ask(editor.web, "PUT", post + "/media/order", that, json{{attached, 7}}.dump());
  api.ask(editor.web, "PUT", post + "/media/order", that);
  for (const auto& media : {attached, attached, std::string{"nonsense"}})
    api.ask(editor.web, "DELETE", post + "/media/{media}", at({{"post", id}, {"media", media}}));
  api.ask(editor.web, "GET", post, that);
  api.ask(editor.web, "POST", post + "/submit", that);
  api.ask(editor.web, "POST", post + "/submit", that);
  api.ask(admin.web, "GET", v1 + "/workspaces/{workspace}/approvals", here);
  api.ask(editor.web, "GET", v1 + "/workspaces/{workspace}/approvals", here);
  api.ask(admin.web, "POST", post + "/reject", that);
  api.ask(admin.web, "POST", post + "/reject", that, R"({"reason": "Not yet", "comment": "Sorry"})");
  api.ask(editor.web, "GET", post, that);
  api.ask(editor.web, "PUT", post, that, R"({"content_text": "Better"})");
  api.ask(editor.web, "POST", post + "/submit", that);
  api.ask(admin.web, "POST", post + "/approve", that, R"({"comment": 7})");
  api.ask(admin.web, "POST", post + "/approve", that, R"({"comment": "Good"})");
  api.ask(admin.web, "GET", post + "/approval-history", that);
  api.ask(admin.web, "POST", post + "/schedule", that, R"({"scheduled_at": "2020-01-01T00:00:00Z"})");
  api.ask(admin.web, "POST", post + "/schedule", that, R"({"scheduled_at": "2035-06-01T09:00:00", "timezone": "Europe/Berlin"})");
  api.ask(admin.web, "PUT", post + "/schedule", that, R"({"scheduled_at": "soon"})");
  api.ask(admin.web, "PUT", post + "/schedule", that, R"({"scheduled_at": "2035-06-02T09:00:00"})");
  api.ask(admin.web, "POST", post + "/publish", that);
  api.ask(admin.web, "POST", post + "/publish", that);
  api.ask(admin.web, "POST", post + "/cancel", that);
  // The account is at no real network: the target ends as failed.
  EXPECT_TRUE(eventually([&] {
    return data_of(editor.web.get(base + "/posts/" + id))["post"]["status"] == "failed";
  }));
  api.ask(editor.web, "GET", post, that);
  api.ask(editor.web, "GET", post + "/targets", that);
  api.ask(viewer.web, "GET", post + "/attempts", that);
  api.ask(admin.web, "POST", post + "/retry", that, R"({"confirm_duplicate_risk": "maybe"})");
  api.ask(admin.web, "POST", post + "/retry", that, R"({"confirm_duplicate_risk": true})");
  api.ask(admin.web, "POST", post + "/retry", that);
  api.ask(editor.web, "POST", post + "/duplicate", that);
  for (const auto* many : {"/bulk-delete", "/bulk-submit", "/bulk-schedule"}) {
    const json body_of_many{{"post_ids", json::array({id, create()})}, {"scheduled_at", "2035-06-01T09:00:00Z"}};
    for (const auto* by : {&editor, &admin, &outsider, &stranger})
      api.ask(by->web, "POST", posts + many, here, body_of_many.dump());
    api.ask(editor.web, "POST", posts + many, here);
    api.ask(nobody, "POST", posts + many, here);
  }
  const auto other = at({{"post", create()}});
  api.ask(editor.web, "DELETE", post + "/targets/{target}",
          at({{"post", other.at("post")},
              {"target", data_of(editor.web.get(base + "/posts/" + other.at("post")))["targets"][0].value("id", "")}}));
  api.ask(editor.web, "DELETE", post + "/targets/{target}", at({{"post", other.at("post")}, {"target", account}}));
  api.ask(editor.web, "POST", post + "/submit", other);
  api.ask(editor.web, "POST", post + "/cancel", other);
  api.ask(editor.web, "DELETE", post, other);
  api.ask(editor.web, "DELETE", post, other);
  api.ask(editor.web, "GET", posts, here);

  // Notifications: those that the posts have made, and others.
  const auto notice = add_notice(editor, {.data = "'{}'", .icon = "'star'", .action_url = "'/app'"});
  const auto others = add_notice(colleague);
  const std::string notices = v1 + "/notifications";
  for (const auto& path : {notices, notices + "?per_page=1", notices + "?search=nothing-like-it", notices + "/unread-count",
                           notices + "/recent", notices + "/preferences"}) {
    api.ask(editor.web, "GET", path);
    api.ask(nobody, "GET", path);
  }
  api.ask(editor.web, "POST", notices + "/{notification}/read", {{"notification", notice}});
  api.ask(editor.web, "POST", notices + "/{notification}/read", {{"notification", others}});
  api.ask(editor.web, "POST", notices + "/{notification}/read", {{"notification", "nonsense"}});
  api.ask(nobody, "POST", notices + "/{notification}/read", {{"notification", notice}});
  api.ask(editor.web, "POST", notices + "/read-multiple", {}, json{{"ids", json::array({notice})}}.dump());
  api.ask(editor.web, "POST", notices + "/read-multiple", {}, R"({"ids": ["nonsense"]})");
  api.ask(nobody, "POST", notices + "/read-multiple");
  api.ask(editor.web, "POST", notices + "/read-all");
  api.ask(nobody, "POST", notices + "/read-all");
  const json one{{"notification_type", "post_failed"}, {"in_app_enabled", true}, {"email_enabled", false}};
  api.ask(editor.web, "PUT", notices + "/preferences", {}, one.dump());
  api.ask(editor.web, "PUT", notices + "/preferences", {}, json{{"preferences", json::array({one})}}.dump());
  api.ask(editor.web, "PUT", notices + "/preferences", {}, "{}");
  api.ask(nobody, "PUT", notices + "/preferences");

  // Push and phone.
  const json browser{{"endpoint", "https://push.example.net/1"},
                     {"keys", {{"p256dh", "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"},
                               {"auth", "BTBZMqHH6r4Tts7J_aSIgg"}}}};
  for (const auto* by : std::initializer_list<const web_client*>{&editor.web, &nobody}) {
    api.ask(*by, "GET", notices + "/push/public-key");
    api.ask(*by, "POST", notices + "/push/subscriptions", {}, browser.dump());
    api.ask(*by, "POST", notices + "/push/subscriptions", {}, "{}");
    api.ask(*by, "GET", notices + "/push/subscriptions");
    api.ask(*by, "DELETE", notices + "/push/subscriptions", {}, browser.dump());
    api.ask(*by, "DELETE", notices + "/push/subscriptions", {}, browser.dump());
    api.ask(*by, "DELETE", notices + "/push/subscriptions");
    api.ask(*by, "GET", notices + "/phone");
    api.ask(*by, "PUT", notices + "/phone", {}, R"({"phone": "+49 30 1234567"})");
    api.ask(*by, "GET", notices + "/phone");
    api.ask(*by, "PUT", notices + "/phone", {}, R"({"phone": "030"})");
  }

  // What became of them, quiet hours and digests, and the end of a mail.
  for (const auto& id : {notice, others, std::string{"nonsense"}})
    api.ask(editor.web, "GET", notices + "/{notification}/deliveries", {{"notification", id}});
  const auto told = db().exec("SELECT carillon.notify(" + sql_literal(tenant) + ", " + sql_literal(editor.id) + ", 'post_failed', 't', 'm')");
  api.ask(editor.web, "GET", notices + "/{notification}/deliveries", {{"notification", told}});
  api.ask(nobody, "GET", notices + "/{notification}/deliveries", {{"notification", told}});
  for (const auto* by : std::initializer_list<const web_client*>{&editor.web, &nobody}) {
    api.ask(*by, "PUT", notices + "/settings", {}, R"({"quiet_hours": {"enabled": true}, "digests": {"team": "daily"}})");
    api.ask(*by, "PUT", notices + "/settings", {}, R"({"digest_hour": 24})");
    api.ask(*by, "GET", notices + "/settings");
  }
  const std::map<std::string, std::string> ended{
    {"token", http::make_unsubscribe_token(http::unsubscribe_key(std::string(32, 'k')), {tenant, editor.id, "post_failed"})}};
  for (const auto* method : {"GET", "POST"}) {
    api.ask(nobody, method, "/unsubscribe/{token}", ended);
    api.ask(nobody, method, "/unsubscribe/{token}", {{"token", "forged"}});
  }

  // Signatures for live channels. The connections themselves do not end: LiveTest has them.
  for (const auto* path : {"/broadcasting/auth", "/api/broadcasting/auth"}) {
    const auto channel = [](const person& of) {
      return json{{"socket_id", "12.34"}, {"channel_name", "private-user." + to_string(of.id)}}.dump();
    };
    api.ask(viewer.web, "POST", path, {}, channel(viewer));
    api.ask(viewer.web, "POST", path, {}, channel(editor));
    api.ask(viewer.web, "POST", path, {}, "{}");
    api.ask(nobody, "POST", path, {}, channel(viewer));
  }
  api.ask(nobody, "GET", "/app/{key}", {{"key", "carillon"}});
  api.ask(nobody, "GET", v1 + "/notifications/stream");

  // The platform's own staff and the job engine.
  const auto root = add_super_admin("SUPER_ADMIN");
  const auto looker = add_super_admin("VIEWER");
  const std::string admins = v1 + "/admin/auth";
  const std::string engine = v1 + "/admin/jobs";
  const web_client staff{
    nobody.base_url(), data_of(api.ask(nobody, "POST", admins + "/login", {}, credentials(root.email))).value("token", "")};
  api.ask(nobody, "POST", admins + "/login", {}, credentials("nobody@carillon.example"));
  using clients = std::initializer_list<const web_client*>;
  for (const auto* by : clients{&staff, &owner.web, &nobody})
    for (const auto& path : {admins + "/me", engine, engine + "?limit=1", engine + "/stats", engine + "/controls"})
      api.ask(*by, "GET", path);
  api.ask(staff, "GET", engine + "?limit=0&state=asleep");
  api.ask(staff, "PUT", engine + "/controls", {}, R"({"scope": "kind", "name": "greet", "paused": true, "max_running": 3,
    "rate": {"per_second": 2.5}})");
  api.ask(staff, "GET", engine + "/controls");
  api.ask(staff, "PUT", engine + "/controls", {}, R"({"scope": "planet"})");
  const std::map<std::string, std::string> work{
    {"job", db().exec("SELECT carillon.enqueue('greet', " + sql_literal(tenant) + ", " + sql_literal(workspace) + ")")}};
  for (const auto* action : {"/discard", "/retry", "/cancel"}) {
    api.ask(staff, "POST", engine + "/{job}" + action, work);
    api.ask(staff, "GET", engine + "/{job}", work);
    api.ask(staff, "GET", engine);
    api.ask(staff, "POST", engine + action, {}, R"({"kind": "greet", "preview": true})");
    api.ask(staff, "POST", engine + action, {}, R"({"kind": "greet", "limit": 5})");
    api.ask(staff, "POST", engine + action);
    for (const auto* by : clients{&looker.web, &owner.web, &nobody}) {
      api.ask(*by, "POST", engine + "/{job}" + action, work);
      api.ask(*by, "POST", engine + action, {}, "{}");
    }
  }
  api.ask(staff, "POST", engine + "/{job}/cancel", work);
  api.ask(staff, "GET", engine + "/{job}", {{"job", to_string(job_id::make())}});
  api.ask(looker.web, "PUT", engine + "/controls", {}, "{}");
  const std::string suppressions = v1 + "/admin/mail/suppressions";
  const auto lost_address = json{{"tenant_id", to_string(tenant)}, {"address", "gone@users.example"}}.dump();
  db().exec("INSERT INTO carillon.mail_suppressions (tenant_id, address, reason) VALUES (" + sql_literal(tenant)
            + ", 'gone@users.example', '550 no such user')");
  for (const auto* by : clients{&staff, &owner.web, &nobody}) {
    api.ask(*by, "GET", suppressions);
    api.ask(*by, "GET", suppressions + "?limit=0&cursor=x");
  }
  for (const auto* by : clients{&looker.web, &owner.web, &nobody, &staff, &staff})
    api.ask(*by, "POST", suppressions + "/lift", {}, lost_address);
  api.ask(staff, "POST", suppressions + "/lift", {}, "{}");
  const std::string lateness = v1 + "/admin/publishing/lateness";
  const auto late_account = add_account(workspace);
  db().exec("UPDATE carillon.posts SET scheduled_at = now() - interval '1 hour' WHERE id = "
            + sql_literal(add_post(editor, "scheduled", late_account)));
  for (const auto* by : clients{&staff, &looker.web, &owner.web, &nobody}) {
    api.ask(*by, "GET", lateness);
    api.ask(*by, "GET", lateness + "?hours=0&network=fax");
  }
  api.ask(staff, "POST", admins + "/logout");
  api.ask(staff, "POST", admins + "/logout");

  // A tenant that may not enter.
  db().exec("UPDATE carillon.tenants SET status = 'suspended' WHERE id = " + sql_literal(tenant));
  for (const auto& path : {v1 + "/user", v1 + "/workspaces", v1 + "/tenants/current", notices})
    api.ask(editor.web, "GET", path);

  EXPECT_EQ(faults_of(api.answers()), "");
  std::set<std::string> good;
  for (const auto& answer : api.answers())
    if (answer["status"].get<int>() / 100 == 2)
      good.insert(answer["method"].get<std::string>() + " " + answer["template"].get<std::string>());
  const std::set<std::string> seen_elsewhere{"/api/v1/openapi.json", "/api/v1/media/{token}", "/app/{key}", "/api/v1/notifications/stream"};
  for (const auto& route : public_routes())
    EXPECT_TRUE(seen_elsewhere.contains(route.pattern) || good.contains(route.method + " " + route.pattern))
      << "no success was seen of " << route.method << " " << route.pattern;
}

TEST_F(OpenApiTest, TheComparisonFindsAnAnswerThatIsNotDescribed) {
  recorder api;
  add_notice(editor);
  api.ask(editor.web, "GET", "/api/v1/notifications");
  EXPECT_EQ(faults_of(api.answers()), "");
  const auto with = [&](const char* member, const json& value) {
    auto answers = api.answers();
    auto body = json::parse(answers[0]["body"].get<std::string>());
    body["data"][0][member] = value;
    answers[0]["body"] = body.dump();
    return faults_of(answers);
  };
  EXPECT_NE(with("is_read", "yes"), "");
  EXPECT_NE(with("type", "no_such_type"), "");
  EXPECT_NE(with("created_at", "2026-02-07T10:00:00Z"), "") << "the one form of times";
  EXPECT_NE(with("id", "5"), "");
  EXPECT_NE(with("not_described", 1), "");
  auto answers = api.answers();
  answers[0]["status"] = 418;
  EXPECT_NE(faults_of(answers), "");
}

} // namespace

} // namespace carillon
