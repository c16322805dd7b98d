// A list of notifications as text says what it says as a tree.
#include "http/handlers/notifications/notification_json.hpp"

#include <gtest/gtest.h>

#include "http/json_text.hpp"

namespace carillon::http {

namespace {

notification plain_notice() {
  notification n;
  n.id = notification_id::make();
  n.tenant = tenant_id::make();
  n.user = user_id::make();
  n.type = notification_type::post_failed;
  n.title = "Publishing failed";
  n.message = "The network said no";
  n.created_at = *parse_time("2026-02-07T10:00:00.123456+00:00");
  return n;
}

json as_tree(const std::vector<notification>& list) {
  return json::parse(notifications::render(list).dump(-1, ' ', false, json::error_handler_t::replace));
}

TEST(NotificationJsonTest, TextAndTreeSayTheSame) {
  EXPECT_EQ(notifications::render_text({}), "[]");
  auto full = plain_notice();
  full.icon = "star";
  full.data = R"({"post_id": "42", "deep": {"list": [1, 2.5, null, true]}, "quote": "\"\\"})";
  full.action_url = "/posts/42?a=\"b\"";
  full.read_at = *parse_time("2026-02-07T11:00:00Z");
  full.sent_at = *parse_time("2026-02-07T10:00:01Z");
  full.type = notification_type::new_comment;
  auto odd = plain_notice();
  odd.data = "[1, 2]"; // Its predecessor's empty list.
  const std::vector<notification> list{plain_notice(), full, odd};
  EXPECT_EQ(json::parse(notifications::render_text(list)), as_tree(list));
}

TEST(NotificationJsonTest, EveryTextIsWrittenAsJson) {
  std::string controls;
  for (char c = 1; c < 0x20; ++c)
    controls += c;
  for (const auto& text :
       {std::string{}, controls, std::string{"\"quoted\" and \\ and /"}, std::string{"\x7f"},
        std::string{"emoji \U0001F389 and \u05e9\u05dc\u05d5\u05dd"}, std::string{"a\0b", 3},
        std::string{"broken \xff\xc3 utf-8 \"x\""}, std::string(300, 'x') + "\n" + std::string(300, 'y')}) {
    std::string out;
    append_json_text(out, text);
    EXPECT_EQ(out, json(text).dump(-1, ' ', false, json::error_handler_t::replace));
    auto n = plain_notice();
    n.title = text;
    n.message = text;
    n.icon = text;
    n.action_url = text;
    EXPECT_EQ(json::parse(notifications::render_text({n})), as_tree({n}));
  }
}

} // namespace

} // namespace carillon::http
