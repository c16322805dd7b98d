// Contract §3.1: GET and PUT /notifications/preferences in both forms.

#include <future>
#include <set>

#include "domain/notification_type.hpp"
#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

constexpr auto preferences_route = "/api/v1/notifications/preferences";

class NotificationPreferenceTest : public api_suite {
protected:
  json all(where at = where::current()) {
    return data_of(editor.web.get(preferences_route), 200, at);
  }
  web_answer put(const json& body) {
    return editor.web.put(preferences_route, body);
  }
  /// in_app, email, push, sms.
  static json flags(const json& preference) {
    return {preference["in_app_enabled"], preference["email_enabled"], preference["push_enabled"],
            preference["sms_enabled"]};
  }
  json flags_of(const std::string& type, where at = where::current()) {
    for (const auto& one : all(at))
      if (one["notification_type"] == type)
        return flags(one);
    return nullptr;
  }
};

TEST_F(NotificationPreferenceTest, TheFirstLookCreatesOneOfEachTypeInTheOrderOfTheEnum) {
  const auto first = all();
  ASSERT_EQ(first.size(), 32u);
  json expected = json::array();
  for (auto type : values_of<notification_type>())
    expected.push_back(std::string{to_string(type)});
  EXPECT_EQ(column(first, "notification_type"), expected);
  for (const auto& one : first)
    EXPECT_EQ(flags(one), json::array({true, true, false, false})) << one;
  EXPECT_EQ(count("notification_preferences WHERE user_id = " + sql_literal(editor.id)), 32);
  EXPECT_EQ(all(), first) << "the second look creates nothing";
}

TEST_F(NotificationPreferenceTest, APreferenceCarriesItsLabelAndCategory) {
  const auto one = all()[4];
  std::set<std::string> names;
  for (const auto& [name, _] : one.items())
    names.insert(name);
  EXPECT_EQ(names, (std::set<std::string>{"id", "user_id", "notification_type", "notification_type_label", "category",
                                          "in_app_enabled", "email_enabled", "push_enabled", "sms_enabled",
                                          "created_at", "updated_at"}));
  EXPECT_EQ(one["user_id"], to_string(editor.id));
  EXPECT_EQ(one["notification_type"], "post_failed");
  EXPECT_EQ(one["notification_type_label"], "Post Failed");
  EXPECT_EQ(one["category"], "content");
  EXPECT_TRUE(is_api_time(one["created_at"]));
  EXPECT_TRUE(is_api_time(one["updated_at"]));
}

TEST_F(NotificationPreferenceTest, RowsThatAreMissingAreAddedToThoseThatExist) {
  put({{"notification_type", "trial_ended"}, {"email_enabled", false}});
  db().exec("DELETE FROM carillon.notification_preferences WHERE notification_type <> 'trial_ended' AND user_id = "
            + sql_literal(editor.id));
  EXPECT_EQ(all().size(), 32u);
  EXPECT_EQ(flags_of("trial_ended"), json::array({true, false, false, false}));
}

TEST_F(NotificationPreferenceTest, ManyFirstLooksAtOnceCreateEachRowOnce) {
  std::vector<std::future<web_answer>> looks;
  for (int i = 0; i < 8; ++i)
    looks.push_back(std::async(std::launch::async, [this] { return editor.web.get(preferences_route); }));
  json first;
  for (auto& look : looks) {
    const auto seen = data_of(look.get());
    EXPECT_EQ(seen.size(), 32u);
    if (first.is_null())
      first = seen;
    EXPECT_EQ(column(seen, "id"), column(first, "id"));
  }
  EXPECT_EQ(count("notification_preferences WHERE user_id = " + sql_literal(editor.id)), 32);
}

TEST_F(NotificationPreferenceTest, TheSingleFormAnswersTheOnePreference) {
  const auto one = data_of(put({{"notification_type", "post_failed"}, {"in_app_enabled", false},
                                {"email_enabled", false}, {"push_enabled", true}, {"sms_enabled", true}}));
  ASSERT_TRUE(one.is_object());
  EXPECT_EQ(one["notification_type"], "post_failed");
  EXPECT_EQ(flags(one), json::array({false, false, true, true}));
  EXPECT_EQ(flags_of("post_failed"), json::array({false, false, true, true}));
  EXPECT_EQ(flags_of("post_published"), json::array({true, true, false, false})) << "only the one changes";
}

TEST_F(NotificationPreferenceTest, FlagsThatTheSingleFormLeavesOutTakeTheirDefaults) {
  put({{"notification_type", "post_failed"}, {"in_app_enabled", false}, {"email_enabled", false},
       {"push_enabled", true}, {"sms_enabled", true}});
  const auto one = data_of(put({{"notification_type", "post_failed"}}));
  EXPECT_EQ(flags(one), json::array({true, true, false, false})) << "not what was stored";
}

TEST_F(NotificationPreferenceTest, TheBulkFormAnswersTheCompleteList) {
  const auto answer = data_of(put({{"preferences",
                                    json::array({{{"notification_type", "trial_ended"}, {"in_app_enabled", false},
                                                  {"email_enabled", true}, {"push_enabled", true}},
                                                 {{"notification_type", "post_failed"}, {"in_app_enabled", true},
                                                  {"email_enabled", false}, {"sms_enabled", true}}})}}));
  ASSERT_EQ(answer.size(), 32u);
  EXPECT_EQ(answer, all()) << "exactly what GET answers";
  EXPECT_EQ(flags_of("trial_ended"), json::array({false, true, true, false}));
  EXPECT_EQ(flags_of("post_failed"), json::array({true, false, false, true}));
}

TEST_F(NotificationPreferenceTest, TheBulkFormKeepsPushAndSmsThatItLeavesOut) {
  put({{"notification_type", "post_failed"}, {"push_enabled", true}, {"sms_enabled", true}});
  data_of(put({{"preferences", json::array({{{"notification_type", "post_failed"}, {"in_app_enabled", false},
                                             {"email_enabled", false}}})}}));
  EXPECT_EQ(flags_of("post_failed"), json::array({false, false, true, true}));
}

TEST_F(NotificationPreferenceTest, TheListThatGetAnsweredCanBePutBack) {
  auto list = all();
  for (auto& one : list)
    one["email_enabled"] = false;
  const auto answer = data_of(put({{"preferences", list}}));
  ASSERT_EQ(answer.size(), 32u);
  for (const auto& one : answer)
    EXPECT_EQ(one["email_enabled"], false);
  EXPECT_EQ(column(answer, "id"), column(list, "id"));
}

TEST_F(NotificationPreferenceTest, ALaterEntryForTheSameTypeWins) {
  data_of(put({{"preferences", json::array({{{"notification_type", "post_failed"}, {"in_app_enabled", false},
                                             {"email_enabled", false}, {"push_enabled", true}},
                                            {{"notification_type", "post_failed"}, {"in_app_enabled", true},
                                             {"email_enabled", false}}})}}));
  EXPECT_EQ(flags_of("post_failed"), json::array({true, false, true, false}));
}

TEST_F(NotificationPreferenceTest, ThePresenceOfPreferencesSelectsTheBulkForm) {
  const auto both = put({{"notification_type", "trial_ended"}, {"email_enabled", false},
                         {"preferences", json::array({{{"notification_type", "post_failed"}, {"in_app_enabled", false},
                                                       {"email_enabled", true}}})}});
  EXPECT_EQ(data_of(both).size(), 32u);
  EXPECT_EQ(flags_of("trial_ended"), json::array({true, true, false, false}));
  EXPECT_EQ(flags_of("post_failed"), json::array({false, true, false, false}));
  EXPECT_TRUE(refuses(put({{"notification_type", "trial_ended"}, {"preferences", nullptr}}), "preferences"));
}

TEST_F(NotificationPreferenceTest, BooleansComeAsBooleansDigitsAndWords) {
  for (const auto& [yes, no] : std::initializer_list<std::pair<json, json>>{
         {true, false}, {1, 0}, {"1", "0"}, {"true", "false"}}) {
    const auto off = data_of(put({{"notification_type", "post_failed"}, {"in_app_enabled", no}, {"email_enabled", no},
                                  {"push_enabled", yes}, {"sms_enabled", yes}}));
    EXPECT_EQ(flags(off), json::array({false, false, true, true})) << yes;
    data_of(put({{"preferences", json::array({{{"notification_type", "post_failed"}, {"in_app_enabled", yes},
                                               {"email_enabled", yes}, {"push_enabled", no}, {"sms_enabled", no}}})}}));
    EXPECT_EQ(flags_of("post_failed"), json::array({true, true, false, false})) << yes;
  }
}

TEST_F(NotificationPreferenceTest, NothingElseIsABoolean) {
  all();
  const auto before = fingerprint();
  for (const auto& value : {json{2}, json{-1}, json{"yes"}, json{"on"}, json{""}, json::array({true}), json::object(),
                            json{0.5}, json{"TRUE "}})
    for (const auto* flag : {"in_app_enabled", "email_enabled", "push_enabled", "sms_enabled"}) {
      EXPECT_TRUE(refuses(put({{"notification_type", "post_failed"}, {flag, value}}), flag)) << value;
      EXPECT_TRUE(refuses(put({{"preferences", json::array({{{"notification_type", "post_failed"}, {flag, value}}})}}),
                          "preferences.0." + std::string{flag})) << value;
    }
  EXPECT_EQ(fingerprint(), before);
}

TEST_F(NotificationPreferenceTest, AnUnknownTypeIsRefusedUnderItsDottedName) {
  all();
  const auto before = fingerprint();
  for (const auto& type : {json{"no_such_type"}, json{"Post_Failed"}, json{""}, json{7}, json(nullptr), json::array(),
                           json{"post_failed "}}) {
    EXPECT_TRUE(refuses(put({{"notification_type", type}, {"email_enabled", false}}), "notification_type")) << type;
    EXPECT_TRUE(refuses(put({{"preferences", json::array({{{"notification_type", "post_failed"}, {"in_app_enabled", true},
                                                           {"email_enabled", false}},
                                                          {{"notification_type", type}, {"email_enabled", false}}})}}),
                        "preferences.1.notification_type")) << type;
  }
  EXPECT_TRUE(refuses(put(json::object()), "notification_type"));
  EXPECT_TRUE(refuses(editor.web.send("PUT", preferences_route, ""), "notification_type"));
  EXPECT_EQ(fingerprint(), before) << "one bad entry of a bulk form leaves all as they were";
}

TEST_F(NotificationPreferenceTest, WhatIsNoListOfObjectsIsRefused) {
  all();
  const auto before = fingerprint();
  for (const auto& list : {json("post_failed"), json(1), json::object(), json::array(), json(true)})
    EXPECT_TRUE(refuses(put({{"preferences", list}}), "preferences")) << list;
  EXPECT_TRUE(refuses(put({{"preferences", json::array({"post_failed", nullptr, json::array()})}}),
                      {"preferences.0", "preferences.1", "preferences.2"}));
  json many = json::array();
  for (int i = 0; i < 101; ++i)
    many.push_back({{"notification_type", "post_failed"}, {"in_app_enabled", false}, {"email_enabled", false}});
  EXPECT_TRUE(refuses(put({{"preferences", many}}), "preferences"));
  EXPECT_EQ(fingerprint(), before);
}

TEST_F(NotificationPreferenceTest, EveryoneHasHisOwn) {
  put({{"notification_type", "post_failed"}, {"email_enabled", false}});
  for (const auto& one : data_of(colleague.web.get(preferences_route)))
    EXPECT_EQ(one["email_enabled"], true);
  EXPECT_EQ(flags_of("post_failed"), json::array({true, false, false, false}));
}

TEST_F(NotificationPreferenceTest, BulkChangesAtOnceNeverDeadlock) {
  all();
  auto forward = all();
  auto backward = json::array();
  for (auto i = forward.rbegin(); i != forward.rend(); ++i)
    backward.push_back(*i);
  std::vector<std::future<web_answer>> puts;
  for (int i = 0; i < 8; ++i)
    puts.push_back(std::async(std::launch::async, [&, i] { return put({{"preferences", i % 2 ? forward : backward}}); }));
  for (auto& one : puts)
    EXPECT_EQ(data_of(one.get()).size(), 32u);
}

} // namespace

} // namespace carillon
