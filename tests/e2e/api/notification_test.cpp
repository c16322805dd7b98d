// Contract §3.1, without the preferences.

#include <future>
#include <set>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

constexpr auto notices_route = "/api/v1/notifications";

class NotificationTest : public api_suite {
protected:
  json list(const std::string& query = "", where at = where::current()) {
    return data_of(editor.web.get(notices_route + query), 200, at);
  }
  json ids(const std::string& query = "", where at = where::current()) {
    return column(list(query, at), "id");
  }
  int unread(const person& of) {
    const auto data = data_of(of.web.get("/api/v1/notifications/unread-count"));
    return data.is_object() ? data.value("count", -1) : -1;
  }
  /// Oldest first.
  std::vector<std::string> add_many(int number, const person& to) {
    std::vector<std::string> out;
    for (int i = 0; i < number; ++i)
      out.push_back(add_notice(to, {.title = "Notice " + std::to_string(i),
                                    .created_at = "now() - interval '" + std::to_string(number - i) + " minutes'"}));
    return out;
  }
};

TEST_F(NotificationTest, NoRouteAnswersWithoutAToken) {
  const auto nobody = node().web();
  const auto id = add_notice(editor);
  EXPECT_TRUE(is_problem(nobody.get(notices_route), 401));
  EXPECT_TRUE(is_problem(nobody.get("/api/v1/notifications/unread-count"), 401));
  EXPECT_TRUE(is_problem(nobody.get("/api/v1/notifications/recent"), 401));
  EXPECT_TRUE(is_problem(nobody.post("/api/v1/notifications/" + id + "/read"), 401));
  EXPECT_TRUE(is_problem(nobody.post("/api/v1/notifications/read-all"), 401));
  EXPECT_TRUE(is_problem(nobody.post("/api/v1/notifications/read-multiple", {{"ids", json::array({id})}}), 401));
  EXPECT_TRUE(is_problem(nobody.get("/api/v1/notifications/preferences"), 401));
  EXPECT_TRUE(is_problem(nobody.put("/api/v1/notifications/preferences",
                                    {{"notification_type", "post_failed"}}), 401));
  EXPECT_EQ(unread(editor), 1);
}

TEST_F(NotificationTest, TheListShowsTheCallersOwnInAppNotificationsNewestFirst) {
  const auto mine = add_many(3, editor);
  add_notice(colleague);
  add_notice(stranger);
  for (const auto* channel : {"email", "push", "sms"})
    add_notice(editor, {.channel = channel});
  EXPECT_EQ(ids(), json::array({mine[2], mine[1], mine[0]}));
}

TEST_F(NotificationTest, ANotificationCarriesTheWholeSuperset) {
  const auto id = add_notice(editor, {.type = "post_failed",
                                      .created_at = "'2026-02-07 10:00:00.75+00'",
                                      .data = R"('{"post_id": "7", "tries": 3}')",
                                      .action_url = "'/app/settings/privacy'"});
  const auto items = list();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0], (json{{"id", id},
                            {"user_id", to_string(editor.id)},
                            {"type", "post_failed"},
                            {"type_label", "Post Failed"},
                            {"category", "content"},
                            {"channel", "in_app"},
                            {"title", "Title"},
                            {"message", "Message"},
                            {"data", {{"post_id", "7"}, {"tries", 3}}},
                            {"action_url", "/app/settings/privacy"},
                            {"icon", "exclamation-triangle"},
                            {"is_read", false},
                            {"is_urgent", true},
                            {"read_at", nullptr},
                            {"sent_at", nullptr},
                            {"created_at", "2026-02-07T10:00:00+00:00"}}));
}

TEST_F(NotificationTest, IconAndDataHaveTheirDefaults) {
  add_notice(editor, {.created_at = "now() - interval '3 minutes'", .data = "'[]'", .icon = "'star'"});
  add_notice(editor, {.type = "trial_ending", .created_at = "now() - interval '2 minutes'", .data = "'{}'"});
  add_notice(editor, {.type = "trial_ending", .read_at = "'2026-02-07 10:00:00+00'"});
  const auto items = list();
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[2]["icon"], "star");
  EXPECT_EQ(items[2]["data"], json::object()) << "the predecessor's empty list";
  EXPECT_EQ(items[1]["icon"], "clock");
  EXPECT_EQ(items[1]["data"], json::object());
  EXPECT_EQ(items[0]["data"], nullptr);
  EXPECT_EQ(items[0]["is_read"], true);
  EXPECT_EQ(items[0]["read_at"], "2026-02-07T10:00:00+00:00");
  EXPECT_EQ(items[0]["is_urgent"], false);
}

TEST_F(NotificationTest, TypeAndCategoryFilterAndUnknownOnesAreIgnored) {
  const auto failed = add_notice(editor, {.type = "post_failed", .created_at = "now() - interval '3 minutes'"});
  const auto comment = add_notice(editor, {.type = "new_comment", .created_at = "now() - interval '2 minutes'"});
  const auto mention = add_notice(editor, {.type = "new_mention", .created_at = "now() - interval '1 minute'"});
  EXPECT_EQ(ids("?type=post_failed"), json::array({failed}));
  EXPECT_EQ(ids("?category=engagement"), json::array({mention, comment}));
  EXPECT_EQ(ids("?category=engagement&type=new_comment"), json::array({comment}));
  EXPECT_EQ(ids("?category=content&type=new_comment"), json::array());
  const auto all = json::array({mention, comment, failed});
  for (const auto* query : {"?type=no_such_type", "?category=nonsense", "?type=", "?category=", "?type=POST_FAILED"})
    EXPECT_EQ(ids(query), all) << query;
}

TEST_F(NotificationTest, IsReadTakesTheWordsAndTheDigits) {
  const auto seen = add_notice(editor, {.created_at = "now() - interval '1 minute'", .read_at = "now()"});
  const auto fresh = add_notice(editor);
  for (const auto* value : {"true", "1"})
    EXPECT_EQ(ids(std::string{"?is_read="} + value), json::array({seen})) << value;
  for (const auto* value : {"false", "0"})
    EXPECT_EQ(ids(std::string{"?is_read="} + value), json::array({fresh})) << value;
  for (const auto* query : {"?is_read=", "?is_read", "?is_read=perhaps"})
    EXPECT_EQ(ids(query), json::array({fresh, seen})) << query;
}

TEST_F(NotificationTest, DatesBoundTheListBothEndsIncluded) {
  const auto day7 = add_notice(editor, {.created_at = "'2026-02-07 10:00:00+00'"});
  const auto day8 = add_notice(editor, {.created_at = "'2026-02-08 23:59:59.5+00'"});
  const auto day9 = add_notice(editor, {.created_at = "'2026-02-09 00:00:00+00'"});
  EXPECT_EQ(ids("?from_date=2026-02-08"), json::array({day9, day8}));
  EXPECT_EQ(ids("?to_date=2026-02-08"), json::array({day8, day7})) << "a day without a time lasts until its end";
  EXPECT_EQ(ids("?from_date=2026-02-07T10:00:00Z&to_date=2026-02-07T10:00:00Z"), json::array({day7}));
  EXPECT_EQ(ids("?from_date=2026-02-07T12:00:00%2B02:00&to_date=2026-02-07"), json::array({day7}));
  EXPECT_EQ(ids("?from_date=2026-02-07T10:00:00.000Z&to_date=2026-02-07T23:59:59.999Z"), json::array({day7}));
  EXPECT_EQ(ids("?from_date=yesterday&to_date=2026-13-40"), json::array({day9, day8, day7})) << "no dates";
  EXPECT_EQ(ids("?from_date=&to_date="), json::array({day9, day8, day7}));
}

TEST_F(NotificationTest, TheListComesInPagesOfTwenty) {
  const auto all = add_many(45, editor);
  const auto first = editor.web.get(notices_route);
  EXPECT_EQ(data_of(first).size(), 20u);
  EXPECT_EQ(first.json()["meta"], (json{{"current_page", 1}, {"last_page", 3}, {"per_page", 20},
                                        {"total", 45}, {"from", 1}, {"to", 20}}));
  const auto last = editor.web.get("/api/v1/notifications?page=3");
  EXPECT_EQ(column(data_of(last), "id"), json::array({all[4], all[3], all[2], all[1], all[0]}));
  EXPECT_EQ(last.json()["meta"], (json{{"current_page", 3}, {"last_page", 3}, {"per_page", 20},
                                       {"total", 45}, {"from", 41}, {"to", 45}}));
}

TEST_F(NotificationTest, LinksAreAbsoluteAndLeadThroughThePages) {
  const auto all = add_many(5, editor);
  const auto& root = editor.web.base_url();
  const auto body = editor.web.get("/api/v1/notifications?per_page=2&page=2").json();
  for (const auto* link : {"first", "last", "prev", "next"})
    EXPECT_TRUE(body["links"][link].is_string()
                && body["links"][link].get<std::string>().starts_with(root + notices_route + "?")) << body["links"];
  std::vector<std::string> seen;
  json next = body["links"]["first"];
  while (next.is_string() && seen.size() < 10) {
    const auto page = editor.web.get(next.get<std::string>().substr(root.size()));
    for (const auto& id : column(data_of(page), "id"))
      seen.push_back(id);
    next = page.json()["links"]["next"];
  }
  EXPECT_EQ(seen, (std::vector<std::string>{all.rbegin(), all.rend()}));
  const auto first = editor.web.get("/api/v1/notifications?per_page=2").json()["links"];
  EXPECT_EQ(first["prev"], nullptr);
  const auto last = editor.web.get("/api/v1/notifications?per_page=2&page=3").json()["links"];
  EXPECT_EQ(last["next"], nullptr);
  EXPECT_TRUE(last["prev"].is_string());
}

TEST_F(NotificationTest, PageAndPerPageAreClamped) {
  add_many(3, editor);
  const auto per_page = [&](const std::string& value) {
    const auto answer = editor.web.get("/api/v1/notifications?per_page=" + value);
    data_of(answer);
    return answer.json()["meta"]["per_page"];
  };
  for (const auto* low : {"0", "-1", "-99999999999999999999"})
    EXPECT_EQ(per_page(low), 1) << low;
  for (const auto* high : {"101", "1000", "2147483648", "99999999999999999999"})
    EXPECT_EQ(per_page(high), 100) << high;
  for (const auto* no_number : {"", "many", "5x", "1e3", "%27", "0x10"})
    EXPECT_EQ(per_page(no_number), 20) << no_number;
  const auto page = [&](const std::string& value) {
    return editor.web.get("/api/v1/notifications?page=" + value).json()["meta"]["current_page"];
  };
  for (const auto* first : {"0", "-1", "", "one", "-99999999999999999999"})
    EXPECT_EQ(page(first), 1) << first;
}

TEST_F(NotificationTest, APageBeyondTheLastIsEmpty) {
  add_many(3, editor);
  for (const auto* number : {"2", "1000000", "99999999999999999999"}) {
    const auto answer = editor.web.get("/api/v1/notifications?page=" + std::string{number});
    EXPECT_EQ(data_of(answer), json::array()) << number;
    const auto meta = answer.json()["meta"];
    EXPECT_EQ(meta["from"], nullptr);
    EXPECT_EQ(meta["to"], nullptr);
    EXPECT_EQ(meta["total"], 3);
    EXPECT_EQ(meta["last_page"], 1);
    EXPECT_EQ(answer.json()["links"]["next"], nullptr);
  }
}

TEST_F(NotificationTest, AnEmptyListIsOnePage) {
  const auto answer = editor.web.get(notices_route);
  EXPECT_EQ(data_of(answer), json::array());
  EXPECT_EQ(answer.json()["meta"], (json{{"current_page", 1}, {"last_page", 1}, {"per_page", 20},
                                         {"total", 0}, {"from", nullptr}, {"to", nullptr}}));
  EXPECT_EQ(answer.json()["links"]["prev"], nullptr);
  EXPECT_EQ(answer.json()["links"]["next"], nullptr);
}

TEST_F(NotificationTest, KnownColumnsSortUnderBothNamesAndUnknownOnesAreTheDefault) {
  const auto b = add_notice(editor, {.type = "new_comment", .title = "B", .created_at = "now() - interval '3 minutes'"});
  const auto c = add_notice(editor, {.type = "post_failed", .title = "C", .created_at = "now() - interval '2 minutes'",
                                     .read_at = "now()"});
  const auto a = add_notice(editor, {.type = "trial_ended", .title = "A", .created_at = "now() - interval '1 minute'"});
  EXPECT_EQ(ids("?sort_by=title&sort_dir=asc"), json::array({a, b, c}));
  EXPECT_EQ(ids("?sort=title&direction=asc"), json::array({a, b, c}));
  EXPECT_EQ(ids("?sort_by=title"), json::array({c, b, a}));
  EXPECT_EQ(ids("?sort_by=type&sort_dir=asc"), json::array({b, c, a}));
  EXPECT_EQ(ids("?sort_dir=asc"), json::array({b, c, a}));
  EXPECT_EQ(ids("?sort_by=read_at&sort_dir=desc")[0], c);
  const auto newest_first = json::array({a, c, b});
  for (const auto* query : {"?sort_by=user_id", "?sort_by=id%3B%20DROP%20TABLE%20carillon.notifications%3B--",
                            "?sort_by=(SELECT%20pg_sleep(60))&sort_dir=desc",
                            "?sort_dir=asc%3B%20DELETE%20FROM%20carillon.users", "?sort_by=&sort_dir="})
    EXPECT_EQ(ids(query), newest_first) << query;
}

TEST_F(NotificationTest, EqualTimesStillComeInOneStableOrder) {
  std::set<std::string> expected;
  for (int i = 0; i < 10; ++i)
    expected.insert(add_notice(editor, {.created_at = "'2026-02-07 10:00:00+00'"}));
  for (const auto* direction : {"asc", "desc"}) {
    std::set<std::string> seen;
    for (int page = 1; page <= 5; ++page)
      for (const auto& id : ids("?per_page=2&sort_dir=" + std::string{direction} + "&page=" + std::to_string(page)))
        seen.insert(id.get<std::string>());
    EXPECT_EQ(seen, expected) << direction;
  }
}

TEST_F(NotificationTest, SearchTakesItsTextLiterally) {
  const auto percent = add_notice(editor, {.title = "100 % sure"});
  add_notice(editor, {.title = "1000 words"});
  EXPECT_EQ(ids("?search=100%20%25"), json::array({percent}));
  EXPECT_EQ(ids("?search=100_"), json::array());
  EXPECT_EQ(ids("?search=SURE"), json::array({percent}));
  EXPECT_EQ(ids("?search=%5C"), json::array()) << "a lone backslash";
  EXPECT_EQ(ids("?search=%27%20OR%201%3D1--"), json::array());
  EXPECT_EQ(ids("?search=").size(), 2u);
}

TEST_F(NotificationTest, UnreadCountCountsUnreadInAppOnly) {
  EXPECT_EQ(unread(editor), 0);
  add_many(2, editor);
  add_notice(editor, {.read_at = "now()"});
  add_notice(editor, {.channel = "email"});
  add_notice(colleague);
  EXPECT_EQ(unread(editor), 2);
  EXPECT_EQ(editor.web.get("/api/v1/notifications/unread-count").json()["data"], (json{{"count", 2}}));
}

TEST_F(NotificationTest, RecentIsTheNewestTenUnlessALimitIsGiven) {
  const auto all = add_many(60, editor);
  add_notice(editor, {.channel = "email"});
  add_notice(colleague);
  const auto recent = [&](const std::string& query) {
    return column(data_of(editor.web.get("/api/v1/notifications/recent" + query)), "id");
  };
  const auto newest = recent("");
  ASSERT_EQ(newest.size(), 10u);
  EXPECT_EQ(newest[0], all[59]);
  EXPECT_EQ(newest[9], all[50]);
  EXPECT_EQ(recent("?limit=3"), json::array({all[59], all[58], all[57]}));
  for (const auto* low : {"0", "-5", "-99999999999"})
    EXPECT_EQ(recent("?limit=" + std::string{low}).size(), 1u) << low;
  for (const auto* high : {"50", "51", "1000", "99999999999"})
    EXPECT_EQ(recent("?limit=" + std::string{high}).size(), 50u) << high;
  for (const auto* no_number : {"", "ten", "1.5"})
    EXPECT_EQ(recent("?limit=" + std::string{no_number}).size(), 10u) << no_number;
}

TEST_F(NotificationTest, ReadingIsIdempotentAndKeepsTheFirstTime) {
  const auto id = add_notice(editor);
  const auto first = data_of(editor.web.post("/api/v1/notifications/" + id + "/read"));
  EXPECT_EQ(first["id"], id);
  EXPECT_EQ(first["is_read"], true);
  EXPECT_TRUE(is_api_time(first["read_at"]));
  EXPECT_EQ(unread(editor), 0);
  db().exec("UPDATE carillon.notifications SET read_at = '2026-02-07 10:00:00+00' WHERE id = " + sql_literal(id));
  const auto second = data_of(editor.web.post("/api/v1/notifications/" + id + "/read"));
  EXPECT_EQ(second["read_at"], "2026-02-07T10:00:00+00:00");
}

TEST_F(NotificationTest, ReadingNeedsNoBodyAndIgnoresABadOne) {
  const auto id = add_notice(editor);
  data_of(editor.web.send("POST", "/api/v1/notifications/" + id + "/read", ""));
  data_of(editor.web.send("POST", "/api/v1/notifications/read-all", "{nonsense"));
}

TEST_F(NotificationTest, AnotherUsersNotificationIsForbiddenAndAnotherTenantsDoesNotExist) {
  const auto before_mine = add_notice(colleague);
  const auto theirs = add_notice(stranger);
  const auto before = fingerprint();
  const auto read = [&](const std::string& id) { return editor.web.post("/api/v1/notifications/" + id + "/read"); };
  EXPECT_TRUE(is_problem(read(before_mine), 403));
  EXPECT_TRUE(is_problem(owner.web.post("/api/v1/notifications/" + before_mine + "/read"), 403))
    << "a tenant owner reads nobody else's";
  EXPECT_TRUE(is_problem(read(theirs), 404));
  EXPECT_TRUE(is_problem(read(to_string(notification_id::make())), 404));
  for (const auto* malformed : {"1", "nonsense", "0190b0f1-0000-7000-8000-00000000000", "%27", "..", "{notification}",
                                "0190b0f1-0000-7000-8000-000000000000%20", "0190b0f1000070008000000000000000x"})
    EXPECT_TRUE(is_problem(read(malformed), 404)) << malformed;
  EXPECT_EQ(fingerprint(), before);
}

TEST_F(NotificationTest, AnIdIsReadInEitherCase) {
  auto id = add_notice(editor);
  for (char& c : id)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(data_of(editor.web.post("/api/v1/notifications/" + id + "/read"))["is_read"], true);
}

TEST_F(NotificationTest, ReadAllMarksWhatTheCallerHasNotReadOnEveryChannel) {
  add_many(3, editor);
  add_notice(editor, {.channel = "email"});
  add_notice(editor, {.read_at = "now()"});
  add_notice(colleague);
  EXPECT_EQ(data_of(editor.web.post("/api/v1/notifications/read-all")), (json{{"marked_count", 4}}));
  EXPECT_EQ(unread(editor), 0);
  EXPECT_EQ(unread(colleague), 1);
  EXPECT_EQ(data_of(editor.web.post("/api/v1/notifications/read-all")), (json{{"marked_count", 0}}));
}

TEST_F(NotificationTest, ReadMultipleMarksTheCallersAndPassesOverTheRest) {
  const auto mine = add_many(3, editor);
  const auto seen = add_notice(editor, {.read_at = "now()"});
  const auto others = add_notice(colleague);
  const auto read = [&](const json& ids) {
    return editor.web.post("/api/v1/notifications/read-multiple", {{"ids", ids}});
  };
  EXPECT_EQ(data_of(read({mine[0], mine[1], mine[0], seen, others})), (json{{"marked_count", 2}}));
  EXPECT_EQ(unread(editor), 1);
  EXPECT_EQ(unread(colleague), 1) << "an id of another user is accepted and left alone";
  EXPECT_EQ(data_of(read({mine[0], mine[1]})), (json{{"marked_count", 0}}));
}

TEST_F(NotificationTest, ReadMultipleTakesUpToAHundredIds) {
  const auto mine = add_many(101, editor);
  const auto read = [&](std::size_t number) {
    return editor.web.post("/api/v1/notifications/read-multiple",
                           {{"ids", std::vector<std::string>(mine.begin(), mine.begin() + static_cast<long>(number))}});
  };
  EXPECT_TRUE(refuses(read(101), "ids"));
  EXPECT_EQ(unread(editor), 101);
  EXPECT_EQ(data_of(read(100)), (json{{"marked_count", 100}}));
}

TEST_F(NotificationTest, ReadMultipleRefusesWhatIsNoListOfExistingIdsAndThenMarksNothing) {
  const auto mine = add_notice(editor);
  const auto theirs = add_notice(stranger);
  const auto never = to_string(notification_id::make());
  const auto before = fingerprint();
  const auto read = [&](const json& body) { return editor.web.post("/api/v1/notifications/read-multiple", body); };
  for (const auto& body : {json::object(), json{{"ids", nullptr}}, json{{"ids", mine}}, json{{"ids", 5}},
                           json{{"ids", {{"0", mine}}}}, json{{"ids", json::array()}}, json{{"ids", true}}})
    EXPECT_TRUE(refuses(read(body), "ids")) << body;
  EXPECT_TRUE(refuses(read({{"ids", json::array({mine, "nonsense"})}}), "ids.1"));
  EXPECT_TRUE(refuses(read({{"ids", json::array({nullptr, mine, 7, json::array({mine})})}}), {"ids.0", "ids.2", "ids.3"}));
  EXPECT_TRUE(refuses(read({{"ids", json::array({never})}}), "ids.0"));
  EXPECT_TRUE(refuses(read({{"ids", json::array({mine, never})}}), "ids.1"));
  EXPECT_TRUE(refuses(read({{"ids", json::array({mine, theirs})}}), "ids.1")) << "another tenant's does not exist";
  EXPECT_EQ(fingerprint(), before);
  EXPECT_EQ(unread(editor), 1);
}

TEST_F(NotificationTest, AListThatWasShownShowsWhatHasChangedAtOnce) {
  const auto mine = add_many(3, editor);
  const auto shown = list();
  EXPECT_EQ(list(), shown);
  EXPECT_EQ(editor.web.post("/api/v1/notifications/" + mine[1] + "/read").status, 200);
  const auto read = list();
  EXPECT_TRUE(read[1]["is_read"]);
  EXPECT_TRUE(is_api_time(read[1]["read_at"]));
  EXPECT_EQ(read[0], shown[0]);
  EXPECT_EQ(read[2], shown[2]);
  db().exec("UPDATE carillon.notifications SET title = 'Corrected' WHERE id = " + sql_literal(mine[2]));
  EXPECT_EQ(list()[0]["title"], "Corrected");
  db().exec("DELETE FROM carillon.notifications WHERE id = " + sql_literal(mine[2]));
  EXPECT_EQ(ids(), json::array({mine[1], mine[0]}));
  const auto latest = add_notice(editor);
  EXPECT_EQ(ids(), json::array({latest, mine[1], mine[0]}));
  EXPECT_EQ(list("?per_page=2&page=2"), json::array({shown[2]}));
  // Each as it is filtered for, and as it comes in the list.
  EXPECT_EQ(list("?is_read=1"), json::array({read[1]}));
}

TEST_F(NotificationTest, ManyAtOnceEachSeeTheirOwn) {
  const std::vector<const person*> people{&owner, &admin, &editor, &colleague, &viewer, &outsider, &stranger};
  for (std::size_t i = 0; i < people.size(); ++i)
    add_many(static_cast<int>(i) + 1, *people[i]);
  std::vector<std::future<bool>> readers;
  for (int round = 0; round < 3; ++round)
    for (std::size_t i = 0; i < people.size(); ++i)
      readers.push_back(std::async(std::launch::async, [&, i] {
        bool right = true;
        for (int turn = 0; turn < 10; ++turn) {
          const auto body = people[i]->web.get(notices_route).json();
          right = right && body.is_object() && body["meta"]["total"] == i + 1 && body["data"].size() == i + 1;
          for (const auto& one : body["data"])
            right = right && one["user_id"] == to_string(people[i]->id);
          right = right && unread(*people[i]) == static_cast<int>(i) + 1;
          const web_client intruder{people[i]->web.base_url(), people[i]->token + "x"};
          right = right && intruder.get("/api/v1/notifications/unread-count").status == 401;
        }
        return right;
      }));
  for (auto& reader : readers)
    EXPECT_TRUE(reader.get());
}

TEST_F(NotificationTest, ConcurrentReadsCountEachNotificationOnce) {
  const auto mine = add_many(40, editor);
  std::vector<std::future<json>> calls;
  for (int i = 0; i < 4; ++i) {
    calls.push_back(std::async(std::launch::async, [&] {
      return editor.web.post("/api/v1/notifications/read-multiple", {{"ids", mine}}).json();
    }));
    calls.push_back(std::async(std::launch::async, [&] {
      return editor.web.post("/api/v1/notifications/read-all").json();
    }));
  }
  int marked = 0;
  for (auto& call : calls) {
    const auto answer = call.get();
    ASSERT_TRUE(answer.is_object() && answer.value("success", false)) << answer;
    marked += answer["data"]["marked_count"].get<int>();
  }
  EXPECT_EQ(marked, 40);
  EXPECT_EQ(unread(editor), 0);
}

} // namespace

} // namespace carillon
