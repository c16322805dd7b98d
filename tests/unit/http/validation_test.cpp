#include "http/validation.hpp"

#include "domain/enums.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon::http {
namespace {

using testing::ElementsAre;

std::vector<std::string> refused(const body_reader& in) {
  std::vector<std::string> out;
  if (const auto bad = in.problems()) {
    EXPECT_EQ(bad->code, errc::invalid_argument);
    for (const auto& e : bad->fields)
      out.push_back(e.field);
  }
  return out;
}

TEST(BodyReader, AbsentNullAndEmptyTextAreNotGiven) {
  const auto body = json::parse(R"({"null": null, "empty": ""})");
  body_reader in{body};
  for (const auto* field : {"absent", "null", "empty"}) {
    EXPECT_FALSE(in.text(field, 5));
    EXPECT_FALSE(in.text_list(field, 5));
    EXPECT_FALSE(in.object(field));
    EXPECT_FALSE(in.uuid_list(field, 5));
    EXPECT_FALSE(in.time_zone(field));
    EXPECT_FALSE(in.time(field, "UTC"));
    EXPECT_FALSE(in.url(field, 5));
    EXPECT_FALSE(in.choice<post_type>(field));
  }
  EXPECT_FALSE(in.problems());
}

TEST(BodyReader, ARequiredFieldThatIsNotGivenIsRefused) {
  const auto body = json::parse(R"({"null": null, "empty": "", "none": []})");
  body_reader in{body};
  EXPECT_FALSE(in.text("absent", 5, presence::required));
  EXPECT_FALSE(in.text("null", 5, presence::required));
  EXPECT_FALSE(in.time("empty", "UTC", presence::required));
  EXPECT_FALSE(in.uuid_list("none", 5, presence::required));
  EXPECT_THAT(refused(in), ElementsAre("absent", "null", "empty", "none"));
  EXPECT_EQ(in.problems()->fields[0].reason, "The absent field is required.");
}

TEST(BodyReader, LengthsCountCharacters) {
  // Five characters in fifteen bytes.
  const json body{
    {"five", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"},
    {"six", "abcdef"}};
  body_reader in{body};
  EXPECT_TRUE(in.text("five", 5));
  EXPECT_FALSE(in.problems());
  EXPECT_FALSE(in.text("six", 5));
  EXPECT_THAT(refused(in), ElementsAre("six"));
}

TEST(BodyReader, WrongJsonTypesAreRefused) {
  for (const auto& value :
       {json(7), json(true), json(json::array({1})), json{{"a", 1}}}) {
    const json body{{"f", value}};
    body_reader in{body};
    EXPECT_FALSE(in.text("f", 5));
    EXPECT_FALSE(in.url("f", 5));
    EXPECT_FALSE(in.time("f", "UTC"));
    EXPECT_FALSE(in.choice<post_type>("f"));
    EXPECT_THAT(refused(in), ElementsAre("f", "f", "f", "f")) << value.dump();
  }
  const json body{
    {"list", "text"}, {"object", json::array({1})}, {"ids", json::object()}};
  body_reader in{body};
  EXPECT_FALSE(in.text_list("list", 5));
  EXPECT_FALSE(in.object("object"));
  EXPECT_FALSE(in.uuid_list("ids", 5));
  EXPECT_THAT(refused(in), ElementsAre("list", "object", "ids"));
}

TEST(BodyReader, ItemsAreNamedByTheirPlace) {
  const json body{{"tags", {"ok", 7, "too long"}},
                  {"ids", {to_string(make_uuid_v7()), "x", nullptr}}};
  body_reader in{body};
  in.text_list("tags", 5);
  in.uuid_list("ids", 5);
  EXPECT_THAT(refused(in), ElementsAre("tags.1", "tags.2", "ids.1", "ids.2"));
}

TEST(BodyReader, ListsOfIdsHaveALimit) {
  const json body{
    {"ids", {to_string(make_uuid_v7()), to_string(make_uuid_v7())}}};
  body_reader in{body};
  EXPECT_EQ(in.uuid_list("ids", 2)->size(), 2u);
  EXPECT_FALSE(in.uuid_list("ids", 1));
  EXPECT_THAT(refused(in), ElementsAre("ids"));
}

TEST(BodyReader, ListsOfTextsAndObjectsHaveALimit) {
  const json body{{"tags", std::vector<std::string>(100, "a")},
                  {"more", std::vector<std::string>(101, "a")},
                  {"object", {{"a", std::string(99'000, 'a')}}},
                  {"larger", {{"a", std::string(100'000, 'a')}}}};
  body_reader in{body};
  EXPECT_TRUE(in.text_list("tags", 5));
  EXPECT_TRUE(in.object("object"));
  EXPECT_FALSE(in.text_list("more", 5));
  EXPECT_FALSE(in.object("larger"));
  EXPECT_THAT(refused(in), ElementsAre("more", "larger"));
}

TEST(BodyReader, OnlyTheFirstHundredFaultsAreKept) {
  const json body{{"ids", std::vector<int>(150, 1)}};
  body_reader in{body};
  in.uuid_list("ids", 200);
  EXPECT_EQ(refused(in).size(), 100u);
}

TEST(BodyReader, AnEmptyArrayCountsAsAnEmptyObject) {
  const json body{{"object", json::array()}};
  body_reader in{body};
  EXPECT_EQ(in.object("object"), "{}");
}

TEST(BodyReader, OnlyWebAddressesWithAHostAreUrls) {
  for (const auto* good :
       {"https://acme.example", "http://acme.example:8080/a?b=c#d",
        "https://user@acme.example/", "https://acme.example/\xc3\xbc"}) {
    const json body{{"u", good}};
    body_reader in{body};
    EXPECT_EQ(in.url("u", 2'048), good);
  }
  for (const auto* bad :
       {"acme.example", "ftp://acme.example", "javascript:alert(1)", "https://",
        "https:///path", "https://:80", "https://?q", "https://a b",
        "https://a\tb", "https://a\"b", "https://a<b", "//acme.example"}) {
    const json body{{"u", bad}};
    body_reader in{body};
    EXPECT_FALSE(in.url("u", 2'048)) << bad;
    EXPECT_THAT(refused(in), ElementsAre("u")) << bad;
  }
}

TEST(BodyReader, TimesAreReadInTheZone) {
  const json body{{"naive", "2030-07-01T12:00:00"},
                  {"fixed", "2030-07-01T12:00:00.250Z"},
                  {"bad", "next week"},
                  {"year", "9999-12-31T23:59:59-01:00"}};
  body_reader in{body};
  EXPECT_EQ(format_api_time(*in.time("naive", "Europe/Berlin")),
            "2030-07-01T10:00:00+00:00");
  EXPECT_EQ(format_api_time(*in.time("fixed", "Europe/Berlin")),
            "2030-07-01T12:00:00+00:00");
  EXPECT_FALSE(in.time("bad", "UTC"));
  EXPECT_FALSE(in.time("year", "UTC"));
  EXPECT_THAT(refused(in), ElementsAre("bad", "year"));
}

TEST(BodyReader, ZonesAreThoseOfTheIanaDatabase) {
  const json body{{"good", "Asia/Kolkata"}, {"bad", "Mars/Base"}};
  body_reader in{body};
  EXPECT_EQ(in.time_zone("good"), "Asia/Kolkata");
  EXPECT_FALSE(in.time_zone("bad"));
  EXPECT_THAT(refused(in), ElementsAre("bad"));
}

TEST(BodyReader, FlagsAreWhatTheContractCallsBooleans) {
  const auto body = json::parse(R"({"a": true, "b": 1, "c": "1", "d": false, "e": 0, "f": "0", "g": "yes", "h": 2, "i": []})");
  body_reader in{body};
  for (const auto* yes : {"a", "b", "c"})
    EXPECT_EQ(in.flag(yes), true) << yes;
  for (const auto* no : {"d", "e", "f"})
    EXPECT_EQ(in.flag(no), false) << no;
  for (const auto* neither : {"g", "h", "i"})
    EXPECT_FALSE(in.flag(neither)) << neither;
  EXPECT_FALSE(in.flag("absent"));
  EXPECT_THAT(refused(in), ElementsAre("g", "h", "i"));
}

TEST(BodyReader, WholeNumbersStayInTheirRange) {
  const auto body = json::parse(R"({"least": 0, "most": "10", "below": -1, "above": 11, "huge": 123456789012345678901234567890,
    "huge_text": "123456789012345678901234567890", "fraction": 1.5, "exponent": 1e1, "word": "ten", "list": [1], "yes": true})");
  body_reader in{body};
  EXPECT_EQ(in.whole_number("least", 0, 10), 0);
  EXPECT_EQ(in.whole_number("most", 0, 10), 10);
  for (const auto* bad : {"below", "above", "huge", "huge_text", "fraction", "exponent", "word", "list", "yes"})
    EXPECT_FALSE(in.whole_number(bad, 0, 10)) << bad;
  EXPECT_FALSE(in.whole_number("absent", 0, 10));
  EXPECT_THAT(refused(in), ElementsAre("below", "above", "huge", "huge_text", "fraction", "exponent", "word", "list", "yes"));
}

TEST(BodyReader, ChoicesAreWireTexts) {
  const json body{{"good", "reel"}, {"bad", "poem"}, {"label", "Reel"}};
  body_reader in{body};
  EXPECT_EQ(in.choice<post_type>("good"), post_type::reel);
  EXPECT_FALSE(in.choice<post_type>("bad"));
  EXPECT_FALSE(in.choice<post_type>("label"));
  EXPECT_THAT(refused(in), ElementsAre("bad", "label"));
}

} // namespace
} // namespace carillon::http
