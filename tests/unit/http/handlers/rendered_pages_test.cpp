// What was shown lately is shown again only as it is now.
#include "http/handlers/notifications/rendered_pages.hpp"

#include <gtest/gtest.h>

namespace carillon::http::notifications {

namespace {

std::string text_of(rendered_pages& pages, const mailbox_page& page, const std::vector<row_version>& rows) {
  const auto found = pages.find(page, rows);
  return found ? *found : "none";
}

std::shared_ptr<const std::string> text(std::string value) {
  return std::make_shared<const std::string>(std::move(value));
}

mailbox_page page_of(user_id user, int page = 1, int per_page = 20) {
  return {{tenant_id::make(), user}, page, per_page};
}

TEST(RenderedPagesTest, APageIsFoundForExactlyItsRowsAndVersions) {
  rendered_pages pages{1'000'000};
  const auto user = user_id::make();
  const auto a = notification_id::make();
  const auto b = notification_id::make();
  const auto page = page_of(user);
  EXPECT_EQ(text_of(pages, page, {{a, 1}, {b, 1}}), "none");
  pages.keep(page, {{a, 1}, {b, 1}}, text("[a,b]"));
  EXPECT_EQ(text_of(pages, page, {{a, 1}, {b, 1}}), "[a,b]");
  for (const auto& other : std::vector<std::vector<row_version>>{
         {{a, 1}, {b, 2}}, {{b, 1}, {a, 1}}, {{a, 1}}, {}, {{a, 1}, {b, 1}, {notification_id::make(), 1}}})
    EXPECT_EQ(text_of(pages, page, other), "none");
  EXPECT_EQ(text_of(pages, page_of(user_id::make()), {{a, 1}, {b, 1}}), "none") << "another user's";
  EXPECT_EQ(text_of(pages, page_of(user, 2), {{a, 1}, {b, 1}}), "none");
  EXPECT_EQ(text_of(pages, page_of(user, 1, 2), {{a, 1}, {b, 1}}), "none");
  pages.keep(page, {{a, 2}}, text("[a2]"));
  EXPECT_EQ(text_of(pages, page, {{a, 2}}), "[a2]");
  EXPECT_EQ(text_of(pages, page, {{a, 1}, {b, 1}}), "none");
}

TEST(RenderedPagesTest, MemoryIsBoundedAndWhatIsAskedForStays) {
  constexpr std::size_t most = 100'000;
  rendered_pages pages{most};
  const std::vector<row_version> rows{{notification_id::make(), 7}};
  const auto wanted = page_of(user_id::make());
  const auto left = page_of(user_id::make());
  pages.keep(wanted, rows, text(std::string(500, 'w')));
  pages.keep(left, rows, text(std::string(500, 'l')));
  for (int i = 0; i < 2'000; ++i) {
    pages.keep(page_of(user_id::make()), rows, text(std::string(500, 'x')));
    EXPECT_EQ(text_of(pages, wanted, rows), std::string(500, 'w')) << i;
    EXPECT_LE(pages.bytes(), most + 2'000) << i;
  }
  EXPECT_EQ(text_of(pages, left, rows), "none");
  // What takes another's place is not counted twice.
  for (std::uint32_t i = 0; i < 10'000; ++i)
    pages.keep(wanted, {{rows[0].id, i}}, text(std::string(500, 'v')));
  EXPECT_LE(pages.bytes(), most + 2'000);
  EXPECT_EQ(text_of(pages, wanted, {{rows[0].id, 9'999}}), std::string(500, 'v'));
}

} // namespace

} // namespace carillon::http::notifications
