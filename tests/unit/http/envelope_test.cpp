#include "http/envelope.hpp"

#include "http/wire.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

namespace carillon::http {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string header(const reply& r, const std::string& name) {
  for (const auto& [key, value] : r.headers)
    if (key == name)
      return value;
  return {};
}

request page_of(std::map<std::string, std::string> query) {
  request req;
  req.path = "/api/v1/things";
  req.base_url = "http://h:8080";
  req.query = std::move(query);
  return req;
}

// -- success ------------------------------------------------------------------

TEST(EnvelopeTest, SuccessHasMessageAndData) {
  EXPECT_EQ(ok(nullptr).body,
            json({{"success", true}, {"message", "OK"}, {"data", nullptr}}));
  EXPECT_EQ(created({{"a", 1}}).status, 201);
}

TEST(EnvelopeTest, BrokenUtf8InAnAnswerIsReplaced) {
  EXPECT_THAT(render_payload(ok("a\xff")), HasSubstr("a\xef\xbf\xbd"));
}

// -- pages --------------------------------------------------------------------

struct page_case {
  const char* page;
  const char* per_page;
  int expected_page;
  int expected_per_page;

  friend void PrintTo(const page_case& p, std::ostream* out) {
    *out << p.page << " of " << p.per_page;
  }
};

class PageTest : public testing::TestWithParam<page_case> {};

TEST_P(PageTest, IsClamped) {
  const auto& p = GetParam();
  const auto got
    = read_page(page_of({{"page", p.page}, {"per_page", p.per_page}}), 20);
  EXPECT_EQ(got.page, p.expected_page);
  EXPECT_EQ(got.per_page, p.expected_per_page);
}

INSTANTIATE_TEST_SUITE_P(
  All, PageTest,
  testing::Values(page_case{"", "", 1, 20}, page_case{"3", "50", 3, 50},
                  page_case{"0", "0", 1, 1}, page_case{"-4", "-1", 1, 1},
                  page_case{"two", "1e2", 1, 20}, page_case{"2x", " 5", 1, 20},
                  page_case{"99999999999999999999", "1000", 10'000'000, 100},
                  page_case{"-99999999999999999999", "101", 1, 100}));

TEST(PaginatedTest, SaysWhereItStands) {
  const auto r = paginated(page_of({{"page", "2"}, {"status", "a b"}}),
                           json::array({1, 2}), {2, 2}, 5);
  EXPECT_EQ(r.body["meta"], json({{"current_page", 2},
                                  {"last_page", 3},
                                  {"per_page", 2},
                                  {"total", 5},
                                  {"from", 3},
                                  {"to", 4}}));
  const std::string base = "http://h:8080/api/v1/things?status=a%20b&page=";
  EXPECT_EQ(r.body["links"], json({{"first", base + "1"},
                                   {"last", base + "3"},
                                   {"prev", base + "1"},
                                   {"next", base + "3"}}));
}

TEST(PaginatedTest, AnEmptyListHasOnePageAndNoEnds) {
  const auto r = paginated(page_of({}), json::array(), {1, 15}, 0);
  EXPECT_EQ(r.body["meta"]["last_page"], 1);
  EXPECT_TRUE(r.body["meta"]["from"].is_null());
  EXPECT_TRUE(r.body["meta"]["to"].is_null());
  EXPECT_TRUE(r.body["links"]["prev"].is_null());
  EXPECT_TRUE(r.body["links"]["next"].is_null());
}

TEST(PaginatedTest, BeyondTheEndPreviousIsTheLastPage) {
  const auto r = paginated(page_of({}), json::array(), {9, 10}, 25);
  EXPECT_EQ(r.body["links"]["prev"], "http://h:8080/api/v1/things?page=3");
  EXPECT_TRUE(r.body["links"]["next"].is_null());
}

TEST(PaginatedTest, TextIsWhatTheTreeWouldBe) {
  const json rows = json::array({{{"a", "b\"c"}}, 2});
  for (const auto& [page, total] : std::vector<std::pair<page_request, int>>{
         {{1, 2}, 2}, {{1, 2}, 5}, {{2, 2}, 5}, {{3, 2}, 6}, {{1, 20}, 0}, {{9, 10}, 25}, {{10'000'000, 100}, 3}})
    for (const auto& query : std::vector<std::map<std::string, std::string>>{
           {}, {{"page", "2"}, {"per_page", "2"}}, {{"q[]", "a \"b\" \xc3\xa9&c"}}}) {
      const auto shown = total == 0 || page.page > 3 ? json::array() : rows;
      const auto req = page_of(query);
      const auto text = paginated_text(req, shown.dump(), std::ssize(shown), page, total);
      EXPECT_EQ(json::parse(*text.raw), paginated(req, shown, page, total).body) << *text.raw;
    }
}

// -- problems -----------------------------------------------------------------

TEST(ProblemTest, EveryCodeHasItsStatus) {
  const std::vector<std::pair<errc, int>> table{
    {errc::invalid_argument, 422}, {errc::not_found, 404},
    {errc::conflict, 422},         {errc::unauthorized, 401},
    {errc::forbidden, 403},        {errc::throttled, 429},
    {errc::transient, 503},        {errc::permanent, 500},
    {errc::outcome_unknown, 503},  {errc::cancelled, 503}};
  for (const auto& [code, status] : table) {
    const auto r = problem({code, "detail", {}, {}});
    EXPECT_EQ(r.status, status) << to_string(code);
    EXPECT_EQ(r.body["success"], false);
    EXPECT_TRUE(r.body["message"].is_string());
    EXPECT_EQ(r.body.contains("errors"), status == 422) << to_string(code);
  }
}

TEST(ProblemTest, InternalsStayInside) {
  for (auto code : {errc::permanent, errc::transient, errc::outcome_unknown,
                    errc::conflict, errc::not_found})
    EXPECT_THAT(problem({code, "SELECT secret", {}, {}}).body.dump(),
                Not(HasSubstr("secret")))
      << to_string(code);
}

TEST(ProblemTest, ValidationNamesTheFields) {
  const failure f{errc::invalid_argument,
                  "",
                  {{"ids.0", "bad"}, {"name", "short"}, {"name", "odd"}},
                  {}};
  const auto r = problem(f);
  EXPECT_EQ(r.body["errors"],
            json({{"ids.0", {"bad"}}, {"name", {"short", "odd"}}}));
  EXPECT_EQ(r.body["message"], "The given data was invalid.");
}

TEST(ProblemTest, ABusinessRuleIsTheMessageWithACount) {
  failure f{errc::conflict, "", {{"status", "Not approved."}}, {}};
  EXPECT_EQ(problem(f).body["message"], "Not approved.");
  f.fields.push_back({"a", "b"});
  EXPECT_EQ(problem(f).body["message"], "Not approved. (and 1 more error)");
  f.fields.push_back({"c", "d"});
  EXPECT_EQ(problem(f).body["message"], "Not approved. (and 2 more errors)");
}

TEST(ProblemTest, RetryAfterIsInWholeSecondsRoundedUp) {
  using namespace std::chrono_literals;
  EXPECT_EQ(header(problem({errc::throttled, "", {}, 1500ms}), "Retry-After"),
            "2");
  EXPECT_EQ(header(problem({errc::transient, "", {}, 1ms}), "Retry-After"),
            "1");
  EXPECT_EQ(header(problem({errc::outcome_unknown, "", {}, {}}), "Retry-After"),
            "");
}

// -- bodies -------------------------------------------------------------------

std::vector<field_error> errors_of(std::string_view text) {
  const auto r = parse_json_object(text);
  EXPECT_FALSE(r) << text;
  if (r)
    return {};
  EXPECT_EQ(r.error().code, errc::invalid_argument);
  return r.error().fields;
}

TEST(BodyTest, AnEmptyBodyIsAnEmptyObject) {
  EXPECT_EQ(*parse_json_object(""), json::object());
  EXPECT_EQ(*parse_json_object(" \r\n"), json::object());
}

TEST(BodyTest, MalformedJsonIsRefusedOnBody) {
  for (const char* text :
       {"{", "{\"a\":}", "[1,2]", "1", "\"x\"", "null", "{} {}", "{\"a\":1,}",
        "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}", "{\"a\":1e999}",
        "{\"a\":NaN}", "{'a':1}", "{\"a\":\"\n\"}"}) {
    const auto errors = errors_of(text);
    ASSERT_EQ(errors.size(), 1U) << text;
    EXPECT_EQ(errors[0].field, "body") << text;
  }
}

TEST(BodyTest, ANulNamesTheField) {
  const auto errors = errors_of(
    R"({"a":"x\u0000","b":{"c":["ok","\u0000"]},"d\u0000":1,"e":"fine"})");
  std::vector<std::string> fields;
  for (const auto& e : errors)
    fields.push_back(e.field);
  EXPECT_THAT(fields, testing::UnorderedElementsAre("a", "b.c.1", "body"));
}

TEST(BodyTest, OfManyNulsAHundredAreNamedAndEachOneShort) {
  std::string body = "[";
  for (int i = 0; i < 1'000; ++i)
    body += R"("\u0000",)";
  body.back() = ']';
  for (int i = 0; i < 10; ++i)
    body = "{\"" + std::string(1'000, 'k') + "\":" + body + "}";
  const auto errors = errors_of(body);
  EXPECT_EQ(errors.size(), 100u);
  for (const auto& e : errors)
    EXPECT_EQ(e.field, std::string(255, 'k'));
}

TEST(BodyTest, DeepNestingIsRefusedWithoutRecursion) {
  const auto nested = [](std::size_t depth) {
    return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']')
           + "}";
  };
  EXPECT_TRUE(parse_json_object(nested(64)));
  errors_of(nested(65));
  errors_of(nested(500'000));
  errors_of(std::string(1'000'000, '['));
  // Brackets inside texts are no nesting.
  EXPECT_TRUE(
    parse_json_object("{\"a\":\"\\\"" + std::string(100, '[') + "\"}"));
}

} // namespace
} // namespace carillon::http
