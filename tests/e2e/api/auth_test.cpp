// Contract §2.1 to §2.3 and the limiter of §1.6.

#include <future>
#include <regex>

#include <boost/crc.hpp>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

constexpr auto login_route = "/api/v1/auth/login";

class AuthTest : public api_suite {
protected:
  web_answer login(const json& body) {
    return node().web().post(login_route, body);
  }
  web_answer login(const person& who) {
    return login({{"email", who.email}, {"password", password}});
  }
  std::string token_of(const web_answer& answer, where at = where::current()) {
    const auto data = data_of(answer, 200, at);
    return data.is_object() ? data.value("token", "") : "";
  }
  web_client as(const std::string& token) {
    return web_client{node().web().base_url(), token};
  }
  int me(const std::string& token) {
    return as(token).get("/api/v1/user").status;
  }
  static std::string id_of(const std::string& token) {
    return token.substr(0, token.find('|'));
  }
  int tokens(const person& who) {
    return count("personal_access_tokens WHERE tokenable_id = " + sql_literal(who.id));
  }
  int lifetime(const std::string& token) {
    return std::stoi(db().exec("SELECT round(extract(epoch FROM expires_at - created_at)) "
                               "FROM carillon.personal_access_tokens WHERE id = " + id_of(token)));
  }
  void set(const person& who, const std::string& assignment) {
    db().exec("UPDATE carillon.users SET " + assignment + " WHERE id = " + sql_literal(who.id));
  }
};

TEST_F(AuthTest, LoggingInAnswersUserAndToken) {
  const auto data = data_of(login(editor));
  EXPECT_EQ(data.size(), 4u);
  EXPECT_EQ(data.value("token_type", ""), "Bearer");
  EXPECT_EQ(data.value("expires_in", 0), 86'400);
  const auto user = data.value("user", json::object());
  EXPECT_EQ(user.value("id", ""), to_string(editor.id));
  EXPECT_EQ(me(data.value("token", "")), 200);
  EXPECT_EQ(lifetime(data.value("token", "")), 86'400);
  EXPECT_NE(db().exec("SELECT last_login_at FROM carillon.users WHERE id = " + sql_literal(editor.id)), "");
}

TEST_F(AuthTest, RememberKeepsTheTokenForThirtyDays) {
  for (const auto& [yes, no] : std::initializer_list<std::pair<json, json>>{{true, false}, {1, 0}, {"1", "0"}}) {
    const auto remembered = data_of(login({{"email", editor.email}, {"password", password}, {"remember", yes}}));
    EXPECT_EQ(remembered.value("expires_in", 0), 2'592'000) << yes;
    EXPECT_EQ(lifetime(remembered.value("token", "")), 2'592'000) << yes;
    const auto not_so = data_of(login({{"email", editor.email}, {"password", password}, {"remember", no}}));
    EXPECT_EQ(not_so.value("expires_in", 0), 86'400) << no;
  }
  for (const auto& value : {json("yes"), json(2), json::array(), json::object()})
    EXPECT_TRUE(refuses(login({{"email", editor.email}, {"password", password}, {"remember", value}}), "remember")) << value;
}

TEST_F(AuthTest, ATokenIsIdAndSecretWithTheChecksumOfItsRandomPart) {
  const auto token = token_of(login(editor));
  const std::regex form{R"((\d+)\|([A-Za-z0-9]{40})([0-9a-f]{8}))"};
  std::smatch parts;
  ASSERT_TRUE(std::regex_match(token, parts, form)) << token;
  boost::crc_32_type checksum;
  const auto random = parts[2].str();
  checksum.process_bytes(random.data(), random.size());
  EXPECT_EQ(std::stoul(parts[3].str(), nullptr, 16), checksum.checksum());
  const auto stored = db().exec("SELECT token || ' ' || name || ' ' || abilities || ' ' || tokenable_type "
                                "FROM carillon.personal_access_tokens WHERE id = " + parts[1].str());
  EXPECT_EQ(stored, db().exec("SELECT encode(sha256(" + sql_literal(random + parts[3].str()) + "::bytea), 'hex')")
                      + " auth-token [\"*\"] user") << "only the hash is kept";
  EXPECT_NE(token, token_of(login(editor)));
}

TEST_F(AuthTest, AWrongLogInIsRefusedOnTheEmailWhateverIsWrong) {
  std::vector<person> refused;
  for (const auto* status : {"pending", "suspended", "deactivated"})
    refused.push_back(add_person(tenant, status, tenant_role::member, status));
  const auto add = [&](const char* name, const char* assignment) {
    refused.push_back(add_person(tenant, name));
    set(refused.back(), assignment);
  };
  add("passwordless", "password = NULL");
  add("broken", "password = 'no bcrypt hash'");
  add("deleted", "deleted_at = now()");
  add("second-factor", "mfa_enabled = true");
  const auto before = fingerprint();
  for (const auto& who : refused)
    EXPECT_TRUE(refuses(login(who), "email")) << who.name;
  EXPECT_TRUE(refuses(login({{"email", editor.email}, {"password", "User@12345"}}), "email"));
  EXPECT_TRUE(refuses(login({{"email", "nobody@acme.example"}, {"password", password}}), "email"));
  EXPECT_EQ(login({{"email", editor.email}, {"password", "x"}}).body,
            login({{"email", "nobody@acme.example"}, {"password", "x"}}).body)
    << "the answer does not tell who exists";
  EXPECT_EQ(fingerprint(), before) << "no token was issued";
}

TEST_F(AuthTest, WhatIsMissingOrNoTextIsRefusedUnderItsName) {
  EXPECT_TRUE(refuses(login(json::object()), {"email", "password"}));
  EXPECT_TRUE(refuses(login({{"email", ""}, {"password", nullptr}}), {"email", "password"}));
  EXPECT_TRUE(refuses(login({{"email", editor.email}}), "password"));
  EXPECT_TRUE(refuses(login({{"email", 7}, {"password", json::array({password})}}), {"email", "password"}));
  EXPECT_TRUE(refuses(login({{"email", {{"$ne", 1}}}, {"password", true}}), {"email", "password"}));
  for (const auto* no_mail : {"editor", "@acme.example", "a@b@c", "a b@acme.example", "editor@"})
    EXPECT_TRUE(refuses(login({{"email", no_mail}, {"password", password}}), "email")) << no_mail;
  EXPECT_TRUE(refuses(login({{"email", std::string(250, 'a') + "@acme.example"}, {"password", password}}), "email"));
  EXPECT_TRUE(refuses(login({{"email", editor.email + "' OR '1'='1"}, {"password", password}}), "email"));
  EXPECT_TRUE(refuses(login({{"email", editor.email}, {"password", std::string(500'000, 'x')}}), "email"))
    << "a long password is a wrong one";
}

TEST_F(AuthTest, TheMailAddressIsReadInAnyCase) {
  auto email = editor.email;
  for (char& c : email)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  data_of(login({{"email", email}, {"password", password}}));
}

TEST_F(AuthTest, TheNewestTenTokensLive) {
  std::vector<std::string> issued;
  for (int i = 0; i < 12; ++i)
    issued.push_back(token_of(login(editor)));
  EXPECT_EQ(tokens(editor), 10);
  EXPECT_EQ(me(editor.token), 401) << "the oldest";
  EXPECT_EQ(me(issued[0]), 401);
  EXPECT_EQ(me(issued[1]), 401);
  for (std::size_t i = 2; i < issued.size(); ++i)
    EXPECT_EQ(me(issued[i]), 200) << i;
  EXPECT_EQ(me(colleague.token), 200) << "others keep theirs";
}

TEST_F(AuthTest, ExpiredTokensDoNotCountAmongTheTen) {
  for (int i = 0; i < 8; ++i)
    token_of(login(editor));
  db().exec("UPDATE carillon.personal_access_tokens SET expires_at = now() - interval '1 second' WHERE id IN "
            "(SELECT id FROM carillon.personal_access_tokens WHERE tokenable_id = " + sql_literal(editor.id)
            + " ORDER BY id DESC LIMIT 5)");
  token_of(login(editor));
  EXPECT_EQ(tokens(editor), 5) << "four live ones, the new one, and none that has expired";
  EXPECT_EQ(me(editor.token), 200) << "the oldest live one stays";
}

TEST_F(AuthTest, LoggingInAtOnceStillLeavesTen) {
  std::vector<std::future<int>> logins;
  for (int i = 0; i < 4; ++i)
    logins.push_back(std::async(std::launch::async, [this] {
      int good = 0;
      for (int k = 0; k < 5; ++k)
        good += login(editor).status == 200 ? 1 : 0;
      return good;
    }));
  int good = 0;
  for (auto& one : logins)
    good += one.get();
  EXPECT_EQ(good, 20);
  EXPECT_EQ(tokens(editor), 10);
}

TEST_F(AuthTest, MeIsTheWholeUserUnderBothPaths) {
  set(editor, "timezone = 'Asia/Kolkata', email_verified_at = '2026-02-07 10:00:00.9+00', "
              "avatar_url = 'https://acme.example/a.png', created_at = '2026-01-01 00:00:00+00'");
  const auto user = data_of(editor.web.get("/api/v1/user"));
  EXPECT_EQ(user, (json{{"id", to_string(editor.id)}, {"name", "editor"}, {"email", editor.email},
                        {"avatar_url", "https://acme.example/a.png"}, {"timezone", "Asia/Kolkata"},
                        {"status", "active"}, {"role_in_tenant", "member"},
                        {"email_verified_at", "2026-02-07T10:00:00+00:00"},
                        {"created_at", "2026-01-01T00:00:00+00:00"}}));
  EXPECT_EQ(data_of(editor.web.get("/api/v1/auth/me")), user);
  const auto bare = data_of(owner.web.get("/api/v1/user"));
  EXPECT_EQ(bare.value("avatar_url", json{1}), nullptr);
  EXPECT_EQ(bare.value("role_in_tenant", ""), "owner");
}

TEST_F(AuthTest, LoggingOutEndsTheCurrentTokenOnly) {
  const auto first = token_of(login(editor));
  const auto second = token_of(login(editor));
  EXPECT_EQ(data_of(as(first).post("/api/v1/auth/logout")), nullptr);
  EXPECT_TRUE(is_problem(as(first).get("/api/v1/user"), 401));
  EXPECT_TRUE(is_problem(as(first).post("/api/v1/auth/logout"), 401));
  EXPECT_EQ(me(second), 200);
}

TEST_F(AuthTest, RefreshingEndsEveryTokenAndIssuesOne) {
  const auto first = token_of(login(editor));
  const auto data = data_of(as(first).post("/api/v1/auth/refresh"));
  EXPECT_EQ(data.value("expires_in", 0), 86'400);
  EXPECT_EQ(data.value("token_type", ""), "Bearer");
  EXPECT_EQ(me(data.value("token", "")), 200);
  EXPECT_EQ(me(first), 401);
  EXPECT_EQ(me(editor.token), 401);
  EXPECT_EQ(tokens(editor), 1);
}

TEST_F(AuthTest, WithoutALiveTokenThereIsOnly401) {
  const auto secret = editor.token.substr(editor.token.find('|') + 1);
  const auto id = id_of(editor.token);
  const auto other_id = id_of(colleague.token);
  const auto answer = [&](const std::string& header) {
    return node().web().send("GET", "/api/v1/user", "", header.empty() ? std::vector<std::string>{}
                                                                       : std::vector<std::string>{header});
  };
  for (const std::string& credentials :
       {std::string{}, std::string{"Authorization: Bearer"}, std::string{"Authorization: Bearer |"},
        "Authorization: Bearer " + id + "|", "Authorization: Bearer |" + secret,
        "Authorization: Bearer " + id + "|" + secret + "x", "Authorization: Bearer " + other_id + "|" + secret,
        "Authorization: Bearer 0|" + secret, "Authorization: Bearer -" + id + "|" + secret,
        "Authorization: Bearer +" + id + "|" + secret, "Authorization: Bearer 0x1|" + secret,
        "Authorization: Bearer 99999999999999999999|" + secret, "Authorization: Bearer 9223372036854775807|" + secret,
        "Authorization: Bearer " + id + "%7C" + secret, "Authorization: Bearer " + id + "||" + secret,
        "Authorization: Bearer " + id + "|" + secret + "|", "Authorization: Basic " + editor.token,
        "Authorization: " + editor.token, "Authorization: Bearer" + editor.token,
        "Authorization: Bearer " + std::string(5'000, 'a'), std::string{"Authorization: Bearer ' OR '1'='1"},
        std::string{"Authorization: Bearer 1|' OR '1'='1"}, std::string{"Authorization: Bearer null"},
        std::string{"Authorization: Bearer undefined"},
        "Cookie: token=" + editor.token}) {
    const auto refused = answer(credentials);
    EXPECT_TRUE(is_problem(refused, 401)) << credentials;
    EXPECT_EQ(header_of(refused, "WWW-Authenticate"), "Bearer") << credentials;
  }
  EXPECT_EQ(answer("Authorization: Bearer " + editor.token).status, 200);
  EXPECT_EQ(answer("authorization: bearer   " + editor.token).status, 200) << "the scheme is read in any case";
  EXPECT_EQ(answer("Authorization: Bearer " + secret).status, 200) << "without the id, by its hash";
}

TEST_F(AuthTest, AnExpiredTokenAndThatOfADeletedUserAreDead) {
  const auto token = token_of(login(editor));
  db().exec("UPDATE carillon.personal_access_tokens SET expires_at = now() - interval '1 second' WHERE id = "
            + id_of(token));
  EXPECT_TRUE(is_problem(as(token).get("/api/v1/user"), 401));
  EXPECT_TRUE(is_problem(as(token.substr(token.find('|') + 1)).get("/api/v1/user"), 401));
  set(colleague, "deleted_at = now()");
  EXPECT_TRUE(is_problem(colleague.web.get("/api/v1/user"), 401));
  EXPECT_TRUE(is_problem(colleague.web.post("/api/v1/auth/refresh"), 401));
}

TEST_F(AuthTest, UseOfATokenIsWrittenAtMostOnceAMinute) {
  const auto used = [&] {
    return db().exec("SELECT last_used_at FROM carillon.personal_access_tokens WHERE id = " + id_of(editor.token));
  };
  EXPECT_EQ(used(), "");
  data_of(editor.web.get("/api/v1/user"));
  const auto first = used();
  EXPECT_NE(first, "");
  data_of(editor.web.get("/api/v1/user"));
  EXPECT_EQ(used(), first);
  db().exec("UPDATE carillon.personal_access_tokens SET last_used_at = now() - interval '2 minutes' WHERE id = "
            + id_of(editor.token));
  data_of(editor.web.get("/api/v1/user"));
  EXPECT_GT(used(), first);
}

TEST_F(AuthTest, ASuspendedOrTerminatedTenantIsForbiddenAndAMissingOneDoesNotExist) {
  const auto set_tenant = [&](const std::string& assignment) {
    db().exec("UPDATE carillon.tenants SET " + assignment + " WHERE id = " + sql_literal(tenant));
  };
  const std::vector<std::string> routes{"/api/v1/user", "/api/v1/tenants/current", "/api/v1/workspaces", base,
                                        base + "/posts", base + "/social-accounts", "/api/v1/notifications",
                                        "/api/v1/notifications/preferences"};
  for (const auto* status : {"suspended", "terminated"}) {
    set_tenant("status = '" + std::string{status} + "'");
    for (const auto& one : routes)
      EXPECT_TRUE(is_problem(editor.web.get(one), 403)) << status << " " << one;
    EXPECT_TRUE(is_problem(editor.web.post(base + "/posts", {{"content_text", 7}}), 403)) << "before the body";
  }
  set_tenant("status = 'pending'");
  for (const auto& one : routes)
    data_of(editor.web.get(one));
  set_tenant("status = 'suspended'");
  data_of(editor.web.post("/api/v1/auth/logout")) ;
  set_tenant("status = 'active', deleted_at = now()");
  for (const auto& one : routes)
    EXPECT_TRUE(is_problem(colleague.web.get(one), 404)) << one;
}

TEST_F(AuthTest, NoSecretIsEverLogged) {
  const auto token = token_of(login(editor));
  const auto secret = token.substr(token.find('|') + 1);
  as(token).get("/api/v1/user");
  login({{"email", editor.email}, {"password", "Wrong@Password1"}});
  as(token + "x").get("/api/v1/user");
  const auto log = node().self().output();
  EXPECT_NE(log.find("http-request"), std::string::npos);
  for (const auto& hidden : {secret, std::string{password}, std::string{"Wrong@Password1"}})
    EXPECT_EQ(log.find(hidden), std::string::npos) << hidden;
}

class AuthLimitTest : public api_suite {
public:
  static void SetUpTestSuite() {
    start_node({{"CARILLON_HTTP__AUTH_RATE_LIMIT_PER_MINUTE", "30"}});
  }
};

TEST_F(AuthLimitTest, TheThirtyFirstLogInOfAMinuteIsThrottled) {
  const auto login = [&](const char* given) {
    return node().web().post(login_route, {{"email", editor.email}, {"password", given}});
  };
  for (int i = 1; i <= 30; ++i) {
    const auto answer = i % 2 ? login(password) : login("wrong");
    EXPECT_EQ(answer.status, i % 2 ? 200 : 422) << answer.body;
    EXPECT_EQ(header_of(answer, "X-RateLimit-Limit"), "30");
    EXPECT_EQ(header_of(answer, "X-RateLimit-Remaining"), std::to_string(30 - i));
  }
  const auto before = fingerprint();
  const auto refused = login(password);
  EXPECT_TRUE(is_problem(refused, 429));
  EXPECT_EQ(header_of(refused, "X-RateLimit-Limit"), "30");
  EXPECT_EQ(header_of(refused, "X-RateLimit-Remaining"), "0");
  const auto wait = header_of(refused, "Retry-After");
  ASSERT_TRUE(!wait.empty() && wait.size() <= 2) << wait;
  EXPECT_GE(std::stoi(wait), 1);
  EXPECT_LE(std::stoi(wait), 60);
  EXPECT_GE(std::stoll(header_of(refused, "X-RateLimit-Reset")),
            std::stoll(db().exec("SELECT floor(extract(epoch FROM now()))::bigint")));
  EXPECT_TRUE(is_problem(node().web().send("POST", login_route, "{nonsense"), 429)) << "before the body is read";
  EXPECT_EQ(fingerprint(), before);
  const auto other_route = colleague.web.get("/api/v1/user");
  data_of(other_route);
  EXPECT_EQ(header_of(other_route, "X-RateLimit-Limit"), "") << "only log-ins are limited";
}

} // namespace

} // namespace carillon
